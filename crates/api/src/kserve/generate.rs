//! The generate extension: a request without tensors, of names and values, and its answer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use sonic_rs::LazyValue;
use tintype_core::{DType, Result, Tensor};

use super::given::Given;
use super::{Form, Input, Options, Parameter, Reply, Request, Value, data, invalid, parse_json, response};

/// What a model says of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSpec {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub dtype: DType,
    /// Whether the batch's axis comes first.
    pub batched: bool,
}

/// Decodes a body. A value or an array of values becomes the input of that name, beside `parameters` or among them; other
/// names are parameters, which have no meaning to any model here.
///
/// # Errors
/// `InvalidArgument` with what is wrong.
pub fn decode(inputs: &[InputSpec], body: &[u8]) -> Result<Request> {
    let mut members: BTreeMap<Cow<'_, str>, LazyValue<'_>> = parse_json::<Members<'_>>(body)?.0;
    let id = match members.remove("id") {
        Some(id) => parse_json(id.as_raw_str().as_bytes())?,
        None => String::new(),
    };
    let nested = members.remove("parameters");
    let mut nested: BTreeMap<Cow<'_, str>, LazyValue<'_>> = match &nested {
        Some(parameters) => parse_json::<Members<'_>>(parameters.as_raw_str().as_bytes())?.0,
        None => BTreeMap::new(),
    };
    let inputs = inputs.iter().filter_map(|spec| {
        let name = spec.name.as_str();
        let value = members.remove(name).or_else(|| nested.remove(name))?;
        Some(
            spec.tensor(value.as_raw_str())
                .map(|tensor| Input { name: spec.name.clone(), value: Value::Tensor(tensor) }),
        )
    });
    let inputs = inputs.collect::<Result<_>>()?;
    let parameters = nested
        .into_iter()
        .map(|(name, value)| Ok((name, parse_json::<Parameter>(value.as_raw_str().as_bytes())?)));
    let options = Options::from_parameters(&parameters.collect::<Result<Given<'_>>>()?)?;
    Ok(Request { id, options, inputs, outputs: Vec::new(), form: Form::Json })
}

/// Encodes an answer: the outputs by their names, a bare value where there is one element.
///
/// # Errors
/// As [`response::encode`].
pub fn encode(reply: &Reply) -> Result<Vec<u8>> {
    response::encode_flat(reply)
}

#[derive(Deserialize)]
struct Members<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, LazyValue<'a>>);

impl InputSpec {
    /// The tensor of a value, or of an array of values.
    fn tensor(&self, json: &str) -> Result<Tensor> {
        let array = json.trim_ascii_start().starts_with('[');
        let count = match array {
            true => parse_json::<Vec<serde::de::IgnoredAny>>(json.as_bytes())?.len(),
            false => 1,
        };
        let wrapped = if array { Cow::Borrowed(json) } else { Cow::Owned(format!("[{json}]")) };
        let values = data::parse(&self.name, self.dtype, count, &wrapped)?;
        let shape = if self.batched { vec![1, count] } else { vec![count] };
        Tensor::from_data(shape, values)
            .map_err(|_| invalid(format!("input '{}': expected a flat array", self.name)))
    }
}
