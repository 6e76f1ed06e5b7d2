//! The loop: batches through the differentiated graph, gradients into the optimizer, validation after each epoch.
//!
//! One function trains a head on cached features and a whole network on images: both are a graph with one input and
//! one output of logits. Where the rows come from is [`crate::loader`]'s business, what the graph is [`crate::run`]'s.

use std::ops::ControlFlow;
use std::time::Instant;

use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor};
use tintype_engine::{Backend, Session, SessionOptions};
use tintype_graph::{GradientOptions, Model, differentiate};

use crate::config::TrainConfig;
use crate::event::{EpochReport, StepReport, Subscriber, Summary, TrainEvent};
use crate::examples::Examples;
use crate::loader::{Batch, Order, for_batches};
use crate::metrics::Confusion;
use crate::optim::Optimizer;
use crate::pass::Stop;
use crate::tally::Tally;
use crate::weights::Weights;

/// What is trained, on what, by which engine.
pub(crate) struct Trainer<'a> {
    pub backend: &'a dyn Backend,
    /// The inference graph: one input `[N, …]` of free batch size, one output of logits `[N, classes]`.
    pub model: &'a Model,
    pub classes: usize,
    pub config: &'a TrainConfig,
    pub train: &'a Examples,
    pub val: &'a Examples,
    pub stop: &'a Stop,
}

/// The best epoch of a training.
pub(crate) struct Fitted {
    pub model: Model,
    pub summary: Summary,
    /// Answers of that epoch over the held-out rows.
    pub confusion: Confusion,
}

/// The best epoch so far.
struct Best {
    weights: Weights,
    epoch: usize,
    val: Tally,
}

