//! An inference request, and its HTTP form: JSON, perhaps with binary tensors behind it.

use std::borrow::Cow;

use serde::Deserialize;
use sonic_rs::LazyValue;
use tintype_core::{DType, Result, Tensor};

use super::binary::{self, Origin};
use super::given::Given;
use super::{Options, data, invalid, parse_json};

/// An inference request, as both wires say it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The caller's own name for it; empty where it has none.
    pub id: String,
    /// What it asks for beside tensors.
    pub options: Options,
    /// The inputs, in the caller's order.
    pub inputs: Vec<Input>,
    /// The outputs that are wanted; all where there are none.
    pub outputs: Vec<Output>,
    /// The form of outputs that do not say theirs.
    pub form: Form,
}

/// An input of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The name that the model has for it.
    pub name: String,
    /// What it holds.
    pub value: Value,
}

/// What an input holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A tensor that came with the request.
    Tensor(Tensor),
    /// A tensor that lies in shared memory.
    Shared {
        /// Where.
        region: Region,
        /// The type of its elements.
        dtype: DType,
        /// The size of every axis.
        shape: Vec<usize>,
    },
}

/// A part of a registered region of shared memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// The region's name.
    pub name: String,
    /// Bytes from the region's beginning.
    pub offset: u64,
    /// How many bytes.
    pub byte_size: u64,
}

/// An output that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The name that the model has for it.
    pub name: String,
    /// How it is answered; as the request says where `None`.
    pub form: Option<Form>,
    /// How many classes of each row to answer with instead of the tensor; 0 for the tensor.
    pub classes: usize,
}

/// How an output is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// In JSON.
    Json,
    /// As bytes behind the JSON, and always so in gRPC.
    Binary,
    /// Into shared memory.
    Shared(Region),
}

/// Decodes a body whose first `header` bytes, all where that is `None`, are JSON.
///
/// # Errors
/// `InvalidArgument` with what is wrong, in Triton's words where Triton says it.
pub fn decode(model: &str, header: Option<usize>, body: &[u8]) -> Result<Request> {
    let header_len = header.unwrap_or(body.len());
    let Some((json, binary)) = body.split_at_checked(header_len) else {
        return Err(invalid(format!(
            "inference header size should be in range (0, {}), got: {header_len}",
            body.len()
        )));
    };
    let wire: Wire<'_> = parse_json(json)?;
    let parameters = wire.parameters.unwrap_or_default();
    let options = Options::from_parameters(&parameters)?;
    let mut blobs = Blobs { rest: header.map(|_| binary), model, id: &wire.id };
    let inputs = wire.inputs.into_iter().map(|input| blobs.decode(input)).collect::<Result<_>>()?;
    if blobs.rest.is_some_and(|rest| !rest.is_empty()) {
        return Err(invalid(format!("unexpected additional input data for model '{model}'")));
    }
    let outputs = wire.outputs.unwrap_or_default().into_iter().map(output).collect::<Result<_>>()?;
    let binary = parameters.get(BINARY_OUTPUT).map(|value| value.boolean(BINARY_OUTPUT)).transpose()?;
    let form = if binary == Some(true) { Form::Binary } else { Form::Json };
    Ok(Request { id: wire.id.into_owned(), options, inputs, outputs, form })
}

const BINARY_OUTPUT: &str = "binary_data_output";

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Wire<'a> {
    #[serde(default, borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    parameters: Option<Given<'a>>,
    #[serde(borrow)]
    inputs: Vec<WireInput<'a>>,
    #[serde(borrow)]
    outputs: Option<Vec<WireOutput<'a>>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an input, which is an object")]
struct WireInput<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    shape: Vec<i64>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    #[serde(borrow)]
    parameters: Option<Given<'a>>,
    /// Its text: the type of its elements may be said after it.
    #[serde(borrow)]
    data: Option<LazyValue<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an output, which is an object")]
struct WireOutput<'a> {
    name: String,
    #[serde(borrow)]
    parameters: Option<Given<'a>>,
}

/// The bytes behind the JSON, of which each binary input takes its part in turn.
struct Blobs<'a> {
    /// `None` where the request does not say where its JSON ends.
    rest: Option<&'a [u8]>,
    model: &'a str,
    id: &'a str,
}

