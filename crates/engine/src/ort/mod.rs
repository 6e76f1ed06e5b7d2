//! ONNX Runtime.

/// The one version of ONNX Runtime that tintype is built and tested against.
pub const VERSION: &str = "1.31.1";
