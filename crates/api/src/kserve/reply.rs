//! An answer to an inference request, before it takes the form of a wire.

use std::mem;
use std::sync::Arc;

use tintype_core::{Error, ErrorKind, NamedTensor, Result, Tensor};

use super::{Form, Region, Request, classification};

/// An answer, as both wires say it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The request's id; empty where it had none.
    pub id: String,
    /// The model that answered.
    pub model: Arc<str>,
    /// Its version.
    pub version: u64,
    /// The outputs.
    pub outputs: Vec<ReplyOutput>,
}

/// An output of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyOutput {
    /// The name that the model has for it.
    pub name: String,
    /// The output.
    pub tensor: Tensor,
    /// How it is answered.
    pub content: Content,
}

/// How an output is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In JSON.
    Json,
    /// As bytes.
    Binary,
    /// In shared memory, into which whoever sends the answer writes it first.
    Shared(Region),
}

/// What a model knows of its outputs beside the tensors.
pub trait Outputs {
    /// Whether the first axis of an output counts the rows of a batch.
    fn batched(&self) -> bool;
    /// The names of the classes of `output` by index; empty where it has none.
    fn labels(&self, output: &str) -> &[String];
}

impl Reply {
    /// The answer of `model` with `outputs`, in the forms for which `request` asks.
    ///
    /// # Errors
    /// `InvalidArgument` when a classification is asked of an output that is none.
    pub fn new(
        request: &mut Request,
        model: (Arc<str>, u64),
        outputs: Vec<NamedTensor>,
        known: &impl Outputs,
    ) -> Result<Self> {
        let outputs = outputs.into_iter().map(|NamedTensor { name, tensor }| {
            let asked = request.outputs.iter().find(|output| output.name == name);
            let classes = asked.map_or(0, |output| output.classes);
            let tensor = match classes {
                0 => tensor,
                _ => classification::classify(&tensor, classes, known.labels(&name), known.batched())
                    .map_err(|error| error.context(format_args!("output '{name}'")))?,
            };
            let form = asked.and_then(|output| output.form.as_ref()).unwrap_or(&request.form);
            let content = match form {
                Form::Json => Content::Json,
                Form::Binary => Content::Binary,
                Form::Shared(region) => Content::Shared(written(&name, region, &tensor)?),
            };
            Ok(ReplyOutput { name, tensor, content })
        });
        let outputs = outputs.collect::<Result<_>>()?;
        let (model, version) = model;
        Ok(Self { id: mem::take(&mut request.id), model, version, outputs })
    }
}

/// The part of `region` that `tensor` takes.
fn written(output: &str, region: &Region, tensor: &Tensor) -> Result<Region> {
    let size = super::binary::size(tensor.data()) as u64;
    if size > region.byte_size {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "shared memory size specified with the request for output '{output}' ({} bytes) should be at least \
                 {size} bytes to hold the results",
                region.byte_size
            ),
        ));
    }
    Ok(Region { byte_size: size, ..region.clone() })
}
