//! Operators of the domain `tintype`, opset 1, that a differentiated graph needs and ONNX has not.

use ort::operator::OperatorDomain;

/// The domain of these operators in a model.
pub const DOMAIN: &str = "tintype";

/// The domain with all operators, for one session.
pub(super) fn domain() -> ort::Result<OperatorDomain> {
    OperatorDomain::new(DOMAIN)
}
