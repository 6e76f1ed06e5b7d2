//! Steps: a batch's gradients, then the weights along them.
//!
//! How a step is computed is one of two: [`Hosted`] runs the training graph and moves the weights itself, [`Resident`]
//! leaves weights and moments on the device and runs a graph that moves them there. Both say what they have learned in
//! the same words, [`Learned`]: the rest of the trainer does not know which it is.

use std::rc::Rc;

use tintype_core::{Error, ErrorKind, Result, Tensor};
use tintype_graph::{GradientOptions, Half, Model, TrainingGraph, differentiate};

use super::Trainer;
use super::hosted::Hosted;
use super::learned::Learned;
use super::resident::Resident;
use super::scale::LossScale;
use super::stage::{Stage, Trainable};
use crate::config::OptimConfig;
use crate::loader::Batch;
use crate::loss::Targets;
use crate::tally::Progress;
use crate::weights::Weights;

/// How steps are computed.
pub(super) trait Steps {
    /// Runs a batch: rows, targets and seed. Its gradients are added to those that wait, its statistics observed.
    ///
    /// # Errors
    /// What running the graph returns.
    fn batch(&mut self, learned: &mut Learned, inputs: [Tensor; 3]) -> Result<Answers>;

    /// Moves the weights along the gradients that wait, and the average after them; none wait then. Says `false` where it
    /// leaves the step out, because the loss is scaled and a gradient is no number.
    ///
    /// # Errors
    /// What running the graph returns.
    fn update(&mut self, learned: &mut Learned, along: Along) -> Result<bool>;

    /// Brings what was learned up to date.
    ///
    /// # Errors
    /// What the engine returns.
    fn settle(&mut self, learned: &mut Learned) -> Result<()>;

    /// Says that somebody else will change what was learned, after [`Steps::settle`].
    fn let_go(&mut self);
}

/// What a batch's graph says of it.
pub(super) struct Answers {
    /// The mean loss of the rows.
    pub loss: f32,
    /// `f32[N, K]`.
    pub logits: Tensor,
}

/// How far an update goes.
#[derive(Clone, Copy)]
pub(super) struct Along<'a> {
    pub config: &'a OptimConfig,
    pub rate: f64,
    /// What makes the gradients that wait those of the mean loss.
    pub factor: f64,
}

/// Makes the steps of one stage.
pub(super) struct Stepper<'a> {
    pub stage: Stage,
    /// Rows a batch.
    pub batch: usize,
    /// The graph, for its statistics alone; see [`super::validation`]. Steps on a device make theirs of it.
    pub graph: Rc<TrainingGraph>,
    learned: Learned,
    steps: Box<dyn Steps + 'a>,
    /// What the waiting losses' sum is to be divided by; 0 where none wait.
    weight: f64,
    /// What losses are multiplied with on the way to their gradients, where numbers are small.
    pub scale: Option<LossScale>,
}

impl<'a> Stepper<'a> {
    /// A stepper for the parameters of `model` that learn in `stage`.
    pub fn new(trainer: &Trainer<'a>, model: &Model, stage: Stage) -> Result<Self> {
        let config = trainer.config;
        let batch = config.trainer.batch_size.min(trainer.train.len());
        let trainable = Trainable::new(&config.trainer, model)?;
        let accepts = |name: &str| trainable.accepts(stage, name);
        let options = GradientOptions { batch, fused: trainer.place.fused, trainable: &accepts };
        let mut graph = differentiate(model, &options)?;
        if let Some(half) = trainer.place.half {
            graph = graph.mixed(half)?;
        }
        let scale = (trainer.place.half == Some(Half::Float16)).then(LossScale::default);
        let graph = Rc::new(graph);
        let learned = Learned::new(config, model, &graph)?;
        let steps: Box<dyn Steps + 'a> = if trainer.place.resident {
            Box::new(Resident::new(trainer, Rc::clone(&graph)))
        } else {
            Box::new(Hosted::new(trainer, &graph)?)
        };
        Ok(Self { stage, batch, graph, learned, steps, weight: 0.0, scale })
    }

    /// Goes on where the stepper of another stage left off.
    pub fn follow(&mut self, mut before: Self) -> Result<()> {
        before.learned()?;
        self.scale = before.scale;
        self.learned_mut()?.follow(before.learned)
    }

    /// What was learned, in the host's memory.
    ///
    /// # Errors
    /// What the engine returns when it is fetched.
    pub fn learned(&mut self) -> Result<&Learned> {
        self.steps.settle(&mut self.learned)?;
        Ok(&self.learned)
    }

    /// The same, to be changed.
    ///
    /// # Errors
    /// As [`Stepper::learned`].
    pub fn learned_mut(&mut self) -> Result<&mut Learned> {
        self.steps.settle(&mut self.learned)?;
        self.steps.let_go();
        Ok(&mut self.learned)
    }

    /// Runs one batch, whose gradients then wait for [`Stepper::update`]; returns its loss.
    pub fn batch(
        &mut self,
        batch: Batch,
        mut targets: Targets,
        seed: u64,
        progress: &mut Progress,
    ) -> Result<f64> {
        let Batch { rows, classes, mixed: _ } = batch;
        let seed = Tensor::new(vec![1], vec![seed as i64])?;
        // The loss, and with it every gradient, is linear in the targets.
        let scale = self.scale.map_or(1.0, |scale| scale.factor);
        if self.scale.is_some() {
            targets.rows.values_mut::<f32>()?.iter_mut().for_each(|target| *target *= scale as f32);
        }
        let answers = self.steps.batch(&mut self.learned, [rows, targets.rows, seed])?;
        // The graph divides by the rows.
        let loss = f64::from(answers.loss) / scale * classes.len() as f64;
        progress.add(loss, targets.weight, &answers.logits, &classes)?;
        self.weight += targets.weight;
        Ok(loss / targets.weight)
    }

    /// Moves the weights along the gradients that wait: of the mean loss over all of their rows.
    pub fn update(&mut self, config: &OptimConfig, rate: f64) -> Result<()> {
        if self.weight > 0.0 {
            let scale = self.scale.map_or(1.0, |scale| scale.factor);
            let factor = self.batch as f64 / self.weight / scale;
            self.weight = 0.0;
            let moved = self.steps.update(&mut self.learned, Along { config, rate, factor })?;
            if let Some(scale) = &mut self.scale {
                scale.count(moved);
            }
        }
        Ok(())
    }
}

/// The inputs of a training graph: rows, targets and, if it has one, the seed, then the parameters.
pub(super) fn inputs<'a>(
    has_seed: bool,
    weights: &'a Weights,
    [rows, targets, seed]: [&'a Tensor; 3],
) -> Vec<&'a Tensor> {
    let mut inputs = vec![rows, targets];
    inputs.extend(has_seed.then_some(seed));
    inputs.extend(&weights.parameters);
    inputs
}

/// Loss and logits, a graph's first outputs.
pub(super) fn answers(outputs: Vec<Tensor>) -> Result<Answers> {
    let mut outputs = outputs.into_iter();
    let loss = outputs.next().ok_or_else(|| missing("loss"))?;
    let loss = loss.values::<f32>()?.first().copied().ok_or_else(|| missing("loss"))?;
    Ok(Answers { loss, logits: outputs.next().ok_or_else(|| missing("logits"))? })
}

pub(super) fn missing(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the graph has no output for the {what}"))
}