impl Blobs<'_> {
    fn decode(&mut self, input: WireInput<'_>) -> Result<Input> {
        let name = input.name.into_owned();
        let dtype = dtype_of(&name, &input.datatype)?;
        let shape = shape_of(&name, input.shape)?;
        let count = binary::elements(&name, &shape)?;
        let parameters = input.parameters.unwrap_or_default();
        let region = region(&name, &parameters)?;
        let size = parameters.get(BINARY_SIZE).map(|size| size.unsigned(BINARY_SIZE)).transpose()?;
        let value = match (region, size, input.data) {
            (Some(region), None, None) => Value::Shared { region, dtype, shape },
            (None, Some(size), None) => {
                let origin = Origin { id: self.id, model: self.model, input: &name };
                Value::Tensor(binary::decode(origin, dtype, shape, self.take(&name, size)?)?)
            }
            (None, None, Some(json)) => {
                Value::Tensor(Tensor::from_data(shape, data::parse(&name, dtype, count, json.as_raw_str())?)?)
            }
            (None, None, None) => {
                return Err(invalid(format!(
                    "input '{name}' has neither `data`, nor `binary_data_size`, nor a region of shared memory"
                )));
            }
            (Some(_), ..) => {
                return Err(invalid(format!(
                    "unexpected 'data' or 'binary_data_size' for input '{name}', which lies in shared memory"
                )));
            }
            (None, Some(_), Some(_)) => {
                return Err(invalid(format!("input '{name}' has both `data` and `binary_data_size`")));
            }
        };
        Ok(Input { name, value })
    }

    fn take(&mut self, input: &str, size: u64) -> Result<&[u8]> {
        let Some(rest) = self.rest else {
            return Err(invalid(
                "must specify valid 'Infer-Header-Content-Length' in request header and 'binary_data_size' when \
                 passing inputs in binary data format",
            ));
        };
        let split = usize::try_from(size).ok().and_then(|size| rest.split_at_checked(size));
        let (blob, rest) = split.ok_or_else(|| {
            invalid(format!(
                "unexpected size for input '{input}', expecting {} additional bytes for model '{}'",
                size.saturating_sub(rest.len() as u64),
                self.model
            ))
        })?;
        self.rest = Some(rest);
        Ok(blob)
    }
}

const BINARY_SIZE: &str = "binary_data_size";

fn output(wire: WireOutput<'_>) -> Result<Output> {
    let parameters = wire.parameters.unwrap_or_default();
    let binary = parameters.get("binary_data").map(|value| value.boolean("binary_data")).transpose()?;
    requested(wire.name, &parameters, binary)
}

/// An output with its `parameters`, of which `binary` was one.
pub(super) fn requested(name: String, parameters: &Given<'_>, binary: Option<bool>) -> Result<Output> {
    let classes =
        parameters.get("classification").map(|value| value.unsigned("classification")).transpose()?;
    // More classes than any output has mean all.
    let classes = usize::try_from(classes.unwrap_or(0)).unwrap_or(usize::MAX);
    let form = match (region(&name, parameters)?, binary) {
        // Classes are not what the region was made for: they are longer than the scores.
        (Some(_), _) if classes > 0 => {
            return Err(invalid("Output can't set both 'shared_memory_region' and 'classification'"));
        }
        (Some(_), Some(true)) => {
            return Err(invalid("Output can't set both 'shared_memory_region' and 'binary_data'"));
        }
        (Some(region), _) => Some(Form::Shared(region)),
        (None, Some(true)) => Some(Form::Binary),
        (None, Some(false)) => Some(Form::Json),
        (None, None) => None,
    };
    Ok(Output { name, form, classes })
}

/// The shared memory of which `parameters` speak.
pub(super) fn region(tensor: &str, parameters: &Given<'_>) -> Result<Option<Region>> {
    const NAME: &str = "shared_memory_region";
    const OFFSET: &str = "shared_memory_offset";
    const SIZE: &str = "shared_memory_byte_size";
    let Some(name) = parameters.get(NAME) else {
        return match [OFFSET, SIZE].iter().find(|&&key| parameters.contains(key)) {
            Some(key) => {
                Err(invalid(format!("'{key}' can not be specified for '{tensor}' without '{NAME}'")))
            }
            None => Ok(None),
        };
    };
    let byte_size = parameters
        .get(SIZE)
        .ok_or_else(|| invalid(format!("'{SIZE}' must be specified along with '{NAME}' for '{tensor}'")))?;
    Ok(Some(Region {
        name: name.text(NAME)?.to_owned(),
        offset: parameters.get(OFFSET).map_or(Ok(0), |offset| offset.unsigned(OFFSET))?,
        byte_size: byte_size.unsigned(SIZE)?,
    }))
}

pub(super) fn dtype_of(input: &str, name: &str) -> Result<DType> {
    DType::from_kserve(name).ok_or_else(|| invalid(format!("input '{input}' has unknown datatype '{name}'")))
}

pub(super) fn shape_of(input: &str, shape: Vec<i64>) -> Result<Vec<usize>> {
    if shape.iter().any(|&size| usize::try_from(size).is_err()) {
        return Err(invalid(format!(
            "the shape of input '{input}' has a size that is not a whole number of at least 0: {shape:?}"
        )));
    }
    // In place.
    Ok(shape.into_iter().map(|size| size as usize).collect())
}
