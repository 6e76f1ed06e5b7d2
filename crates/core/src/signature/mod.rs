//! What a model takes and gives as its users see it: the tensors that `config.pbtxt` declares, completed from the ONNX
//! model, and, for image models, encoded images in and labels out.
//!
//! `declare` makes the declared inputs and outputs from configuration, `tintype.toml` and ONNX model; `complete` fills in
//! what the configuration leaves open. A request goes through [`Signature::bind`] (names, types, shapes, batch size), is
//! run by somebody else, and its outputs come back through [`Signature::answer`]. The messages are Triton's.
//!
//! Decoding and preparing images is [`ImageClassifier`]'s, scheduling the runtime's, wire formats the front ends'.

mod answer;
mod bind;
mod complete;
mod declare;
mod encoded;

use std::collections::BTreeMap;
use std::sync::Arc;

use declare::{Input, Output};
pub use encoded::bytes_of_text;

use crate::image::Limits;
use crate::triton::{self, ModelConfig};
use crate::{Error, ErrorKind, ImageClassifier, Package, Result, Tensor, TensorSpec};

/// What a model takes and gives. Made once the model is loaded; see the module for its place.
#[derive(Debug, Clone)]
pub struct Signature {
    name: String,
    config: Arc<ModelConfig>,
    max_batch_size: usize,
    classifier: Option<ImageClassifier>,
    /// Those of the configuration, in its order.
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    /// The ONNX model's own, in its order; always accepted under their names.
    raw_inputs: Vec<Input>,
    raw_outputs: Vec<Output>,
    labels: Arc<[String]>,
}

/// A request's inputs, checked and in the model's order.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// Tensors for the model.
    Tensors {
        /// One for each input of the session, in its order, reshaped as the configuration says.
        inputs: Vec<Tensor>,
        /// The batch size: rows of the first axis; 1 for a model without batching.
        rows: usize,
    },
    /// Images to be decoded and prepared.
    Images {
        /// The encoded files, one for each row.
        images: Vec<Vec<u8>>,
        /// How many there are.
        rows: usize,
    },
}

impl Signature {
    /// Ties a package to its loaded model's `inputs` and `outputs`.
    ///
    /// # Errors
    /// `InvalidConfig` when the configuration is wrong in itself or against the model, both sides named;
    /// `Unsupported` for what it asks and this build does not do; those of [`ImageClassifier::new`].
    pub fn new(
        package: &Package,
        inputs: &[TensorSpec],
        outputs: &[TensorSpec],
        limits: Limits,
        defaults: &triton::Defaults,
    ) -> Result<Self> {
        let classifier = match package.spec.preprocess {
            Some(_) => Some(ImageClassifier::new(package, inputs, outputs, limits)?),
            None => None,
        };
        let model = Model { package, inputs, outputs, classifier: classifier.as_ref() };
        let config = complete::complete(&model, defaults)?;
        let (declared_inputs, declared_outputs) = declare::declare(&model, &config)?;
        let batching = config.max_batch_size > 0;
        let raw_inputs = inputs.iter().enumerate().map(|(i, spec)| Input::raw(spec, i, batching)).collect();
        let raw_outputs =
            outputs.iter().enumerate().map(|(i, spec)| Output::raw(spec, i, batching)).collect();
        Ok(Self {
            name: config.name.clone(),
            max_batch_size: usize::try_from(config.max_batch_size).unwrap_or(0),
            config: Arc::new(config),
            classifier,
            inputs: declared_inputs,
            outputs: declared_outputs,
            raw_inputs,
            raw_outputs,
            labels: package.labels.as_slice().into(),
        })
    }

    /// The signature of a completed configuration alone, as of an ensemble: `bind` orders the tensors as it lists its
    /// inputs, `answer` expects them as it lists its outputs.
    pub(crate) fn of_tensors(config: Arc<ModelConfig>) -> Self {
        let inputs: Vec<Input> =
            config.input.iter().enumerate().map(|(i, input)| Input::declared(input, i)).collect();
        let outputs: Vec<Output> =
            config.output.iter().enumerate().map(|(i, o)| Output::declared(o, i)).collect();
        Self {
            name: config.name.clone(),
            max_batch_size: usize::try_from(config.max_batch_size).unwrap_or(0),
            classifier: None,
            raw_inputs: inputs.clone(),
            raw_outputs: outputs.clone(),
            inputs,
            outputs,
            labels: [].into(),
            config,
        }
    }

    /// Gives outputs class names of their own.
    pub(crate) fn set_labels(&mut self, labels: &BTreeMap<String, Arc<[String]>>) {
        for output in &mut self.outputs {
            output.labels = labels.get(&output.name).cloned();
        }
    }

    /// The configuration as Triton's `GET …/config` shows it: completed from the model, defaults written out.
    pub fn config(&self) -> &Arc<ModelConfig> {
        &self.config
    }

    /// From pixels to labels, for a model with `[preprocess]`.
    pub fn classifier(&self) -> Option<&ImageClassifier> {
        self.classifier.as_ref()
    }

    /// The largest batch; 0 for a model without a batch axis, as in Triton.
    pub fn max_batch_size(&self) -> usize {
        self.max_batch_size
    }

    /// The class names of an output, by index: of the file that the configuration names for it, else the package's; empty
    /// where there are none.
    pub fn labels(&self, output: &str) -> &[String] {
        let declared = self.outputs.iter().find(|declared| declared.name == output);
        declared.and_then(|declared| declared.labels.as_ref()).unwrap_or(&self.labels)
    }
}

/// A package beside its loaded model, while a signature is made of them.
#[derive(Clone, Copy)]
struct Model<'a> {
    package: &'a Package,
    inputs: &'a [TensorSpec],
    outputs: &'a [TensorSpec],
    classifier: Option<&'a ImageClassifier>,
}

impl Model<'_> {
    /// Whether every tensor's first axis is dynamic, as Triton wants it of a model that it batches by itself.
    fn has_batch_axis(&self) -> bool {
        let mut tensors = self.inputs.iter().chain(self.outputs);
        !self.inputs.is_empty() && tensors.all(|spec| spec.shape.first().is_some_and(Option::is_none))
    }
}

fn invalid_config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

fn invalid_argument(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}
