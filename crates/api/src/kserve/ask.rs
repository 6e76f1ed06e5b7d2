//! The client's side of a [`Request`]: an HTTP body, or a message. What [`super::request::decode`] and
//! [`super::grpc::decode`] read is written here.

use std::collections::BTreeMap;

use bytes::Bytes;
use tintype_core::{Result, Tensor};

use super::proto::infer_parameter::ParameterChoice;
use super::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use super::proto::{InferParameter, ModelInferRequest};
use super::response::{Encoded, Json};
use super::{Form, Input, Output, Region, Request, Value, binary, invalid};

/// How the tensors of a request go over HTTP; those in shared memory stay there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InputForm {
    /// As bytes behind the JSON.
    #[default]
    Binary,
    /// In the JSON.
    Json,
}

/// Encodes `request` as an HTTP body. Outputs are asked for in the request's own form, or in theirs. Options and classes
/// are not written.
///
/// # Errors
/// `InvalidArgument` for bytes that JSON cannot hold, and where the form of all outputs is one region of shared memory.
pub fn encode(request: &Request, inputs: InputForm) -> Result<Encoded> {
    let mut body = Vec::new();
    let mut json = Json(&mut body);
    json.raw("{");
    if !request.id.is_empty() {
        json.member("id", &request.id)?;
        json.raw(",");
    }
    match request.form {
        Form::Json => {}
        Form::Binary => json.raw("\"parameters\":{\"binary_data_output\":true},"),
        Form::Shared(_) => return Err(invalid("each output has a region of shared memory of its own")),
    }
    json.raw("\"inputs\":[");
    for (index, input) in request.inputs.iter().enumerate() {
        json.raw(if index == 0 { "{" } else { ",{" });
        write_input(&mut json, input, inputs)?;
        json.raw("}");
    }
    json.raw("]");
    for (index, output) in request.outputs.iter().enumerate() {
        json.raw(if index == 0 { ",\"outputs\":[{" } else { ",{" });
        write_output(&mut json, output)?;
        json.raw("}");
    }
    json.raw(if request.outputs.is_empty() { "}" } else { "]}" });
    let header = body.len();
    let mut behind = request.inputs.iter().filter_map(tensor_of).peekable();
    let header_len = behind.peek().filter(|_| inputs == InputForm::Binary).map(|_| header);
    if header_len.is_some() {
        for tensor in behind {
            body.extend_from_slice(&binary::encode(tensor.data())?);
        }
    }
    Ok(Encoded { header_len, body })
}

fn write_input(json: &mut Json<'_>, input: &Input, form: InputForm) -> Result<()> {
    let (dtype, shape) = match &input.value {
        Value::Tensor(tensor) => (tensor.dtype(), tensor.shape()),
        Value::Shared { dtype, shape, .. } => (*dtype, shape.as_slice()),
    };
    json.member("name", &input.name)?;
    json.raw(",");
    json.member("datatype", dtype.kserve())?;
    json.raw(",");
    json.member("shape", shape)?;
    match (&input.value, form) {
        (Value::Shared { region, .. }, _) => write_region(json, region)?,
        (Value::Tensor(tensor), InputForm::Binary) => {
            json.raw(",\"parameters\":{");
            json.member("binary_data_size", &binary::size(tensor.data()))?;
            json.raw("}");
        }
        (Value::Tensor(tensor), InputForm::Json) => {
            json.raw(",\"data\":");
            // Its words are those for outputs, and there is one reason.
            json.data(&input.name, tensor.data()).map_err(|_| {
                let name = &input.name;
                invalid(format!("input '{name}' has bytes that are not UTF-8, which JSON cannot hold"))
            })?;
        }
    }
    Ok(())
}

fn write_output(json: &mut Json<'_>, output: &Output) -> Result<()> {
    json.member("name", &output.name)?;
    match &output.form {
        None => {}
        Some(Form::Json) => json.raw(",\"parameters\":{\"binary_data\":false}"),
        Some(Form::Binary) => json.raw(",\"parameters\":{\"binary_data\":true}"),
        Some(Form::Shared(region)) => write_region(json, region)?,
    }
    Ok(())
}

fn write_region(json: &mut Json<'_>, region: &Region) -> Result<()> {
    json.raw(",\"parameters\":{");
    json.member("shared_memory_region", &region.name)?;
    json.raw(",");
    json.member("shared_memory_offset", &region.offset)?;
    json.raw(",");
    json.member("shared_memory_byte_size", &region.byte_size)?;
    json.raw("}");
    Ok(())
}

/// `request` as a message to `model`, of whose versions an empty one is the server's choice; tensors are raw contents, and
/// so are outputs that are not asked for in shared memory.
///
/// # Errors
/// `InvalidArgument` for an element of BYTES of 4 GiB or more.
pub fn message(model: &str, version: &str, request: &Request) -> Result<ModelInferRequest> {
    let mut message = ModelInferRequest {
        model_name: model.to_owned(),
        model_version: version.to_owned(),
        id: request.id.clone(),
        ..ModelInferRequest::default()
    };
    for input in &request.inputs {
        let (dtype, shape, parameters) = match &input.value {
            Value::Tensor(tensor) => {
                let bytes = binary::encode(tensor.data())?.into_owned();
                message.raw_input_contents.push(Bytes::from(bytes));
                (tensor.dtype(), tensor.shape(), BTreeMap::new())
            }
            Value::Shared { region, dtype, shape } => (*dtype, shape.as_slice(), in_region(region)),
        };
        message.inputs.push(InferInputTensor {
            name: input.name.clone(),
            datatype: dtype.kserve().to_owned(),
            // A size that a tensor in memory has fits.
            shape: shape.iter().map(|&size| size as i64).collect(),
            parameters,
            contents: None,
        });
    }
    let requested = |output: &Output| InferRequestedOutputTensor {
        name: output.name.clone(),
        parameters: match &output.form {
            Some(Form::Shared(region)) => in_region(region),
            Some(Form::Json | Form::Binary) | None => BTreeMap::new(),
        },
    };
    message.outputs = request.outputs.iter().map(requested).collect();
    Ok(message)
}

fn in_region(region: &Region) -> BTreeMap<String, InferParameter> {
    // Sizes of memory fit.
    let number = |value: u64| ParameterChoice::Int64Param(value as i64);
    let parameters = [
        ("shared_memory_region", ParameterChoice::StringParam(region.name.clone())),
        ("shared_memory_offset", number(region.offset)),
        ("shared_memory_byte_size", number(region.byte_size)),
    ];
    let parameter = |choice| InferParameter { parameter_choice: Some(choice) };
    parameters.into_iter().map(|(name, choice)| (name.to_owned(), parameter(choice))).collect()
}

/// The tensor that comes with the request, if it does.
fn tensor_of(input: &Input) -> Option<&Tensor> {
    match &input.value {
        Value::Tensor(tensor) => Some(tensor),
        Value::Shared { .. } => None,
    }
}
