//! `scope=head`: the last linear layer of any classifier, on features that the rest computes once.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tintype_core::image::Limits;
use tintype_core::package::ArchiveLimits;
use tintype_core::{Error, ErrorKind, ModelSource, ModelSpec, Package, Plan, Result, TensorSpec};
use tintype_graph::{Model, head};

use super::{Job, Trained};
use crate::config::TrainConfig;
use crate::event::{ImagesPass, Subscriber};
use crate::features::{Backbone, extract};
use crate::pass::Watch;
use crate::{linear, preprocessing};

/// A classifier whose head is to be replaced.
pub(crate) struct Frozen {
    model: Model,
    /// The name of the scores.
    output: String,
    /// Everything before the head: image → `features` `f32[N, width]`.
    features: Model,
    width: usize,
    plan: Plan,
    /// Input, preprocessing and provenance.
    spec: ModelSpec,
}

impl Frozen {
    /// Opens the configured backbone, finds its head, and settles its preprocessing.
    ///
    /// # Errors
    /// `InvalidConfig` when there is no backbone or no preprocessing; `Unsupported` when the model has no linear head or
    /// several inputs; what opening the package returns.
    pub fn open(config: &TrainConfig) -> Result<Self> {
        let path = config
            .backbone
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::InvalidConfig, "`scope=head` needs `backbone=MODEL`"))?;
        let package = Package::open(path, &ArchiveLimits::default())?;
        let (model, sha256) = read(&package.model)?;
        let output = scores_of(&model, &package.spec).map_err(|e| e.context(path.display()))?;
        let width = head::find(&model, &output)?.features;
        let features = head::cut(&model, &output)?;
        let input = only_input(&features)?;
        let preprocess = preprocessing::for_model(config, package.spec.preprocess.as_ref(), &input)?;
        let plan = Plan::new(preprocess.clone(), Limits::default())?;
        let mut spec =
            ModelSpec { preprocess: Some(preprocess), input: Some(input.name), ..ModelSpec::default() };
        spec.provenance.insert("backbone".to_owned(), path.display().to_string());
        spec.provenance.insert("backbone_sha256".to_owned(), sha256);
        Ok(Self { model, output, features, width, plan, spec })
    }

    /// Computes the features, trains the head on them, and puts it in place.
    ///
    /// # Errors
    /// What running the backbone or training returns.
    pub fn train(self, job: &Job, subscriber: &mut dyn Subscriber) -> Result<Trained> {
        let backbone = Backbone {
            backend: job.backend,
            model: ModelSource::Bytes(self.features.to_bytes().into()),
            plan: &self.plan,
            threads: job.config.threads(),
        };
        let mut watch = Watch { what: ImagesPass::Features, subscriber, stop: job.stop };
        let rows = extract(&backbone, &job.divided.data.samples, &mut watch)?;
        let mut sets = job.divided.sets(rows, &[self.width], None, subscriber)?;
        let scaling = linear::Scaling::of(sets.train.memory(), self.width)?;
        scaling.apply(sets.train.memory_mut());
        scaling.apply(sets.val.memory_mut());

        let start = linear::model(self.width, job.classes())?;
        let fitted = job.fit(&start, &sets, subscriber)?;
        let layer = scaling.fold(&linear::layer_of(&fitted.model)?);
        let model = head::replace(&self.model, &self.output, &layer.weights, &layer.bias)?;
        Ok(Trained { model, spec: self.spec, summary: fitted.summary, confusion: fitted.confusion })
    }
}

/// The model, and the SHA-256 of its file in hexadecimal.
fn read(source: &ModelSource) -> Result<(Model, String)> {
    let (model, bytes) = match source {
        ModelSource::Path(file) => {
            let bytes: Arc<[u8]> = std::fs::read(file).map_err(|e| Error::io(file, e))?.into();
            (Model::read(file)?, bytes)
        }
        ModelSource::Bytes(bytes) => (Model::from_bytes(bytes)?, Arc::clone(bytes)),
    };
    Ok((model, Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect()))
}

fn scores_of(model: &Model, spec: &ModelSpec) -> Result<String> {
    if let Some(name) = &spec.output {
        return Ok(name.clone());
    }
    let first = model.outputs()?.into_iter().next();
    first.map(|o| o.name).ok_or_else(|| Error::new(ErrorKind::InvalidModel, "the model has no output"))
}

fn only_input(model: &Model) -> Result<TensorSpec> {
    let inputs = model.inputs()?;
    <[TensorSpec; 1]>::try_from(inputs).map(|[input]| input).map_err(|inputs| {
        let names: Vec<String> = inputs.iter().map(|i| format!("`{}`", i.name)).collect();
        Error::new(
            ErrorKind::Unsupported,
            format!("expected a backbone of one input, found {}", names.join(", ")),
        )
    })
}
