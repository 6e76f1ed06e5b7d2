//! Running ensembles: every step that is ready runs at once, through the same door as any other request.
//!
//! A step inherits deadline, priority and timeout; the first error ends the request, and with it the other steps, whose
//! futures are dropped. What may start when is [`Progress`](tintype_core::Progress)'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tintype_core::triton::ModelConfig;
use tintype_core::{Bound, Ensemble, Error, ErrorKind, NamedTensor, Ready, Result};

use crate::admitted::stamp;
use crate::loaded::Loaded;
use crate::model::{Model, Work};
use crate::registry::Missing;
use crate::shared::Shared;
use crate::trace::{Activity, Trace};
use crate::{InferRequest, Runtime};

/// The models that an ensemble is made of, each once.
pub(crate) fn steps_of(config: &ModelConfig) -> Vec<String> {
    let mut names: Vec<String> = config.steps().iter().map(|step| step.model_name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

impl Runtime {
    /// An ensemble of models that are loaded; `labels` are those of the files that its outputs name.
    ///
    /// # Errors
    /// `NotReady` when one of its models is not loaded; what is wrong with the ensemble.
    pub(crate) fn start_ensemble(
        &self,
        name: &str,
        number: u64,
        config: &ModelConfig,
        mut labels: BTreeMap<String, Arc<[String]>>,
    ) -> Result<Loaded> {
        let began = Instant::now();
        let models = self.shared.registry.read();
        for step in config.steps() {
            let version = u64::try_from(step.model_version).ok().filter(|&version| version > 0);
            models.find(Some(&step.model_name), version).map_err(|missing| {
                let why = match version {
                    Some(version) => format!("whose required version {version} is not loaded"),
                    None => "which has no loaded version".to_owned(),
                };
                let message = format!("ensemble '{name}' depends on '{}' {why}", step.model_name);
                Error::new(ErrorKind::NotReady, message).with_source(missing.in_tritons_words())
            })?;
        }
        let config_of =
            |name: &str, version| models.find(Some(name), version).ok().map(|model| model.config().clone());
        let ensemble = Ensemble::new(name, config, config_of)?;
        // An output that names no file of labels has those of the model that makes it.
        for step in ensemble.steps() {
            let Ok(model) = models.find(Some(&step.model), step.version) else { continue };
            for link in &step.outputs {
                let names = model.signature().labels(&link.name);
                labels.entry(link.tensor.clone()).or_insert_with(|| names.into());
            }
        }
        let ensemble = ensemble.with_labels(&labels);
        drop(models);
        let stats = Arc::new(self.stats.for_model(name, number, ensemble.signature().config()));
        stats.counters.loaded(began.elapsed());
        let model = Model {
            name: name.into(),
            version: number.to_string(),
            number,
            loading: self.next_loading(),
            classes: Arc::default(),
            admission: self.door(self.repository_options(), &stats),
            stats,
            work: Work::Ensemble(Box::new(ensemble)),
        };
        Ok(Loaded::ensemble(Arc::new(model)))
    }
}

/// Runs every step of `ensemble`; its rows and outputs.
pub(crate) async fn run(
    ensemble: &Ensemble,
    shared: &Arc<Shared>,
    request: InferRequest,
    trace: Option<&Arc<Trace>>,
) -> Result<(usize, Vec<NamedTensor>)> {
    let InferRequest { id, inputs, outputs, priority, timeout, deadline } = request;
    let signature = ensemble.signature();
    signature.check_outputs(&outputs)?;
    let (inputs, rows) = match signature.bind(inputs)? {
        Bound::Tensors { inputs, rows } => (inputs, rows),
        Bound::Images { .. } => {
            return Err(Error::new(ErrorKind::Internal, "an ensemble has no images of its own"));
        }
    };
    stamp(trace, Activity::QueueStart);
    let mut progress = ensemble.start(inputs);
    let mut running = FuturesUnordered::new();
    loop {
        for Ready { step, inputs } in progress.ready()? {
            let request = InferRequest {
                id: id.clone(),
                inputs,
                outputs: ensemble.steps()[step].outputs.iter().map(|link| link.name.clone()).collect(),
                priority,
                timeout,
                deadline,
            };
            running.push(run_step(ensemble, shared, step, request, trace.map(Trace::child)));
        }
        let Some(finished) = running.next().await else { break };
        let (step, outputs) = finished?;
        progress.finish(step, outputs)?;
    }
    drop(running);
    Ok((rows, signature.answer(&outputs, progress.outputs()?, rows)?))
}

async fn run_step(
    ensemble: &Ensemble,
    shared: &Arc<Shared>,
    index: usize,
    request: InferRequest,
    trace: Option<Arc<Trace>>,
) -> Result<(usize, Vec<NamedTensor>)> {
    let step = &ensemble.steps()[index];
    let of_step =
        |error: Error| error.prefixed(format_args!("in ensemble '{}', ", ensemble.signature().config().name));
    // Its tensors were counted when the ensemble let the request in.
    let admitted = shared.admit(0, |models| {
        models.find(Some(&step.model), step.version).cloned().map_err(Missing::in_tritons_words)
    });
    let admitted = admitted.map_err(of_step)?.traced(trace);
    let response = Box::pin(admitted.infer(request)).await.map_err(of_step)?;
    Ok((index, response.outputs))
}
