//! Steps: owns the training session, the weights, the optimizer and the average.

use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor};
use tintype_engine::{Session, SessionOptions};
use tintype_graph::{GradientOptions, Model, TrainingGraph, differentiate};

use super::Trainer;
use super::stage::{Stage, Trainable};
use crate::config::OptimConfig;
use crate::ema::Ema;
use crate::loader::Batch;
use crate::loss::Targets;
use crate::optim::clip::Clip;
use crate::optim::{Optimizer, groups};
use crate::tally::Progress;
use crate::weights::Weights;

/// Makes the steps of one stage.
pub(super) struct Stepper {
    pub stage: Stage,
    pub weights: Weights,
    pub optimizer: Optimizer,
    pub ema: Option<Ema>,
    /// Rows a batch.
    pub batch: usize,
    /// The graph, for its statistics alone; see [`super::validation`].
    pub graph: TrainingGraph,
    session: Box<dyn Session>,
    pending: Option<Pending>,
}

/// Gradients that have not moved anything yet.
struct Pending {
    /// Their sum over batches.
    gradients: Vec<Tensor>,
    /// What the losses' sum is to be divided by.
    weight: f64,
}

impl Stepper {
    /// A stepper for the parameters of `model` that learn in `stage`.
    pub fn new(trainer: &Trainer, model: &Model, stage: Stage) -> Result<Self> {
        let config = trainer.config;
        let batch = config.trainer.batch_size.min(trainer.train.len());
        let trainable = Trainable::new(&config.trainer, model)?;
        let accepts = |name: &str| trainable.accepts(stage, name);
        let graph = differentiate(model, &GradientOptions { batch, fused: true, trainable: &accepts })?;
        let session = load(trainer, &graph.model)?;
        let weights = Weights::of(model, &graph)?;
        let settings = groups::settings(&config.optim, model, &graph.parameters);
        let optimizer = Optimizer::new(&config.optim, settings);
        let ema = Ema::new(config.trainer.ema, &weights);
        Ok(Self { stage, weights, optimizer, ema, batch, graph, session, pending: None })
    }

    /// Goes on where the stepper of another stage left off.
    pub fn follow(&mut self, before: Self) -> Result<()> {
        self.optimizer.follow(before.optimizer);
        self.ema = match before.ema {
            Some(ema) => Some(ema.follow(&self.weights)?),
            None => None,
        };
        Ok(())
    }

    /// Runs one batch, whose gradients then wait for [`Stepper::update`]; returns its loss.
    pub fn batch(
        &mut self,
        batch: &Batch,
        targets: &Targets,
        seed: u64,
        progress: &mut Progress,
    ) -> Result<f64> {
        let seed = Tensor::new(vec![1], vec![seed as i64])?;
        let inputs = inputs(&self.graph, &self.weights, [&batch.rows, &targets.rows, &seed]);
        let mut outputs = self.session.run(&inputs)?;
        let parameters = self.weights.parameters.len();
        if outputs.len() < 2 + parameters {
            return Err(missing("gradients"));
        }
        let statistics = outputs.split_off(2 + parameters);
        let gradients = outputs.split_off(2);
        self.weights.observe(&statistics)?;
        let mean = outputs[0].values::<f32>()?.first().copied().ok_or_else(|| missing("loss"))?;
        // The graph divides by the rows.
        let loss = f64::from(mean) * batch.classes.len() as f64;
        progress.add(loss, targets.weight, &outputs[1], &batch.classes)?;
        match &mut self.pending {
            None => self.pending = Some(Pending { gradients, weight: targets.weight }),
            Some(pending) => {
                pending.weight += targets.weight;
                for (sum, gradient) in pending.gradients.iter_mut().zip(&gradients) {
                    let values = sum.values_mut::<f32>()?;
                    values.iter_mut().zip(gradient.values::<f32>()?).for_each(|(s, g)| *s += g);
                }
            }
        }
        Ok(loss / targets.weight)
    }

    /// Moves the weights along the gradients that wait: of the mean loss over all of their rows.
    pub fn update(&mut self, config: &OptimConfig, rate: f64) -> Result<()> {
        let Some(Pending { gradients, weight }) = self.pending.take() else { return Ok(()) };
        let clip = Clip::new(config, &gradients, self.batch as f64 / weight)?;
        self.optimizer.step(&mut self.weights.parameters, &gradients, rate, clip)?;
        if let Some(ema) = &mut self.ema {
            ema.update(&self.weights)?;
        }
        Ok(())
    }
}

/// The inputs of a training graph: rows, targets and seed, then the parameters.
pub(super) fn inputs<'a>(
    graph: &TrainingGraph,
    weights: &'a Weights,
    [rows, targets, seed]: [&'a Tensor; 3],
) -> Vec<&'a Tensor> {
    let mut inputs = vec![rows, targets];
    inputs.extend(graph.has_seed.then_some(seed));
    inputs.extend(&weights.parameters);
    inputs
}

/// A session of a training graph with all cores.
pub(super) fn load(trainer: &Trainer, graph: &Model) -> Result<Box<dyn Session>> {
    let options = SessionOptions {
        intra_threads: trainer.config.threads(),
        spinning: true,
        custom_operators: true,
        ..SessionOptions::default()
    };
    trainer.backend.load(&ModelSource::Bytes(graph.to_bytes().into()), &options)
}

pub(super) fn missing(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the graph has no output for the {what}"))
}