impl Trainer<'_> {
    /// Trains for the configured epochs, or until a stop is requested, and keeps the epoch that is best by validation
    /// accuracy (the lower loss of equal ones).
    ///
    /// # Errors
    /// What differentiating, loading, running or reading returns; `InvalidArgument` when the loss is not a number.
    pub fn fit(&self, began: Instant, subscriber: &mut dyn Subscriber) -> Result<Fitted> {
        let epochs = self.config.trainer.epochs;
        let mut state = Stepper::new(self)?;
        let mut clock = Clock { training: Instant::now(), done: 0, epochs };
        let mut best: Option<Best> = None;
        let (mut validated, mut early) = (0, false);
        for epoch in 1..=epochs {
            let epoch_began = Instant::now();
            let train = self.epoch(epoch, &mut state, &mut clock, subscriber)?;
            let stopped = self.stop.is_requested();
            if stopped && best.is_some() {
                early = true;
                break;
            }
            let images_per_second = train.count() as f64 / epoch_began.elapsed().as_secs_f64().max(1e-9);
            let val = self.validate(&state.weights.write_into(self.model)?)?;
            let better = best.as_ref().is_none_or(|b| val.beats(&b.val));
            subscriber.on_event(&TrainEvent::Epoch(EpochReport {
                epoch,
                epochs,
                train_loss: train.loss(),
                train_accuracy: train.accuracy(),
                val_loss: val.loss(),
                val_accuracy: val.accuracy(),
                images_per_second,
                seconds: epoch_began.elapsed().as_secs_f64(),
                best: better,
            }));
            if better {
                best = Some(Best { weights: state.weights.clone(), epoch, val });
            }
            validated = epoch;
            if stopped {
                early = true;
                break;
            }
        }
        let best = best.ok_or_else(|| Error::new(ErrorKind::InvalidConfig, "`trainer.epochs` is 0"))?;
        let summary = Summary {
            best_epoch: best.epoch,
            epochs: validated,
            val_accuracy: best.val.accuracy(),
            val_loss: best.val.loss(),
            stopped: early,
            seconds: began.elapsed().as_secs_f64(),
        };
        subscriber.on_event(&TrainEvent::Finished(summary));
        let model = best.weights.write_into(self.model)?;
        Ok(Fitted { model, summary, confusion: best.val.into_confusion() })
    }

    /// One pass over the training rows, or as far as a stop lets it go.
    fn epoch(
        &self,
        epoch: usize,
        state: &mut Stepper,
        clock: &mut Clock,
        subscriber: &mut dyn Subscriber,
    ) -> Result<Tally> {
        let began = Instant::now();
        let mut order = Order::shuffled(self.train.len(), state.batch, self.config.seed, epoch);
        if self.config.augment.flip {
            order.flip = Some(self.config.seed ^ epoch as u64);
        }
        let steps = order.batches.len();
        let mut tally = Tally::new(self.classes);
        let mut step = 0;
        for_batches(self.train, &order, self.config.threads(), |batch| {
            let loss = state.step(&batch, &mut tally)?;
            step += 1;
            if !loss.is_finite() {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("the loss is `{loss}` in epoch {epoch}, step {step}"),
                )
                .with_hint("a lower `optim.lr` may help"));
            }
            let (images_per_second, time_left) = clock.tick(steps, &tally, began);
            subscriber.on_event(&TrainEvent::Step(StepReport {
                epoch,
                epochs: self.config.trainer.epochs,
                step,
                steps,
                loss: tally.loss(),
                accuracy: tally.accuracy(),
                images_per_second,
                time_left,
            }));
            Ok(if self.stop.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(tally)
    }

    /// The answers of an inference model over the held-out rows.
    fn validate(&self, model: &Model) -> Result<Tally> {
        let threads = self.config.threads();
        let options = SessionOptions { intra_threads: threads, ..SessionOptions::default() };
        let mut session = self.backend.load(&ModelSource::Bytes(model.to_bytes().into()), &options)?;
        let mut tally = Tally::new(self.classes);
        let order = Order::sequential(self.val.len(), self.config.trainer.batch_size);
        for_batches(self.val, &order, threads, |batch| {
            let outputs = session.run(&[&batch.rows])?;
            let logits = outputs.first().ok_or_else(|| missing("logits"))?;
            tally.add(logits, &batch.classes)?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(tally)
    }
}

/// Makes steps: owns the training session, the weights and the optimizer.
struct Stepper {
    session: Box<dyn Session>,
    weights: Weights,
    optimizer: Optimizer,
    batch: usize,
    classes: usize,
    /// The next step's seed of dropout, where the graph has any.
    seed: Option<i64>,
}

impl Stepper {
    fn new(trainer: &Trainer) -> Result<Self> {
        let config = trainer.config;
        let batch = config.trainer.batch_size.min(trainer.train.len());
        let options = GradientOptions { batch, fused: true, trainable: &|_| true };
        let graph = differentiate(trainer.model, &options)?;
        let threads = config.threads();
        let session = trainer.backend.load(
            &ModelSource::Bytes(graph.model.to_bytes().into()),
            &SessionOptions {
                intra_threads: threads,
                spinning: true,
                custom_operators: true,
                ..SessionOptions::default()
            },
        )?;
        let weights = Weights::of(trainer.model, &graph)?;
        let optimizer = Optimizer::new(&config.optim, &weights.sizes());
        // Apart by more than any number of steps, so that no two runs of nearby seeds share a mask.
        let seed = graph.has_seed.then(|| (config.seed as i64).wrapping_mul(1 << 32));
        Ok(Self { session, weights, optimizer, batch, classes: trainer.classes, seed })
    }

    /// One step on one batch; returns its mean loss.
    fn step(&mut self, batch: &Batch, tally: &mut Tally) -> Result<f32> {
        let targets = one_hot(&batch.classes, self.classes)?;
        let seed = match &mut self.seed {
            Some(seed) => {
                *seed = seed.wrapping_add(1);
                Some(Tensor::new(vec![1], vec![*seed])?)
            }
            None => None,
        };
        let mut inputs = vec![&batch.rows, &targets];
        inputs.extend(&seed);
        inputs.extend(&self.weights.parameters);
        let mut outputs = self.session.run(&inputs)?;
        let parameters = self.weights.parameters.len();
        if outputs.len() < 2 + parameters {
            return Err(missing("gradients"));
        }
        let statistics = outputs.split_off(2 + parameters);
        let gradients = outputs.split_off(2);
        self.optimizer.step(&mut self.weights.parameters, &gradients)?;
        self.weights.observe(&statistics)?;
        tally.add(&outputs[1], &batch.classes)?;
        outputs[0].values::<f32>()?.first().copied().ok_or_else(|| missing("loss"))
    }
}

fn one_hot(classes: &[usize], count: usize) -> Result<Tensor> {
    let mut values = vec![0.0f32; classes.len() * count];
    for (row, &class) in values.chunks_exact_mut(count).zip(classes) {
        row[class] = 1.0;
    }
    Tensor::new(vec![classes.len(), count], values)
}

fn missing(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the graph has no output for the {what}"))
}

/// How fast it goes, and for how long still.
struct Clock {
    /// When the first step began.
    training: Instant,
    /// Steps of all epochs so far.
    done: usize,
    epochs: usize,
}

impl Clock {
    /// Counts a step of an epoch of `steps` that began at `began`: images a second, and the time left.
    fn tick(&mut self, steps: usize, tally: &Tally, began: Instant) -> (f64, std::time::Duration) {
        self.done += 1;
        let left = (steps * self.epochs).saturating_sub(self.done) as f64 / self.done as f64;
        let speed = tally.count() as f64 / began.elapsed().as_secs_f64().max(1e-9);
        (speed, self.training.elapsed().mul_f64(left))
    }
}

#[cfg(test)]
mod tests;
