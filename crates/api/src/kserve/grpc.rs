//! The gRPC form of requests and answers.

mod answers;

pub use answers::{load, log_changes, trace_changes, unload_dependents};

use std::collections::BTreeMap;

use bytes::Bytes;
use tintype_core::{DType, Element, Result, Tensor, TensorData};

use super::binary::{self, Origin};
use super::given::Given;
use super::proto::infer_parameter::ParameterChoice;
use super::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use super::proto::model_infer_response::InferOutputTensor;
use super::proto::{InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse};
use super::request::{dtype_of, region, requested, shape_of};
use super::{Content, Form, Input, Options, Output, Parameter, Reply, Request, Value, invalid};

/// Decodes a request.
///
/// # Errors
/// `InvalidArgument` with what is wrong, in Triton's words where Triton says it.
pub fn decode(request: ModelInferRequest) -> Result<Request> {
    let ModelInferRequest { id, model_name: model, parameters, inputs, outputs, raw_input_contents, .. } =
        request;
    let options = Options::from_parameters(&plain(parameters)?)?;
    let mut raw = Raw::of(raw_input_contents);
    let inputs =
        inputs.into_iter().map(|tensor| input(&id, &model, tensor, &mut raw)).collect::<Result<_>>()?;
    if let Some(mut rest) = raw.contents
        && rest.next().is_some()
    {
        return Err(invalid(format!(
            "unexpected number of raw input contents for model '{model}': there are more than inputs without shared \
             memory"
        )));
    }
    let outputs = outputs.into_iter().map(output).collect::<Result<_>>()?;
    Ok(Request { id, options, inputs, outputs, form: Form::Binary })
}

/// The raw contents, of which each input that is not in shared memory takes one in turn.
struct Raw {
    /// `None` where the inputs are typed.
    contents: Option<std::vec::IntoIter<Bytes>>,
}

impl Raw {
    fn of(contents: Vec<Bytes>) -> Self {
        Self { contents: (!contents.is_empty()).then(|| contents.into_iter()) }
    }
}

fn input(id: &str, model: &str, tensor: InferInputTensor, raw: &mut Raw) -> Result<Input> {
    let InferInputTensor { name, datatype, shape, parameters, contents } = tensor;
    let dtype = dtype_of(&name, &datatype)?;
    let shape = shape_of(&name, shape)?;
    let origin = Origin { id, model, input: &name };
    let typed = contents.is_some();
    let value = if let Some(region) = region(&name, &plain(parameters)?)? {
        if typed {
            return Err(invalid(format!(
                "unexpected 'content' provided when using shared memory for input tensor '{name}' for model '{model}'"
            )));
        }
        Value::Shared { region, dtype, shape }
    } else if let Some(raw) = &mut raw.contents {
        if typed {
            return Err(invalid(format!(
                "contents field must not be specified when using raw_input_contents for '{name}' for model '{model}'"
            )));
        }
        let bytes = raw.next().ok_or_else(|| {
            invalid(format!("expected raw_input_contents for input '{name}' for model '{model}', found none"))
        })?;
        Value::Tensor(binary::decode(origin, dtype, shape, &bytes)?)
    } else {
        Value::Tensor(typed_tensor(origin, dtype, shape, contents.unwrap_or_default())?)
    };
    Ok(Input { name, value })
}

/// The tensor whose elements are in the field of their type.
fn typed_tensor(
    origin: Origin<'_>,
    dtype: DType,
    shape: Vec<usize>,
    contents: InferTensorContents,
) -> Result<Tensor> {
    let input = origin.input;
    let fields = filled(&contents);
    let right = match dtype {
        DType::Bool => "bool_contents",
        DType::I8 | DType::I16 | DType::I32 => "int_contents",
        DType::I64 => "int64_contents",
        DType::U8 | DType::U16 | DType::U32 => "uint_contents",
        DType::U64 => "uint64_contents",
        DType::F32 => "fp32_contents",
        DType::F64 => "fp64_contents",
        DType::Bytes => "bytes_contents",
        DType::F16 | DType::BF16 => {
            return Err(invalid(format!(
                "input '{input}' of type '{}' needs raw_input_contents",
                dtype.kserve()
            )));
        }
    };
    if let Some(wrong) = fields.iter().find(|&&field| field != right) {
        return Err(invalid(format!(
            "unexpected '{wrong}' for input '{input}' of type '{}', expected '{right}'",
            dtype.kserve()
        )));
    }
    let data = match dtype {
        DType::Bool => TensorData::Bool(contents.bool_contents),
        DType::I8 => narrow::<_, i8>(input, contents.int_contents)?,
        DType::I16 => narrow::<_, i16>(input, contents.int_contents)?,
        DType::I32 => TensorData::I32(contents.int_contents),
        DType::I64 => TensorData::I64(contents.int64_contents),
        DType::U8 => narrow::<_, u8>(input, contents.uint_contents)?,
        DType::U16 => narrow::<_, u16>(input, contents.uint_contents)?,
        DType::U32 => TensorData::U32(contents.uint_contents),
        DType::U64 => TensorData::U64(contents.uint64_contents),
        DType::F32 => TensorData::F32(contents.fp32_contents),
        DType::F64 => TensorData::F64(contents.fp64_contents),
        DType::F16 => TensorData::F16(Vec::new()),
        DType::BF16 => TensorData::BF16(Vec::new()),
        DType::Bytes => TensorData::Bytes(contents.bytes_contents.into_iter().map(Vec::from).collect()),
    };
    let count = binary::elements(input, &shape)?;
    if count != data.len() {
        return Err(invalid(format!(
            "unexpected number of elements for input '{input}' for model '{}': expected {count}, got {}",
            origin.model,
            data.len()
        )));
    }
    Tensor::from_data(shape, data)
}

