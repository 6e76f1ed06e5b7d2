//! What a server and a model say of themselves.

use serde::{Deserialize, Serialize};

/// The answer to `GET /v2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMetadata {
    /// The server's name, as its operator chose it.
    pub name: String,
    /// The version of tintype.
    pub version: String,
    /// The extensions of the protocol that are there.
    pub extensions: Vec<String>,
}

/// The answer to `GET /v2/models/{model}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelMetadata {
    /// The model's name.
    pub name: String,
    /// The versions that can be asked, in order.
    pub versions: Vec<String>,
    /// The kind of model, e.g. `onnxruntime_onnx`.
    pub platform: String,
    /// What it takes.
    pub inputs: Vec<TensorMetadata>,
    /// What it gives.
    pub outputs: Vec<TensorMetadata>,
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorMetadata {
    /// Its name.
    pub name: String,
    /// The type of its elements, e.g. `FP32`.
    pub datatype: String,
    /// The size of every axis, that of the batch included; -1 where it is variable.
    pub shape: Vec<i64>,
}
