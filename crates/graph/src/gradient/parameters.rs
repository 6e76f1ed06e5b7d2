//! Which initializers are trained.

use tintype_core::Result;

use super::Parameter;
use crate::model::Model;
use crate::proto::{DataType, NodeProto, TensorProto};

/// The trainable parameters in the order of the model's initializers.
///
/// A parameter is an `f32` initializer that some operator reads as its weight, and that `trainable` accepts. Settings
/// that look the same are not parameters: a batch norm's running statistics, and a single number that an operator
/// without weights of its own reads (the bounds of a `Clip`, the factor of a `Mul`).
pub(super) fn choose(model: &Model, trainable: &dyn Fn(&str) -> bool) -> Result<Vec<Parameter>> {
    let graph = model.graph();
    let is_weight = |tensor: &&TensorProto| {
        let reads = |node: &NodeProto| {
            node.input
                .iter()
                .enumerate()
                .any(|(i, name)| *name == tensor.name && is_weight_of(node, i, tensor))
        };
        tensor.data_type == DataType::Float as i32 && graph.node.iter().any(reads) && trainable(&tensor.name)
    };
    graph
        .initializer
        .iter()
        .filter(is_weight)
        .map(|t| Ok(Parameter { name: t.name.clone(), shape: t.shape()?, values: t.to_f32()? }))
        .collect()
}

fn is_weight_of(node: &NodeProto, input: usize, tensor: &TensorProto) -> bool {
    match (node.standard_op().unwrap_or_default(), input) {
        ("BatchNormalization", 3 | 4) => false,
        ("Conv" | "ConvTranspose" | "Gemm" | "MatMul" | "BatchNormalization", _) => true,
        _ => tensor.dims.iter().any(|&d| d != 1),
    }
}
