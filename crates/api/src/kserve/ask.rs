//! The client's side of a [`Request`]: an HTTP body, or a message. What [`super::request::decode`] and
//! [`super::grpc::decode`] read is written here.

use bytes::Bytes;
use tintype_core::{Result, Tensor};

use super::proto::ModelInferRequest;
use super::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use super::response::{Encoded, Json};
use super::{Form, Input, Request, Value, binary, invalid};

/// Encodes `request` as an HTTP body: its tensors as bytes behind the JSON where its form is binary, in JSON otherwise.
/// Outputs are asked for in the same form. Options are not written.
///
/// # Errors
/// `InvalidArgument` for tensors in shared memory, and for bytes that JSON cannot hold.
pub fn encode(request: &Request) -> Result<Encoded> {
    let binary_form = request.form == Form::Binary;
    let mut body = Vec::new();
    let mut json = Json(&mut body);
    json.raw("{");
    if !request.id.is_empty() {
        json.member("id", &request.id)?;
        json.raw(",");
    }
    if binary_form {
        json.raw("\"parameters\":{\"binary_data_output\":true},");
    }
    json.raw("\"inputs\":[");
    for (index, input) in request.inputs.iter().enumerate() {
        let tensor = tensor_of(input)?;
        json.raw(if index == 0 { "{" } else { ",{" });
        json.member("name", &input.name)?;
        json.raw(",");
        json.member("datatype", tensor.dtype().kserve())?;
        json.raw(",");
        json.member("shape", tensor.shape())?;
        if binary_form {
            json.raw(",\"parameters\":{");
            json.member("binary_data_size", &binary::size(tensor.data()))?;
            json.raw("}");
        } else {
            json.raw(",\"data\":");
            // Its words are those for outputs, and there is one reason.
            json.data(&input.name, tensor.data()).map_err(|_| {
                let name = &input.name;
                invalid(format!("input '{name}' has bytes that are not UTF-8, which JSON cannot hold"))
            })?;
        }
        json.raw("}");
    }
    json.raw("]");
    for (index, output) in request.outputs.iter().enumerate() {
        json.raw(if index == 0 { ",\"outputs\":[{" } else { ",{" });
        json.member("name", &output.name)?;
        json.raw("}");
    }
    json.raw(if request.outputs.is_empty() { "}" } else { "]}" });
    let header = body.len();
    if binary_form {
        for input in &request.inputs {
            body.extend_from_slice(&binary::encode(tensor_of(input)?.data())?);
        }
    }
    Ok(Encoded { header_len: binary_form.then_some(header), body })
}

/// `request` as a message to `model`, of whose versions an empty one is the server's choice; tensors are raw contents.
///
/// # Errors
/// `InvalidArgument` for tensors in shared memory.
pub fn message(model: &str, version: &str, request: &Request) -> Result<ModelInferRequest> {
    let mut message = ModelInferRequest {
        model_name: model.to_owned(),
        model_version: version.to_owned(),
        id: request.id.clone(),
        ..ModelInferRequest::default()
    };
    for input in &request.inputs {
        let tensor = tensor_of(input)?;
        message.inputs.push(InferInputTensor {
            name: input.name.clone(),
            datatype: tensor.dtype().kserve().to_owned(),
            // A size that a tensor in memory has fits.
            shape: tensor.shape().iter().map(|&size| size as i64).collect(),
            ..InferInputTensor::default()
        });
        message.raw_input_contents.push(Bytes::from(binary::encode(tensor.data())?.into_owned()));
    }
    let requested = |name: &String| InferRequestedOutputTensor { name: name.clone(), ..Default::default() };
    message.outputs = request.outputs.iter().map(|output| requested(&output.name)).collect();
    Ok(message)
}

fn tensor_of(input: &Input) -> Result<&Tensor> {
    match &input.value {
        Value::Tensor(tensor) => Ok(tensor),
        Value::Shared { .. } => {
            Err(invalid(format!("input '{}' lies in shared memory, which is not written", input.name)))
        }
    }
}
