//! perf_analyzer's JSON: `{"data": [{"NAME": [values] | {"content": [values], "shape": [sizes]} | {"b64": "…"}}, …]}`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tintype_api::decode_base64;
use tintype_api::kserve::{Request, Value as Content, binary, request as wire};
use tintype_core::{Error, ErrorKind, Result, Tensor};

use super::{Expected, TensorOptions, expected, request};
use crate::control::ModelFacts;

/// The name under which perf_analyzer's data for TorchServe lists files.
const TORCHSERVE_INPUT: &str = "TORCHSERVE_INPUT";

/// Whether `text` has perf_analyzer's form.
pub fn is_data(text: &[u8]) -> bool {
    serde_json::from_slice::<Value>(text).is_ok_and(|json| json.get("data").is_some_and(Value::is_array))
}

/// The files that data for TorchServe lists.
///
/// # Errors
/// `InvalidArgument` when it is of another form.
pub fn files_in(text: &[u8]) -> Result<Vec<PathBuf>> {
    let entries = entries(text)?;
    let files = entries.iter().flat_map(|entry| match entry.get(TORCHSERVE_INPUT) {
        Some(Value::Array(files)) => files.iter().map(|file| file.as_str().map(PathBuf::from)).collect(),
        Some(Value::String(file)) => vec![Some(PathBuf::from(file))],
        _ => vec![None],
    });
    let files: Option<Vec<PathBuf>> = files.collect();
    files.ok_or_else(|| {
        invalid(format!("expected the path of a file under `{TORCHSERVE_INPUT}` in each entry"))
    })
}

/// A request for each entry.
///
/// # Errors
/// `InvalidArgument` when an entry lacks an input, or one does not fit the model.
pub fn tensors(text: &[u8], facts: &ModelFacts, options: &TensorOptions) -> Result<Vec<Request>> {
    let inputs = expected(facts, options)?;
    let entries = entries(text)?;
    let requests = entries.iter().enumerate().map(|(index, entry)| {
        let rows = inputs.iter().map(|input| {
            let value =
                entry.get(input.name).ok_or_else(|| invalid(format!("input `{}` is missing", input.name)));
            Ok((input.name.to_owned(), row(input, value?)?))
        });
        let rows =
            rows.collect::<Result<_>>().map_err(|e: Error| e.context(format!("data entry {index}")))?;
        request(facts, rows, options)
    });
    requests.collect()
}

/// The entries; those of sequences one after the other.
fn entries(text: &[u8]) -> Result<Vec<Map<String, Value>>> {
    let json: Value = serde_json::from_slice(text).map_err(|e| invalid(format!("not JSON: {e}")))?;
    let data = json.get("data").and_then(Value::as_array).filter(|data| !data.is_empty());
    let data = data.ok_or_else(|| invalid("expected an array `data` with at least one entry"))?;
    let flat = data.iter().flat_map(|entry| match entry {
        Value::Array(sequence) => sequence.iter().collect(),
        entry => vec![entry],
    });
    flat.map(|entry| entry.as_object().cloned().ok_or_else(|| invalid("expected objects in `data`")))
        .collect()
}

fn row(input: &Expected<'_>, value: &Value) -> Result<Tensor> {
    let parts = value.as_object();
    let content = parts.map_or(Some(value), |parts| parts.get("content"));
    let sizes: Option<Vec<i64>> = match parts.and_then(|parts| parts.get("shape")) {
        Some(shape) => {
            Some(serde_json::from_value(shape.clone()).map_err(|e| invalid(format!("`shape`: {e}")))?)
        }
        None => None,
    };
    let dims = sizes.as_ref().unwrap_or(&input.dims);
    let b64 = parts.and_then(|parts| parts.get("b64")).and_then(Value::as_str);
    match (content, b64) {
        (Some(content), _) => {
            let flat = flattened(content);
            let shape = shape(input, dims, flat.len())?;
            let datatype = input.dtype.kserve();
            let body =
                json!({"inputs": [{"name": input.name, "shape": shape, "datatype": datatype, "data": flat}]});
            let mut read = wire::decode("", None, body.to_string().as_bytes())?;
            match read.inputs.pop().map(|input| input.value) {
                Some(Content::Tensor(tensor)) => Ok(tensor),
                _ => Err(invalid(format!("input `{}` is empty", input.name))),
            }
        }
        (None, Some(text)) => {
            let bytes = decode_base64(text)?;
            let Some(size) = input.dtype.size() else {
                return Tensor::new(shape(input, dims, 1)?, vec![bytes]);
            };
            let origin = binary::Origin { id: "", model: "", input: input.name };
            binary::decode(origin, input.dtype, shape(input, dims, bytes.len() / size)?, &bytes)
        }
        (None, None) => Err(invalid(format!("input `{}`: expected values, `content` or `b64`", input.name))),
    }
}

/// The shape of a row of `count` elements; one size may be left open.
pub(super) fn shape(input: &Expected<'_>, dims: &[i64], count: usize) -> Result<Vec<usize>> {
    let known: usize = dims.iter().filter_map(|&dim| usize::try_from(dim).ok()).product();
    let open = dims.iter().filter(|&&dim| dim < 0).count();
    if open > 1 || known == 0 {
        return Err(input.dims_left_open());
    }
    Ok(input.shape(dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(count / known))))
}

fn flattened(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values.iter().flat_map(flattened).collect(),
        value => vec![value.clone()],
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}
