//! The loop: epochs of steps, validation after each, the best one kept.
//!
//! One function trains a head on cached features and a whole network on images: both are a graph with one input and
//! one output of logits. Where the rows come from is [`crate::loader`]'s business, what the graph is [`crate::scope`]'s.
//!
//! ```text
//! fit ─▸ epoch ─▸ stepper: batch → targets → session → gradients → clip → optimizer → average
//!  │       └ order, learning rate, reports                  stage: which parameters learn in which epoch
//!  │                                                        hosted, resident: who holds weights and moments
//!  ├─▸ validation: running statistics, the held-out rows
//!  └─▸ resume: the whole state to and from a checkpoint
//! ```

mod clock;
mod epoch;
mod hosted;
mod learned;
mod resident;
mod resume;
mod scale;
mod stage;
mod stepper;
mod validation;

use std::time::Instant;

use tintype_core::{Error, ErrorKind, Result};
use tintype_engine::Backend;
use tintype_graph::Model;

use crate::checkpoint::Checkpoints;
use crate::config::TrainConfig;
use crate::event::{EpochReport, Subscriber, Summary, TrainEvent};
use crate::examples::Examples;
use crate::loss::Criterion;
use crate::metrics::Confusion;
use crate::pass::Stop;
use crate::place::Place;
use crate::schedule::Schedule;
use crate::tally::{Progress, Tally};
use clock::Clock;
pub(crate) use resume::completed;
use stepper::Stepper;
use validation::Validated;

/// What is trained, on what, by which engine.
pub(crate) struct Trainer<'a> {
    pub backend: &'a dyn Backend,
    pub place: Place,
    /// The inference graph: one input `[N, …]` of free batch size, one output of logits `[N, classes]`.
    pub model: &'a Model,
    pub classes: usize,
    pub config: &'a TrainConfig,
    pub train: &'a Examples,
    pub val: &'a Examples,
    pub stop: &'a Stop,
    /// Where checkpoints go; none are written where absent. With `config.resume` the last one is where it begins.
    pub checkpoints: Option<&'a Checkpoints>,
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
    model: Model,
    epoch: usize,
    val: Tally,
}

/// How far a training is; what a checkpoint holds.
struct State<'a> {
    /// Complete epochs.
    epoch: usize,
    /// Batches done of the next.
    done: usize,
    /// What those came to.
    progress: Progress,
    stepper: Stepper<'a>,
    schedule: Schedule,
    best: Option<Best>,
    /// Epochs since the best.
    waited: usize,
}

impl<'a> Trainer<'a> {
    /// Trains for the configured epochs, or until a stop is requested or patience ends, and keeps the epoch that is best
    /// by validation accuracy (the lower loss of equal ones); with an average of the weights, the better of the two.
    ///
    /// # Errors
    /// What differentiating, loading, running or reading returns; `InvalidArgument` when the loss is not a number or the
    /// checkpoint to begin with is of another training; `Io` when a checkpoint cannot be written.
    pub fn fit(&self, began: Instant, subscriber: &mut dyn Subscriber) -> Result<Fitted> {
        let criterion = Criterion::new(&self.config.trainer, &self.train.counts(self.classes))?;
        let mut state = self.begin()?;
        let mut clock = Clock::start(self.config.trainer.epochs.saturating_sub(state.epoch));
        let mut early = false;
        while !early && self.goes_on(&state) {
            let epoch_began = Instant::now();
            self.enter_stage(&mut state)?;
            let pass = self.epoch(&mut state, &criterion, &mut clock, subscriber)?;
            early = self.stop.is_requested();
            if early {
                self.save_last(&mut state)?;
                if state.best.is_some() {
                    break;
                }
            }
            let images_per_second =
                state.progress.count() as f64 / epoch_began.elapsed().as_secs_f64().max(1e-9);
            let validated = self.validate(&mut state)?;
            let better = state.best.as_ref().is_none_or(|best| validated.better().beats(&best.val));
            let report = EpochReport {
                epoch: state.epoch + 1,
                epochs: self.config.trainer.epochs,
                train_loss: state.progress.loss(),
                train_accuracy: state.progress.accuracy(),
                val_loss: validated.plain.loss(),
                val_accuracy: validated.plain.accuracy(),
                ema_val_loss: validated.average.as_ref().map(|(_, tally)| tally.loss()),
                ema_val_accuracy: validated.average.as_ref().map(|(_, tally)| tally.accuracy()),
                learning_rate: pass.rate,
                images_per_second,
                waited_seconds: pass.waited.as_secs_f64(),
                seconds: epoch_began.elapsed().as_secs_f64(),
                best: better,
            };
            let loss = validated.plain.loss();
            self.keep(&mut state, validated, better)?;
            if !early {
                // A stop has saved what there was in the middle of the epoch: it will be gone on from there.
                self.close_epoch(&mut state, loss, better)?;
            }
            subscriber.on_event(&TrainEvent::Epoch(report));
        }
        self.finish(state, early, began, subscriber)
    }

    /// Whether there is an epoch to come.
    fn goes_on(&self, state: &State<'_>) -> bool {
        let patience = self.config.trainer.patience;
        state.epoch < self.config.trainer.epochs && (patience == 0 || state.waited < patience)
    }

    /// Keeps what was validated, if it is the best so far.
    fn keep(&self, state: &mut State<'_>, validated: Validated, better: bool) -> Result<()> {
        if better {
            let (weights, val) = validated.into_better();
            state.best = Some(Best { model: weights.write_into(self.model)?, epoch: state.epoch + 1, val });
        }
        Ok(())
    }

    /// Counts a validated epoch and writes the checkpoints.
    fn close_epoch(&self, state: &mut State<'_>, val_loss: f64, better: bool) -> Result<()> {
        state.schedule.validated(val_loss);
        state.waited = if better { 0 } else { state.waited + 1 };
        state.epoch += 1;
        state.done = 0;
        state.progress = Progress::default();
        if better {
            self.save_best(state)?;
        }
        self.save_last(state)
    }

    fn finish(
        &self,
        state: State<'_>,
        stopped: bool,
        began: Instant,
        subscriber: &mut dyn Subscriber,
    ) -> Result<Fitted> {
        let best = state.best.ok_or_else(|| Error::new(ErrorKind::InvalidConfig, "`trainer.epochs` is 0"))?;
        let summary = Summary {
            best_epoch: best.epoch,
            epochs: state.epoch.max(1),
            val_accuracy: best.val.accuracy(),
            val_loss: best.val.loss(),
            stopped,
            seconds: began.elapsed().as_secs_f64(),
        };
        subscriber.on_event(&TrainEvent::Finished(summary));
        Ok(Fitted { model: best.model, summary, confusion: best.val.into_confusion() })
    }
}

#[cfg(test)]
mod tests;
