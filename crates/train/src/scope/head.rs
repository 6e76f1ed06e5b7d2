//! `scope=head`: the last linear layer of any classifier, on features that the rest computes once.

use tintype_core::{ModelSource, ModelSpec, Plan, Result};
use tintype_graph::{Model, head};

use super::classifier::Classifier;
use super::{Job, Trained};
use crate::config::TrainConfig;
use crate::event::{ImagesPass, Subscriber};
use crate::examples::Decoded;
use crate::features::{Backbone, extract};
use crate::linear;
use crate::pass::Watch;

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
    /// `Unsupported` when the model has no linear head; those of [`Classifier::open`].
    pub fn open(config: &TrainConfig) -> Result<Self> {
        let Classifier { model, before, output, features: width, plan, spec } = Classifier::open(config)?;
        Ok(Self { model, output, features: before, width, plan, spec })
    }

    /// The shape of a prepared image, where that is fixed.
    pub fn shape(&self) -> Option<[usize; 3]> {
        self.plan.output_shape()
    }

    /// Computes the features, trains the head on them, and puts it in place.
    ///
    /// # Errors
    /// What running the backbone or training returns.
    pub fn train(self, job: &Job, subscriber: &mut dyn Subscriber) -> Result<Trained> {
        let backbone = Backbone {
            backend: job.backend,
            device: job.place.device,
            model: ModelSource::Bytes(self.features.to_bytes().into()),
            plan: &self.plan,
            threads: job.config.threads(),
        };
        let mut watch = Watch { what: ImagesPass::Features, subscriber, stop: job.stop };
        let rows = extract(&backbone, &job.divided.data.samples, &mut watch)?;
        let rows = rows.into_iter().map(|row| row.map(Decoded::Row)).collect();
        let mut sets = job.divided.sets(rows, &[self.width], None, subscriber)?;
        let scaling = linear::Scaling::of(sets.train.memory(), self.width)?;
        scaling.apply(sets.train.memory_mut());
        scaling.apply(sets.val.memory_mut());

        let start = linear::model(self.width, job.classes());
        let fitted = job.fit(&start, &sets, subscriber)?;
        let layer = scaling.fold(&linear::layer_of(&fitted.model)?);
        let model = head::replace(&self.model, &self.output, &layer.weights, &layer.bias)?;
        Ok(Trained { model, spec: self.spec, summary: fitted.summary, confusion: fitted.confusion })
    }
}
