//! A request that is a bare tensor: `Inference-Header-Content-Length: 0`, and the body is the model's one input.
//!
//! It counts as a batch of one. An image may be sent so, as the file that it is.

use tintype_core::{DType, Error, Result, Tensor};

use super::binary::{self, Origin};
use super::{Form, Input, Options, Request, Value, invalid};

/// What a model says of its inputs, as far as a bare body needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The input's name.
    pub name: String,
    /// The type of its elements.
    pub dtype: DType,
    /// The size of every axis without the batch's; -1 where it is variable.
    pub dims: Vec<i64>,
    /// Whether the batch's axis comes before them.
    pub batched: bool,
    /// Whether the input takes encoded images too.
    pub images: bool,
}

/// The request that `body` is, for a model with `inputs`.
///
/// # Errors
/// `InvalidArgument` when there is not one input, or its shape does not follow from the size of the body.
pub fn decode(model: &str, inputs: &[Shape], body: &[u8]) -> Result<Request> {
    let [input] = inputs else {
        return Err(invalid(format!(
            "Raw request must only have 1 input (found 1) to be deduced but got {} inputs in '{model}' model \
             configuration",
            inputs.len()
        )));
    };
    let value = Value::Tensor(input.tensor(model, body)?);
    Ok(Request {
        id: String::new(),
        options: Options::default(),
        inputs: vec![Input { name: input.name.clone(), value }],
        outputs: Vec::new(),
        form: Form::Binary,
    })
}

impl Shape {
    fn tensor(&self, model: &str, body: &[u8]) -> Result<Tensor> {
        let name = &self.name;
        if self.dtype == DType::Bytes {
            if self.dims != [1] && self.dims != [-1] {
                return Err(invalid(format!(
                    "For BYTE datatype raw input '{name}', the model must have input shape [1]"
                )));
            }
            return Tensor::new(self.with_batch(vec![1]), vec![body.to_vec()]);
        }
        match self.dims_of(body.len()) {
            Ok(dims) => {
                let origin = Origin { id: "", model, input: name };
                binary::decode(origin, self.dtype, self.with_batch(dims), body)
            }
            // No tensor of this input has so many bytes; a file may.
            Err(_) if self.images => Tensor::new([1, 1], vec![body.to_vec()]),
            Err(error) => Err(error),
        }
    }

    /// The sizes of the axes of a tensor of `bytes` bytes.
    fn dims_of(&self, bytes: usize) -> Result<Vec<usize>> {
        let name = &self.name;
        let mut dims = Vec::with_capacity(self.dims.len());
        let mut variable = None;
        let mut known = self.dtype.size();
        for (axis, &dim) in self.dims.iter().enumerate() {
            match usize::try_from(dim) {
                Ok(size) => {
                    known = known.and_then(|known| known.checked_mul(size));
                    dims.push(size);
                }
                Err(_) if variable.replace(axis).is_some() => {
                    return Err(invalid(format!(
                        "The shape of Raw input '{name}' can not be deduced because there are more than one \
                         variable-sized dimension"
                    )));
                }
                Err(_) => dims.push(0),
            }
        }
        let known = known.filter(|&known| known > 0).ok_or_else(|| not_deduced(name, bytes))?;
        match variable {
            Some(axis) if bytes.is_multiple_of(known) => dims[axis] = bytes / known,
            None if bytes == known => {}
            _ => return Err(not_deduced(name, bytes)),
        }
        Ok(dims)
    }

    fn with_batch(&self, mut dims: Vec<usize>) -> Vec<usize> {
        if self.batched {
            dims.insert(0, 1);
        }
        dims
    }
}

fn not_deduced(input: &str, bytes: usize) -> Error {
    invalid(format!("The shape of Raw input '{input}' can not be deduced from a body of {bytes} bytes"))
}