/// The fields of `contents` that hold elements.
fn filled(contents: &InferTensorContents) -> Vec<&'static str> {
    let fields = [
        ("bool_contents", contents.bool_contents.is_empty()),
        ("int_contents", contents.int_contents.is_empty()),
        ("int64_contents", contents.int64_contents.is_empty()),
        ("uint_contents", contents.uint_contents.is_empty()),
        ("uint64_contents", contents.uint64_contents.is_empty()),
        ("fp32_contents", contents.fp32_contents.is_empty()),
        ("fp64_contents", contents.fp64_contents.is_empty()),
        ("bytes_contents", contents.bytes_contents.is_empty()),
    ];
    fields.into_iter().filter(|(_, empty)| !empty).map(|(field, _)| field).collect()
}

fn narrow<W: Copy, N: TryFrom<W> + Element>(input: &str, values: Vec<W>) -> Result<TensorData> {
    let values = values.into_iter().map(N::try_from).collect::<Result<_, _>>();
    values.map(N::wrap).map_err(|_| {
        invalid(format!("input '{input}' has elements that are out of the range of '{}'", N::DTYPE.kserve()))
    })
}

fn output(output: InferRequestedOutputTensor) -> Result<Output> {
    requested(output.name, &plain(output.parameters)?, None)
}

fn plain(parameters: BTreeMap<String, InferParameter>) -> Result<Given<'static>> {
    let plain = parameters.into_iter().map(|(key, value)| {
        let value = match value.parameter_choice {
            Some(ParameterChoice::BoolParam(value)) => Parameter::Bool(value),
            Some(ParameterChoice::Int64Param(value)) => {
                u64::try_from(value).map_or(Parameter::Signed(value), Parameter::Unsigned)
            }
            Some(ParameterChoice::Uint64Param(value)) => Parameter::Unsigned(value),
            Some(ParameterChoice::StringParam(value)) => Parameter::Text(value),
            Some(ParameterChoice::DoubleParam(value)) => Parameter::Float(value),
            None => return Err(invalid(format!("parameter `{key}` has no value"))),
        };
        Ok((key.into(), value))
    });
    plain.collect()
}

/// Encodes `reply`, with its tensors as bytes. Its outputs in shared memory are only spoken of.
///
/// # Errors
/// `InvalidArgument` for an element of BYTES of 4 GiB or more.
pub fn encode(reply: Reply) -> Result<ModelInferResponse> {
    let mut response = ModelInferResponse {
        model_name: reply.model.to_string(),
        model_version: reply.version.to_string(),
        id: reply.id,
        ..ModelInferResponse::default()
    };
    for output in reply.outputs {
        let mut tensor = InferOutputTensor {
            name: output.name,
            datatype: output.tensor.dtype().kserve().to_owned(),
            shape: output
                .tensor
                .shape()
                .iter()
                .map(|&size| i64::try_from(size).unwrap_or(i64::MAX))
                .collect(),
            ..InferOutputTensor::default()
        };
        let raw = match output.content {
            Content::Shared(region) => {
                let mut set = |key: &str, value| {
                    tensor.parameters.insert(key.into(), InferParameter { parameter_choice: Some(value) });
                };
                let number =
                    |value: u64| ParameterChoice::Int64Param(i64::try_from(value).unwrap_or(i64::MAX));
                set("shared_memory_region", ParameterChoice::StringParam(region.name));
                if region.offset > 0 {
                    set("shared_memory_offset", number(region.offset));
                }
                set("shared_memory_byte_size", number(region.byte_size));
                // Every output has its place among the raw ones.
                Bytes::new()
            }
            Content::Json | Content::Binary => binary::encode(output.tensor.data())?.into_owned().into(),
        };
        response.outputs.push(tensor);
        response.raw_output_contents.push(raw);
    }
    Ok(response)
}
