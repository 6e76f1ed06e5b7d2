//! One pass over the training rows.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tintype_core::{Error, ErrorKind, Result};

use super::clock::Clock;
use super::{State, Trainer};
use crate::augment::{Moment, Stream};
use crate::event::{StepReport, Subscriber, TrainEvent};
use crate::loader::{Order, for_batches};
use crate::loss::Criterion;

/// What an epoch's steps came to, beside what they learned.
pub(super) struct Pass {
    /// The last learning rate.
    pub rate: f64,
    /// How long steps waited for their images.
    pub waited: Duration,
}

impl Trainer<'_> {
    /// Makes the steps that the epoch still has, or as many as a stop lets it.
    pub(super) fn epoch(
        &self,
        state: &mut State<'_>,
        criterion: &Criterion,
        clock: &mut Clock,
        subscriber: &mut dyn Subscriber,
    ) -> Result<Pass> {
        let began = Instant::now();
        let epoch = state.epoch + 1;
        let order = self.order(epoch, state.stepper.batch);
        let steps = order.batches.len();
        let order = order.after(state.done);
        let accumulate = self.config.trainer.accumulate;
        let already = state.progress.count();
        let mut rate = self.rate(state, state.done, steps);
        let waited = for_batches(self.train, &order, self.config.threads(), |batch| {
            let targets = criterion.targets(&batch.classes, batch.mixed)?;
            // The graph's random numbers follow from the place in the training alone.
            let seed = (self.config.seed << 32).wrapping_add(((epoch - 1) * steps + state.done) as u64);
            let loss = state.stepper.batch(batch, targets, seed, &mut state.progress)?;
            state.done += 1;
            if !loss.is_finite() {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("the loss is `{loss}` in epoch {epoch}, step {}", state.done),
                )
                .with_hint("a lower `optim.lr` may help"));
            }
            let moves = state.done.is_multiple_of(accumulate) || state.done == steps;
            if moves {
                rate = self.rate(state, state.done - 1, steps);
                state.stepper.update(&self.config.optim, rate)?;
            }
            let elapsed = began.elapsed().as_secs_f64().max(1e-9);
            subscriber.on_event(&TrainEvent::Step(StepReport {
                epoch,
                epochs: self.config.trainer.epochs,
                step: state.done,
                steps,
                loss: state.progress.loss(),
                accuracy: state.progress.accuracy(),
                images_per_second: (state.progress.count() - already) as f64 / elapsed,
                time_left: clock.tick(steps),
            }));
            let stops = moves && self.stop.is_requested();
            Ok(if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(Pass { rate, waited })
    }

    /// The order of an epoch's rows in batches.
    pub(super) fn order(&self, epoch: usize, batch: usize) -> Order {
        let moment = Moment { seed: self.config.seed, epoch };
        Order::shuffled(self.train.len(), batch, moment, Stream::Order)
    }

    /// The rate of the step that the batch number `place`, from 0, belongs to.
    fn rate(&self, state: &State<'_>, place: usize, steps: usize) -> f64 {
        let accumulate = self.config.trainer.accumulate;
        state.schedule.rate(state.epoch, (place / accumulate) as f64 / steps.div_ceil(accumulate) as f64)
    }
}
