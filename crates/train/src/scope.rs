//! The kinds of training: a new head on a frozen backbone, and every layer, of a backbone or of a network from scratch.
//!
//! Both come down to a graph, labelled rows for it, and [`Trainer::fit`]; [`head`] and [`all`] are what differs before
//! and after; [`classifier`] opens a backbone for both. Each first makes ready what can be wrong in a configuration, before anything is written or takes time.

mod all;
mod classifier;
mod head;

use std::time::Instant;

use tintype_core::{ModelSpec, Result};
use tintype_engine::Backend;
use tintype_graph::Model;

use crate::checkpoint::Checkpoints;
use crate::config::{Scope, TrainConfig};
use crate::event::{Subscriber, Summary};
use crate::examples::{Divided, Sets};
use crate::loss::Criterion;
use crate::metrics::Confusion;
use crate::pass::Stop;
use crate::place::Place;
use crate::trainer::{Fitted, Trainer};

/// What both kinds of training need.
pub(crate) struct Job<'a> {
    pub config: &'a TrainConfig,
    pub backend: &'a dyn Backend,
    pub place: Place,
    pub divided: &'a Divided,
    pub stop: &'a Stop,
    /// Where checkpoints go.
    pub checkpoints: Option<&'a Checkpoints>,
    /// When the run began.
    pub began: Instant,
}

/// A checked start.
pub(crate) enum Ready {
    Head(Box<head::Frozen>),
    All(Box<all::Network>),
}

impl Ready {
    /// The shorter side of what the model sees, in pixels; 0 where that is not fixed.
    pub fn side(&self) -> usize {
        let shape = match self {
            Self::Head(frozen) => frozen.shape(),
            Self::All(network) => Some(network.shape()),
        };
        // Height and width are the two largest of an image's sizes, wherever its channels are.
        let mut sizes = shape.unwrap_or_default();
        sizes.sort_unstable();
        sizes[1]
    }
}

/// A trained model with what its package needs.
pub(crate) struct Trained {
    pub model: Model,
    /// Input, preprocessing and the provenance of the weights it began with.
    pub spec: ModelSpec,
    pub summary: Summary,
    pub confusion: Confusion,
}

impl Job<'_> {
    /// Opens or builds the model and checks that it can be trained.
    ///
    /// # Errors
    /// Those of [`head::Frozen::open`], [`all::Network::build`] and [`Criterion::new`].
    pub fn make_ready(&self) -> Result<Ready> {
        // The loss as such is made of the images that can be read; whether it fits the classes is known now.
        Criterion::new(&self.config.trainer, &vec![1; self.classes()])?;
        match self.config.scope {
            Scope::Head => head::Frozen::open(self.config).map(|frozen| Ready::Head(Box::new(frozen))),
            Scope::All => {
                all::Network::build(self.config, self.classes()).map(|network| Ready::All(Box::new(network)))
            }
        }
    }

    /// Trains.
    ///
    /// # Errors
    /// What running the model, decoding or training returns.
    pub fn run(&self, ready: Ready, subscriber: &mut dyn Subscriber) -> Result<Trained> {
        match ready {
            Ready::Head(frozen) => frozen.train(self, subscriber),
            Ready::All(network) => network.train(self, subscriber),
        }
    }

    fn fit(&self, model: &Model, sets: &Sets, subscriber: &mut dyn Subscriber) -> Result<Fitted> {
        let trainer = Trainer {
            backend: self.backend,
            place: self.place,
            model,
            classes: self.classes(),
            config: self.config,
            train: &sets.train,
            val: &sets.val,
            stop: self.stop,
            checkpoints: self.checkpoints,
        };
        trainer.fit(self.began, subscriber)
    }

    fn classes(&self) -> usize {
        self.divided.data.classes.len()
    }
}
