//! `scope=all`: every weight, of a backbone under a new last layer or of a network that starts from random ones.

use tintype_core::image::Limits;
use tintype_core::{DType, Error, ErrorKind, ModelSpec, Plan, PreprocessSpec, Result};
use tintype_graph::{GradientOptions, Model, differentiate, head};

use super::classifier::Classifier;
use super::{Job, Trained};
use crate::config::TrainConfig;
use crate::event::{ImagesPass, Subscriber};
use crate::examples::Preparation;
use crate::pass::Watch;
use crate::preprocessing;

/// Parameters of the new last layer: weights and biases.
const NEW: usize = 2;

/// A network as it is before training.
pub(crate) struct Network {
    model: Model,
    plan: Plan,
    /// Channels, rows and columns, in the order that the network takes.
    shape: [usize; 3],
    /// Preprocessing and provenance.
    spec: ModelSpec,
}

impl Network {
    /// The configured backbone, or else the configured architecture.
    ///
    /// # Errors
    /// Those of [`Network::tuned`] and [`Network::from_scratch`].
    pub fn build(config: &TrainConfig, classes: usize) -> Result<Self> {
        if config.backbone().is_some() {
            Self::tuned(config, classes)
        } else {
            Self::from_scratch(config, classes)
        }
    }

    /// Opens the backbone, gives it a last layer for `classes` and checks that it can be differentiated, which is
    /// better known before the images are decoded.
    ///
    /// # Errors
    /// Those of [`Classifier::open`] and [`differentiate`]; `Unsupported` for a quantised model; `InvalidConfig` when the preprocessing does not make what
    /// the model takes.
    fn tuned(config: &TrainConfig, classes: usize) -> Result<Self> {
        let Classifier { model, before: _, output, features, plan, spec } = Classifier::open(config)?;
        // From 0 the loss begins at ln K, and the first step moves the layer alone: nothing learned is lost to noise.
        let mut model = head::replace(&model, &output, &vec![0.0; classes * features], &vec![0.0; classes])?;
        model.free_batch();
        model.untie();
        let input = model.inputs()?.swap_remove(0);
        let shape = plan.output_shape().filter(|shape| {
            let declared = input.shape.iter().skip(1);
            plan.dtype() == DType::F32 && shape.iter().zip(declared).all(|(&s, d)| d.is_none_or(|d| d == s))
        });
        let shape = shape.ok_or_else(|| {
            let message = format!("the preprocessing makes {}, the model takes `{input}`", made(&plan));
            Error::new(ErrorKind::InvalidConfig, message)
        })?;
        let options = GradientOptions { batch: config.trainer.batch_size, fused: true, trainable: &|_| true };
        let graph = differentiate(&model, &options).map_err(|error| match error.kind() {
            ErrorKind::Unsupported => error.with_hint("`scope=head` trains the last layer of any classifier"),
            _ => error,
        })?;
        if graph.parameters.len() <= NEW {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "no weight before the last layer can be trained: there is none in `f32`",
            )
            .with_hint(
                "begin with the model before it was quantised, or train its last layer with `scope=head`",
            ));
        }
        Ok(Self { model, plan, shape, spec })
    }

    /// Builds the configured architecture and settles its preprocessing.
    ///
    /// # Errors
    /// `InvalidConfig` when there is no such architecture or the preprocessing does not make what it takes;
    /// `InvalidArgument` for sizes that it does not come in.
    fn from_scratch(config: &TrainConfig, classes: usize) -> Result<Self> {
        let (architecture, numbers) = config.model.architecture(classes, config.seed)?;
        let model = architecture.build(&numbers)?;
        let image = if numbers.image == 0 { architecture.image } else { numbers.image };
        let preprocess = preprocessing::for_scratch(config, architecture.preprocess(image))?;
        let (plan, shape) = plan_for(&preprocess, image)?;
        let mut spec = ModelSpec { preprocess: Some(preprocess), ..ModelSpec::default() };
        spec.provenance.insert("arch".to_owned(), architecture.name.to_owned());
        Ok(Self { model, plan, shape, spec })
    }

    /// The shape of a prepared image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Decodes the images and trains.
    ///
    /// # Errors
    /// What decoding or training returns.
    pub fn train(self, job: &Job, subscriber: &mut dyn Subscriber) -> Result<Trained> {
        let samples = &job.divided.data.samples;
        let mut watch = Watch { what: ImagesPass::Decode, subscriber, stop: job.stop };
        let preparation = Preparation::new(&job.config.augment, self.plan, job.config.data.cache << 20)?;
        let learned = job.divided.learned();
        let decoded = preparation.decode(samples, &learned, job.config.threads(), &mut watch)?;
        let sets = job.divided.sets(decoded, &self.shape, Some(&preparation), subscriber)?;
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
    let found = made(&plan);
    let message =
        format!("the preprocessing must make `f32` {expected:?} for `model.image={image}`, found {found}");
    Err(Error::new(ErrorKind::InvalidConfig, message))
}

/// What a plan makes, in the words of an error.
fn made(plan: &Plan) -> String {
    let shape = plan.output_shape().map_or("of the image's own size".to_owned(), |s| format!("{s:?}"));
    format!("`{}` {shape}", plan.dtype())
}
