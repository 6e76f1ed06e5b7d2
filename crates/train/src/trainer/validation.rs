//! After an epoch: running statistics taken anew where they need it, and the answers over the held-out rows.
//!
//! Batch norms answer with running statistics, which follow the batches at the momentum that the model came with. With a
//! momentum of 0.99 they remember a hundred batches: in a short training they still are what they were before it, and the
//! model fails in validation however well it learned. PyTorch's `update_bn` is the remedy: the statistics of the weights
//! as they are now, averaged over some training batches. What the loop itself keeps stays PyTorch's.

use std::ops::ControlFlow;

use tintype_core::{ModelSource, Result, Tensor};
use tintype_engine::SessionOptions;
use tintype_graph::Model;

use super::stepper::{inputs, missing};
use super::{State, Trainer};
use crate::augment::{Moment, Stream};
use crate::config::UpdateBn;
use crate::loader::{Order, for_batches};
use crate::tally::Tally;
use crate::weights::Weights;

/// Batches over which `update_bn=auto` averages.
const AUTO: usize = 32;

/// Running statistics follow a training that is this many times longer than what they remember: less than 1 % of them
/// is then from before it.
const LONG_ENOUGH: f64 = 5.0;

/// What an epoch's weights came to over the held-out rows.
pub(super) struct Validated {
    pub weights: Weights,
    pub plain: Tally,
    /// The average of the weights and what it came to.
    pub average: Option<(Weights, Tally)>,
}

impl Validated {
    /// The better of the two.
    pub fn better(&self) -> &Tally {
        match &self.average {
            Some((_, tally)) if tally.beats(&self.plain) => tally,
            _ => &self.plain,
        }
    }

    /// The weights that are better, with what they came to.
    pub fn into_better(self) -> (Weights, Tally) {
        match self.average {
            Some((weights, tally)) if tally.beats(&self.plain) => (weights, tally),
            _ => (self.weights, self.plain),
        }
    }
}

impl Trainer<'_> {
    /// Validates the weights, and their average where there is one.
    pub(super) fn validate(&self, state: &mut State<'_>) -> Result<Validated> {
        let learned = state.stepper.learned()?;
        let (weights, average) =
            (learned.weights.clone(), learned.ema.as_ref().map(|ema| ema.weights.clone()));
        let weights = self.settled(state, weights)?;
        let plain = self.answers(&weights.write_into(self.model)?)?;
        let average = match average {
            Some(average) => {
                let weights = self.settled(state, average)?;
                let tally = self.answers(&weights.write_into(self.model)?)?;
                Some((weights, tally))
            }
            None => None,
        };
        Ok(Validated { weights, plain, average })
    }

    /// The answers of an inference model over the held-out rows.
    pub(super) fn answers(&self, model: &Model) -> Result<Tally> {
        let threads = self.config.threads();
        let options =
            SessionOptions { device: self.place.device, intra_threads: threads, ..SessionOptions::default() };
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

    /// The weights with running statistics that fit them.
    fn settled(&self, state: &State<'_>, mut weights: Weights) -> Result<Weights> {
        let batches = self.batches_to_settle(state, &weights);
        if batches == 0 {
            return Ok(weights);
        }
        let stepper = &state.stepper;
        let statistics = ModelSource::Bytes(stepper.graph.statistics()?.to_bytes().into());
        let mut session = self.backend.load(&statistics, &self.place.for_training(self.config))?;
        let moment = Moment { seed: self.config.seed, epoch: state.epoch + 1 };
        let order = Order::shuffled(self.train.len(), stepper.batch, moment, Stream::Statistics);
        let seed = Tensor::new(vec![1], vec![0i64])?;
        // They do not reach the statistics.
        let targets =
            Tensor::new(vec![stepper.batch, self.classes], vec![0.0f32; stepper.batch * self.classes])?;
        let mut found = Vec::new();
        for_batches(self.train, &order.at_most(batches), self.config.threads(), |batch| {
            found.push(session.run(&inputs(
                stepper.graph.has_seed,
                &weights,
                [&batch.rows, &targets, &seed],
            ))?);
            Ok(ControlFlow::Continue(()))
        })?;
        weights.average(&found)?;
        Ok(weights)
    }

    /// Over how many batches running statistics are taken anew; 0 where they are not.
    fn batches_to_settle(&self, state: &State<'_>, weights: &Weights) -> usize {
        let Some(memory) = weights.memory() else { return 0 };
        match self.config.trainer.update_bn {
            UpdateBn::Batches(batches) => batches,
            UpdateBn::Auto => {
                let steps = (self.train.len() / state.stepper.batch).max(1) * self.config.trainer.epochs;
                if (steps as f64) < LONG_ENOUGH * memory { AUTO } else { 0 }
            }
        }
    }
}
