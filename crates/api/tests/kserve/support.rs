use tintype_api::kserve::{Outputs, Request, Value, request};
use tintype_core::{ErrorKind, Tensor};

/// A model without labels.
pub struct Plain {
    pub batched: bool,
    pub labels: Vec<String>,
}

impl Outputs for Plain {
    fn batched(&self) -> bool {
        self.batched
    }
    fn labels(&self, _: &str) -> &[String] {
        &self.labels
    }
}

pub const PLAIN: Plain = Plain { batched: true, labels: Vec::new() };

pub fn decode(json: &str) -> tintype_core::Result<Request> {
    request::decode("m", None, json.as_bytes())
}

/// The words with which a body of JSON, then of `binary`, is refused.
pub fn refusal(json: &str, binary: &[u8]) -> String {
    let body = [json.as_bytes(), binary].concat();
    let header = (!binary.is_empty()).then_some(json.len());
    let error = request::decode("m", header, &body).expect_err(json);
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{json}");
    error.message().to_owned()
}

/// The tensor of the only input.
pub fn only(request: Request) -> Tensor {
    let [input] = request.inputs.try_into().expect("one input");
    match input.value {
        Value::Tensor(tensor) => tensor,
        Value::Shared { .. } => unreachable!("the input lies in shared memory"),
    }
}
