//! `scope=all`: every weight of a network that starts from random ones.

use tintype_core::image::Limits;
use tintype_core::{DType, Error, ErrorKind, ModelSpec, Plan, PreprocessSpec, Result};
use tintype_graph::{Model, arch};

use super::{Job, Trained};
use crate::config::TrainConfig;
use crate::event::{ImagesPass, Subscriber};
use crate::examples::{decode, fits};
use crate::pass::Watch;
use crate::preprocessing;

/// A network that has learned nothing yet.
pub(crate) struct Network {
    model: Model,
    plan: Plan,
    /// `[3, image, image]`.
    shape: [usize; 3],
    /// Preprocessing and provenance.
    spec: ModelSpec,
}

impl Network {
    /// Builds the configured architecture and settles its preprocessing.
    ///
    /// # Errors
    /// `InvalidConfig` when the preprocessing does not make what the network takes.
    pub fn build(config: &TrainConfig, classes: usize) -> Result<Self> {
        let sizes = config
            .model
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::InvalidConfig, "`scope=all` needs the group `model`"))?;
        let model = arch::small_cnn(&arch::SmallCnn {
            classes,
            image: sizes.image,
            widths: sizes.widths,
            hidden: sizes.hidden,
            dropout: sizes.dropout as f32,
            seed: config.seed,
        })?;
        let preprocess = preprocessing::for_scratch(config, sizes.image as u32)?;
        let (plan, shape) = plan_for(&preprocess, sizes.image)?;
        let mut spec = ModelSpec { preprocess: Some(preprocess), ..ModelSpec::default() };
        spec.provenance.insert("arch".to_owned(), "small_cnn".to_owned());
        Ok(Self { model, plan, shape, spec })
    }

    /// Decodes the images and trains.
    ///
    /// # Errors
    /// What decoding or training returns.
    pub fn train(self, job: &Job, subscriber: &mut dyn Subscriber) -> Result<Trained> {
        let samples = &job.divided.data.samples;
        let width = self.shape.iter().product();
        let mut watch = Watch { what: ImagesPass::Decode, subscriber, stop: job.stop };
        let rows = decode(&self.plan, width, samples, job.config.threads(), &mut watch)?;
        let again = (!fits(samples.len(), width)).then_some(&self.plan);
        let sets = job.divided.sets(rows, &self.shape, again, subscriber)?;
        let fitted = job.fit(&self.model, &sets, subscriber)?;
        Ok(Trained {
            model: fitted.model,
            spec: self.spec,
            summary: fitted.summary,
            confusion: fitted.confusion,
        })
    }
}

/// The plan and its row shape, which must be what the network of `image` × `image` takes.
fn plan_for(preprocess: &PreprocessSpec, image: usize) -> Result<(Plan, [usize; 3])> {
    let plan = Plan::new(preprocess.clone(), Limits::default())?;
    let expected = [3, image, image];
    if plan.output_shape() == Some(expected) && plan.dtype() == DType::F32 {
        return Ok((plan, expected));
    }
    let shape = plan.output_shape().map_or("of the image's own size".to_owned(), |s| format!("{s:?}"));
    Err(Error::new(
        ErrorKind::InvalidConfig,
        format!(
            "the preprocessing must make `f32` {expected:?} for `model.image={image}`, found `{}` {shape}",
            plan.dtype()
        ),
    ))
}
