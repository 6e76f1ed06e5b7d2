//! The table of gradients: which function differentiates which operator.

use tintype_core::{ErrorKind, Result};

use super::tape::Tape;
use super::{
    FUSED_DOMAIN, activation, batch_norm, conv, elementwise, layout, linear, normalisation, pool, reduce,
    resize, softmax, unary,
};
use crate::proto::{DataType, NodeProto};

/// How a node is differentiated.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// From the gradient of its first output, the only one that may have any.
    First(fn(&mut Tape, &NodeProto, &str) -> Result<()>),
    /// From the gradients of all outputs, of which one at least is there.
    All(fn(&mut Tape, &NodeProto, &[Option<String>]) -> Result<()>),
}

/// Operators whose result does not change with small changes of what they read: no gradient passes them, and what they
/// make of a parameter depends on none.
const FLAT: &[&str] = &[
    "And",
    "ArgMax",
    "ArgMin",
    "Ceil",
    "ConstantOfShape",
    "Equal",
    "EyeLike",
    "Floor",
    "Greater",
    "GreaterOrEqual",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "NonZero",
    "Not",
    "OneHot",
    "Or",
    "Range",
    "Round",
    "Shape",
    "Sign",
    "Size",
    "Xor",
];

/// Whether no gradient passes `node` for the good reason that there is none.
pub(super) fn is_flat(node: &NodeProto) -> bool {
    let floats = [DataType::Float, DataType::Float16, DataType::Double, DataType::Bfloat16].map(|t| t as i64);
    node.standard_op().is_some_and(|op| {
        FLAT.contains(&op) || (op == "Cast" && node.int("to").is_some_and(|to| !floats.contains(&to)))
    })
}

/// The rule of `node`'s operator.
///
/// # Errors
/// `Unsupported`, naming the node, when there is none.
pub(super) fn rule(node: &NodeProto) -> Result<Rule> {
    let first: fn(&mut Tape, &NodeProto, &str) -> Result<()> =
        match (node.domain.as_str(), node.op_type.as_str()) {
            (FUSED_DOMAIN, "BatchNormTrain") => batch_norm::trained,
            (FUSED_DOMAIN, "Dropout") => activation::dropout,
            ("com.microsoft", "Gelu") => activation::smooth::gelu,
            ("com.microsoft", "QuickGelu") => activation::smooth::swish,
            ("" | "ai.onnx", "Split") => return Ok(Rule::All(layout::split)),
            ("" | "ai.onnx", op) => match op {
                "Abs" => unary::abs,
                "Add" => elementwise::add,
                "AveragePool" => pool::average,
                "BatchNormalization" => batch_norm::frozen,
                "Cast" => layout::cast,
                "Celu" => activation::piecewise::celu,
                "Clip" => activation::piecewise::clip,
                "Concat" => layout::concat,
                "Conv" => conv::conv,
                "ConvTranspose" => conv::transposed,
                "Cos" => unary::cos,
                "CumSum" => layout::gather::cumulative_sum,
                "DepthToSpace" | "SpaceToDepth" => layout::blocks,
                "Div" => elementwise::div,
                "Dropout" | "Flatten" | "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" => {
                    layout::same_elements
                }
                "Einsum" => linear::einsum::einsum,
                "Elu" => activation::piecewise::elu,
                "Erf" => activation::smooth::erf,
                "Exp" => unary::exp,
                "Expand" => layout::expand,
                "Gather" => layout::gather::gather,
                "GatherElements" => layout::gather::gather_elements,
                "GatherND" => layout::gather::gather_nd,
                "Gelu" => activation::smooth::gelu,
                "Gemm" => linear::gemm,
                "GlobalAveragePool" | "ReduceMean" => reduce::mean,
                "GlobalMaxPool" | "ReduceMax" | "ReduceMin" => reduce::extreme,
                "GroupNormalization" => normalisation::group,
                "HardSigmoid" => activation::piecewise::hard_sigmoid,
                "HardSwish" => activation::piecewise::hard_swish,
                "InstanceNormalization" => normalisation::instance,
                "LayerNormalization" => normalisation::layer,
                "LeakyRelu" => activation::piecewise::leaky_relu,
                "Log" => unary::log,
                "LogSoftmax" => softmax::log_softmax,
                "MatMul" => linear::matmul,
                "Max" | "Min" => elementwise::extreme,
                "MaxPool" => pool::max,
                "Mean" | "Sum" => elementwise::sum,
                "Mish" => activation::smooth::mish,
                "Mul" => elementwise::mul,
                "Neg" => unary::neg,
                "PRelu" => activation::piecewise::prelu,
                "Pad" => layout::gather::pad,
                "Pow" => elementwise::pow,
                "Reciprocal" => unary::reciprocal,
                "ReduceL1" => reduce::l1,
                "ReduceL2" => reduce::l2,
                "ReduceLogSumExp" => reduce::log_sum_exp,
                "ReduceSum" => reduce::sum,
                "ReduceSumSquare" => reduce::sum_square,
                "Relu" => activation::relu,
                "Resize" | "Upsample" => resize::resize,
                "Selu" => activation::piecewise::selu,
                "Sigmoid" => activation::smooth::sigmoid,
                "Sin" => unary::sin,
                "Slice" => layout::slice,
                "Softmax" => softmax::softmax,
                "Softplus" => activation::smooth::softplus,
                "Softsign" => activation::smooth::softsign,
                "Sqrt" => unary::sqrt,
                "Sub" => elementwise::sub,
                "Swish" => activation::smooth::swish,
                "Tanh" => activation::smooth::tanh,
                "ThresholdedRelu" => activation::piecewise::thresholded_relu,
                "Tile" => layout::tile,
                "Transpose" => layout::transpose,
                "Where" => elementwise::choice,
                _ => return Err(node.error(ErrorKind::Unsupported, "has no gradient")),
            },
            _ => return Err(node.error(ErrorKind::Unsupported, "has no gradient")),
        };
    Ok(Rule::First(first))
}
