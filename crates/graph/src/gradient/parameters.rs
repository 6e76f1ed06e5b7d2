//! Which initializers are trained.

use std::collections::{HashMap, HashSet};

use tintype_core::Result;

use super::Parameter;
use crate::model::Model;
use crate::proto::{DataType, NodeProto, TensorProto};

/// The trainable parameters in the order of the model's initializers.
///
/// A parameter is an `f32` initializer that some operator reads as its weight, and that `trainable` accepts. Settings
/// that look the same are not parameters: a batch norm's running statistics, the bounds of a `Clip`, the scales of a
/// `Resize`, the mask of an attention, the coordinates that a network of position biases reads, and a single number that
/// an operator without weights of its own reads (the factor of a `Mul`).
pub(super) fn choose(model: &Model, trainable: &dyn Fn(&str) -> bool) -> Result<Vec<Parameter>> {
    let graph = model.graph();
    let mut weights = HashSet::new();
    let stored: HashMap<&str, &TensorProto> =
        graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let mut reshaped: HashSet<&str> = HashSet::new();
    for node in &graph.node {
        if node.standard_op() == Some("Reshape") {
            reshaped.extend(node.output_name(0));
        }
        // Exporters write a group norm as an instance norm of the groups in a row, without a scale and a shift of its
        // own: those of the network follow.
        if node.standard_op() == Some("InstanceNormalization")
            && node.input_name(0).is_some_and(|x| reshaped.contains(x))
        {
            continue;
        }
        for (index, name) in node.input.iter().enumerate() {
            let tensor = stored.get(name.as_str()).filter(|t| t.data_type == DataType::Float as i32);
            if tensor.is_some_and(|tensor| is_weight_of(node, index, tensor, &stored)) {
                weights.insert(name.as_str());
            }
        }
    }
    graph
        .initializer
        .iter()
        .filter(|tensor| weights.contains(tensor.name.as_str()) && trainable(&tensor.name))
        .map(|t| Ok(Parameter { name: t.name.clone(), shape: t.shape()?, values: t.to_f32()? }))
        .collect()
}

fn is_weight_of(
    node: &NodeProto,
    input: usize,
    tensor: &TensorProto,
    stored: &HashMap<&str, &TensorProto>,
) -> bool {
    let several = || tensor.dims.iter().any(|&d| d != 1);
    match (node.standard_op().unwrap_or_default(), input) {
        ("BatchNormalization", 3 | 4) => false,
        // Something stored times a weight: what is not the weight is data that the file brings along.
        ("Gemm" | "MatMul", 0) => node.input_name(1).is_none_or(|other| !stored.contains_key(other)),
        (
            "BatchNormalization"
            | "Conv"
            | "ConvTranspose"
            | "Einsum"
            | "Gemm"
            | "GroupNormalization"
            | "InstanceNormalization"
            | "LayerNormalization"
            | "MatMul"
            | "PRelu",
            _,
        ) => true,
        (
            "Clip" | "DequantizeLinear" | "Dropout" | "OneHot" | "Pad" | "QuantizeLinear" | "Range"
            | "Resize" | "Upsample",
            1..,
        ) => false,
        _ => several() && !is_mask(tensor),
    }
}

/// Whether adding a tensor closes some places to an attention: it is 0 or far below what weights are.
fn is_mask(tensor: &TensorProto) -> bool {
    const FAR_BELOW: f32 = -99.0;
    tensor.to_f32().is_ok_and(|values| {
        values.iter().all(|&v| v == 0.0 || v <= FAR_BELOW) && values.iter().any(|&v| v <= FAR_BELOW)
    })
}
