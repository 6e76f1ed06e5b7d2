//! The head of a classifier: its last linear layer, on any ONNX graph.
//!
//! [`find`] walks from the scores back over what only reshapes or squashes them to the layer that makes them: a
//! `Gemm`, a `MatMul` (with the `Add` of its bias), or a 1×1 `Conv`. [`cut`] makes a model that ends with what that
//! layer reads, the features; [`replace`] puts another linear layer there. Everything after the old layer goes, so
//! the new output is logits, whatever the old one was.

mod find;

use tintype_core::{Error, ErrorKind, Result};

use crate::model::{Model, first_axis};
use crate::proto::{DataType, Dimension, NodeProto, TensorProto, ValueInfoProto};
use crate::rewrite::{clear_name, free_name, prune};

pub use find::{Head, Source, find};

/// The output of a model that [`cut`] makes.
pub const FEATURES: &str = "features";
/// The output of a model that [`replace`] makes.
pub const LOGITS: &str = "logits";
/// The parameters of a layer that [`replace`] adds.
const WEIGHT: &str = "head.weight";
const BIAS: &str = "head.bias";

/// The part of a classifier before its head: the same input, and one output `features`, `f32[N, F]`.
///
/// `output` is the name of the scores.
///
/// # Errors
/// As [`find`].
pub fn cut(model: &Model, output: &str) -> Result<Model> {
    let head = find(model, output)?;
    let mut model = model.clone();
    model.free_initializers();
    if head.steps().is_empty() && head.value == FEATURES {
        // An earlier `replace` left them exactly so.
    } else {
        let moved = clear_name(model.graph_mut(), FEATURES);
        let from = if head.value == FEATURES { moved } else { head.value.clone() };
        append_features(&mut model, &head, &from);
    }
    let batch = first_axis(model.graph(), &head.input);
    let graph = model.graph_mut();
    graph.output =
        vec![ValueInfoProto::tensor(FEATURES, DataType::Float, vec![batch, Dimension::of(head.features)])];
    prune(graph)?;
    Ok(model)
}

/// The classifier with another head: output `logits`, `f32[N, K]`, `= features · weightsᵀ + bias`.
///
/// `weights` is `[K, F]` in row-major order, `bias` `[K]`; `F` is [`Head::features`], `K` may be any number.
///
/// # Errors
/// As [`find`]; `InvalidArgument` when the number of weights is not `K · F`.
pub fn replace(model: &Model, output: &str, weights: &[f32], bias: &[f32]) -> Result<Model> {
    let head = find(model, output)?;
    let classes = bias.len();
    if classes == 0 || weights.len() != classes * head.features {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "a head of {classes} classes on {} features has {} weights, found {}",
                head.features,
                classes * head.features,
                weights.len()
            ),
        ));
    }
    let mut model = cut(model, output)?;
    for name in [LOGITS, WEIGHT, BIAS] {
        clear_name(model.graph_mut(), name);
    }
    let batch = first_axis(model.graph(), &head.input);
    let graph = model.graph_mut();
    graph.node.push(NodeProto::new("Gemm", &[FEATURES, WEIGHT, BIAS], &[LOGITS]).with("transB", 1));
    graph.initializer.push(TensorProto::from_f32(WEIGHT, &[classes, head.features], weights));
    graph.initializer.push(TensorProto::from_f32(BIAS, &[classes], bias));
    graph.output = vec![ValueInfoProto::tensor(LOGITS, DataType::Float, vec![batch, Dimension::of(classes)])];
    Ok(model)
}

/// Adds the nodes between what the head reads and [`FEATURES`]: at least one, for the name's sake.
fn append_features(model: &mut Model, head: &Head, from: &str) {
    let mut steps = head.steps();
    if steps.is_empty() {
        steps.push(NodeProto::new("Identity", &[], &[]));
    }
    let last = steps.len() - 1;
    let mut from = from.to_owned();
    for (index, step) in steps.into_iter().enumerate() {
        let graph = model.graph_mut();
        let to = if index == last { FEATURES.to_owned() } else { free_name(graph, "features_maps") };
        let mut node = NodeProto::new(&step.op_type, &[&from], &[&to]);
        node.attribute = step.attribute;
        graph.node.push(node);
        from = to;
    }
}

impl Head {
    /// What turns [`Head::value`] into `f32[N, F]`: operators with their attributes, without names.
    fn steps(&self) -> Vec<NodeProto> {
        let op = |name| NodeProto::new(name, &[], &[]);
        let mut steps = match self.source {
            Source::Rows => Vec::new(),
            Source::Pixel => vec![op("Flatten").with("axis", 1)],
            Source::Map => vec![op("GlobalAveragePool"), op("Flatten").with("axis", 1)],
        };
        if self.cast {
            steps.push(op("Cast").with("to", DataType::Float as i64));
        }
        steps
    }
}
