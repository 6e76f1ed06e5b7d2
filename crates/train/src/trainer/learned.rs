//! What a training has learned so far, in the host's memory.

use tintype_core::Result;
use tintype_graph::{Model, TrainingGraph};

use crate::config::TrainConfig;
use crate::ema::Ema;
use crate::optim::{Optimizer, groups};
use crate::weights::Weights;

/// Everything that steps change.
#[derive(Debug)]
pub(super) struct Learned {
    pub weights: Weights,
    pub optimizer: Optimizer,
    pub ema: Option<Ema>,
}

impl Learned {
    /// What `model` has learned before the first step.
    ///
    /// # Errors
    /// Those of [`Weights::of`].
    pub fn new(config: &TrainConfig, model: &Model, graph: &TrainingGraph) -> Result<Self> {
        let weights = Weights::of(model, graph)?;
        let settings = groups::settings(&config.optim, model, &graph.parameters);
        let optimizer = Optimizer::new(&config.optim, settings);
        let ema = Ema::new(config.trainer.ema, &weights);
        Ok(Self { weights, optimizer, ema })
    }

    /// Goes on where a training of other parameters left off.
    ///
    /// # Errors
    /// Those of [`Ema::follow`].
    pub fn follow(&mut self, before: Self) -> Result<()> {
        self.optimizer.follow(before.optimizer);
        self.ema = match before.ema {
            Some(ema) => Some(ema.follow(&self.weights)?),
            None => None,
        };
        Ok(())
    }
}
