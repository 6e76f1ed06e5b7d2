//! What requests are made of: image files, JSON bodies, or tensors for a KServe model.
//!
//! Tensors come from numbers drawn at random, from zeros, from perf_analyzer's JSON or its directories; their names, types and shapes
//! are the model's own, which the server is asked for first.

mod directory;
mod drawn;
mod json;

use std::path::Path;

use bytes::Bytes;
use tintype_api::kserve::{Form, Options, Request, Value};
use tintype_core::{DType, Error, ErrorKind, Result, Tensor};

use crate::control::ModelFacts;
use crate::service::Input;

pub use directory::directory;
pub use drawn::{Fill, drawn};
pub use json::{files_in, is_data, tensors};

/// What the command line says of tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorOptions {
    /// Rows of a request.
    pub batch_size: usize,
    /// Sizes of inputs that the model leaves open, without the batch.
    pub shapes: Vec<(String, Vec<i64>)>,
    /// Whether outputs come as bytes or as JSON, over HTTP.
    pub outputs: Form,
}

/// Reads one file: an image, or JSON that is sent as it is.
///
/// # Errors
/// `NotFound`, `Io`.
pub fn file(path: &Path) -> Result<Input> {
    let bytes = Bytes::from(std::fs::read(path).map_err(|e| Error::io(path, e))?);
    let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(if json { Input::Body(bytes) } else { Input::Image { name, bytes } })
}

/// The request that gives an encoded image to the one input of a model.
///
/// # Errors
/// `InvalidArgument` when it has several inputs.
pub fn image(facts: &ModelFacts, bytes: &Bytes, options: &TensorOptions) -> Result<Request> {
    let [input] = facts.metadata.inputs.as_slice() else {
        let (count, name) = (facts.metadata.inputs.len(), &facts.metadata.name);
        let message = format!("images go to models of one input, and `{name}` has {count}");
        return Err(
            Error::new(ErrorKind::InvalidArgument, message).with_hint("describe tensors in a JSON file")
        );
    };
    let tensor = Tensor::new([1, 1], vec![bytes.to_vec()])?;
    let tensor = if facts.max_batch_size == 0 { tensor.reshaped([1])? } else { tensor };
    request(facts, vec![(input.name.clone(), tensor)], options)
}

/// A request of `options.batch_size` times the same row.
fn request(facts: &ModelFacts, rows: Vec<(String, Tensor)>, options: &TensorOptions) -> Result<Request> {
    let copies = options.batch_size;
    if copies != 1 && copies as u64 > facts.max_batch_size {
        let (name, most) = (&facts.metadata.name, facts.max_batch_size);
        let message = format!("`{name}` takes batches of at most {most}, found {copies}");
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let inputs = rows.into_iter().map(|(name, row)| {
        let tensor = if copies == 1 { row } else { Tensor::concat(&vec![&row; copies])? };
        Ok(tintype_api::kserve::Input { name, value: Value::Tensor(tensor) })
    });
    Ok(Request {
        id: String::new(),
        options: Options::default(),
        inputs: inputs.collect::<Result<_>>()?,
        outputs: Vec::new(),
        form: options.outputs.clone(),
    })
}

/// An input of a model, with the sizes of its axes as far as they are known.
struct Expected<'a> {
    name: &'a str,
    dtype: DType,
    /// Without the batch's axis; -1 where it is open.
    dims: Vec<i64>,
    batched: bool,
}

impl Expected<'_> {
    /// The shape of one row, with its axis for the batch.
    fn shape(&self, dims: impl IntoIterator<Item = usize>) -> Vec<usize> {
        self.batched.then_some(1).into_iter().chain(dims).collect()
    }

    fn dims_left_open(&self) -> Error {
        let (name, dims) = (self.name, &self.dims);
        let message = format!("input `{name}` has the shape {dims:?}, with sizes left open");
        Error::new(ErrorKind::InvalidArgument, message)
            .with_hint(format!("say them: `--shape {name}:3,224,224`"))
    }
}

fn expected<'a>(facts: &'a ModelFacts, options: &TensorOptions) -> Result<Vec<Expected<'a>>> {
    let batched = facts.max_batch_size > 0;
    let inputs = &facts.metadata.inputs;
    if let Some((name, _)) =
        options.shapes.iter().find(|(name, _)| inputs.iter().all(|input| input.name != *name))
    {
        let message = format!("`--shape {name}:…`: `{}` has no such input", facts.metadata.name);
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let expect = |input: &'a tintype_api::kserve::TensorMetadata| {
        let unknown = || {
            let message = format!("input `{}` has the unknown type `{}`", input.name, input.datatype);
            Error::new(ErrorKind::Unsupported, message)
        };
        let said = options.shapes.iter().find(|(name, _)| *name == input.name);
        let own = input.shape.iter().skip(usize::from(batched)).copied().collect();
        Ok(Expected {
            name: &input.name,
            dtype: DType::from_kserve(&input.datatype).ok_or_else(unknown)?,
            dims: said.map_or(own, |(_, dims)| dims.clone()),
            batched,
        })
    };
    inputs.iter().map(expect).collect()
}

#[cfg(test)]
mod tests;
