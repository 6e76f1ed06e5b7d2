//! Which tensors become integers.
//!
//! A layer (convolution or linear with stored weights) reads integers; that is the gain. From there:
//!
//! * a convolution also writes integers, behind a `Relu` or `Clip` that nothing else reads past, because ONNX Runtime has
//!   no convolution that reads integers and writes floats. Linear layers write floats where nobody wants integers;
//! * sums, products, joins, means and sigmoids whose inputs are all such integers, and whose result leads to a layer, join in;
//! * what only moves or picks elements (`MaxPool`, `Reshape`, …) keeps its input's scale.
//!
//! Everything else (normalisation over tokens, softmax, GELU, …) stays float between a pair.

use std::collections::{BTreeMap, HashMap, HashSet};

use tintype_core::Result;

use super::Layer;
use crate::model::Model;
use crate::proto::{DataType, GraphProto, NodeProto, TensorProto};
use crate::wiring::Wiring;

/// A layer's node.
#[derive(Debug, Clone)]
pub(super) struct LayerNode {
    pub described: Layer,
    /// Its place among the nodes.
    pub index: usize,
    /// The axis of the weight that counts output channels.
    pub axis: usize,
}

/// A tensor that becomes integers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// The tensor whose range it has: itself, or what was moved.
    pub source: String,
    /// Whether a quantised node makes it: then there is no float to read but the dequantised one.
    pub made: bool,
}

/// Which nodes compute with integers and which tensors are such.
#[derive(Debug, Clone, Default)]
pub(super) struct Placement {
    /// The quantised layers by their nodes' places.
    pub layers: HashMap<usize, LayerNode>,
    /// The tensors that become integers.
    pub values: HashMap<String, Value>,
    /// `Relu` and `Clip` nodes that rounding to the range may replace, by place, with the place of the node before.
    pub closing: BTreeMap<usize, usize>,
}

/// The nodes that can be quantised.
pub(super) fn layers(wiring: &Wiring, graph: &GraphProto) -> Vec<LayerNode> {
    let dynamic = wiring.dependent();
    graph
        .node
        .iter()
        .enumerate()
        .filter(|(_, node)| node.input_name(0).is_some_and(|name| dynamic.contains(name)))
        .filter_map(|(index, node)| layer(wiring, index, node))
        .collect()
}

fn layer(wiring: &Wiring, index: usize, node: &NodeProto) -> Option<LayerNode> {
    let is_float = |tensor: &&TensorProto| tensor.data_type == DataType::Float as i32;
    let weight = wiring.constant(node.input_name(1)?).filter(is_float)?;
    let shape = weight.shape().ok().filter(|shape| shape.iter().all(|&axis| axis > 0))?;
    let op = node.standard_op()?;
    let axis = match (op, shape.len()) {
        ("Conv", 3..) => 0,
        ("MatMul", 2) => 1,
        ("Gemm", 2) if is_plain(node) => usize::from(node.int("transB").unwrap_or(0) == 0),
        _ => return None,
    };
    if let Some(bias) = node.input_name(2) {
        let bias = wiring.constant(bias).filter(is_float)?.shape().ok()?;
        (bias.iter().product::<usize>() == shape[axis]).then_some(())?;
    }
    let output = node.output_name(0)?;
    let name = if node.name.is_empty() { output } else { &node.name };
    let described = Layer { name: name.to_owned(), op: op.to_owned(), weights: shape.iter().product() };
    Some(LayerNode { described, index, axis })
}

/// Whether a `Gemm` is `A·B + C` and no more.
fn is_plain(node: &NodeProto) -> bool {
    let one = |name| node.float(name).unwrap_or(1.0) == 1.0;
    one("alpha") && one("beta") && node.int("transA").unwrap_or(0) == 0
}

/// Whether there is an integer operator of it, over inputs of scales of their own.
fn joins(node: &NodeProto) -> bool {
    matches!(
        node.standard_op(),
        Some("Add" | "Mul" | "Concat" | "GlobalAveragePool" | "AveragePool" | "Sigmoid")
    )
}

/// Whether it only moves or picks elements of its first input.
fn moves(node: &NodeProto) -> bool {
    matches!(
        node.standard_op(),
        Some("MaxPool" | "Reshape" | "Flatten" | "Transpose" | "Squeeze" | "Unsqueeze")
    ) && node.output.len() == 1
}

/// A graph with what placing asks of it.
struct Sight<'a> {
    graph: &'a GraphProto,
    wiring: Wiring<'a>,
    readers: HashMap<&'a str, Vec<usize>>,
    outputs: HashSet<&'a str>,
}

impl Placement {
    /// Places all layers but those whose name is in `exclude`.
    ///
    /// # Errors
    /// `InvalidModel` when the graph is not in order.
    pub fn of(model: &Model, layers: &[LayerNode], exclude: &HashSet<String>) -> Result<Self> {
        let graph = model.graph();
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            node.reads().into_iter().for_each(|name| readers.entry(name).or_default().push(index));
        }
        let outputs = graph.output.iter().map(|v| v.name.as_str()).collect();
        let sight = Sight { graph, wiring: Wiring::new(graph)?, readers, outputs };
        let kept = layers.iter().filter(|layer| !exclude.contains(&layer.described.name));
        let layers = kept.map(|layer| (layer.index, layer.clone())).collect();
        let mut placement = Self { layers, ..Self::default() };
        placement.fill(&sight);
        Ok(placement)
    }

    fn fill(&mut self, sight: &Sight) {
        let available = self.available(sight);
        let mut wanted: HashSet<&str> = HashSet::new();
        let mut joined: HashSet<usize> = HashSet::new();
        for (index, node) in sight.graph.node.iter().enumerate().rev() {
            let result = sight.result(index);
            if self.layers.contains_key(&index) {
                wanted.extend(node.input_name(0));
                if node.standard_op() == Some("Conv") {
                    wanted.insert(result);
                }
            } else if (joins(node) || moves(node))
                && available.contains_key(result)
                && wanted.contains(result)
            {
                let reads = if moves(node) { 1 } else { node.input.len() };
                wanted.extend(node.input.iter().take(reads).map(String::as_str));
                joined.insert(index);
            }
        }
        let mut made: HashMap<&str, usize> = HashMap::new();
        for index in 0..sight.graph.node.len() {
            let result = sight.result(index);
            if (self.layers.contains_key(&index) || joined.contains(&index)) && wanted.contains(result) {
                made.insert(result, index);
                if let Some(act) = sight.closing(index) {
                    self.closing.insert(act, index);
                }
            }
        }
        for name in wanted {
            let source = match made.get(name) {
                Some(_) => available.get(name).copied().unwrap_or(name),
                None => name,
            };
            let value = Value { source: source.to_owned(), made: made.contains_key(name) };
            self.values.insert(name.to_owned(), value);
        }
    }

    /// The tensors that can be integers because all that they are made of is, with the tensor whose range they have.
    fn available<'a>(&self, sight: &Sight<'a>) -> HashMap<&'a str, &'a str> {
        let mut available: HashMap<&str, &str> = HashMap::new();
        for (index, node) in sight.graph.node.iter().enumerate() {
            let result = sight.result(index);
            if self.layers.contains_key(&index) {
                available.insert(result, result);
            } else if moves(node) {
                if let Some(&source) = node.input_name(0).and_then(|name| available.get(name)) {
                    available.insert(result, source);
                }
            } else if joins(node) && node.input.iter().all(|name| available.contains_key(name.as_str())) {
                available.insert(result, result);
            }
        }
        available
    }

    /// The names of the tensors that become integers, sorted.
    pub fn tensors(&self) -> Vec<String> {
        let mut names: Vec<String> = self.values.keys().cloned().collect();
        names.sort();
        names
    }
}

impl<'a> Sight<'a> {
    /// The tensor that a node makes, or the activation behind it, where there is one that nothing reads past.
    fn result(&self, index: usize) -> &'a str {
        let made = self.closing(index).unwrap_or(index);
        self.graph.node[made].output.first().map_or("", String::as_str)
    }

    /// The `Relu` or `Clip` behind a layer or a joining node that is its only reader.
    fn closing(&self, index: usize) -> Option<usize> {
        let node = &self.graph.node[index];
        if moves(node) || !(joins(node) || matches!(node.standard_op(), Some("Conv" | "Gemm" | "MatMul"))) {
            return None;
        }
        let output = node.output_name(0).filter(|name| !self.outputs.contains(name))?;
        let &[reader] = self.readers.get(output)?.as_slice() else { return None };
        bounds(&self.wiring, &self.graph.node[reader]).map(|_| reader)
    }
}

/// The least and greatest value that a `Relu` or `Clip` lets through.
pub(super) fn bounds(wiring: &Wiring, node: &NodeProto) -> Option<(f32, f32)> {
    let bound = |input: usize, otherwise: f32| match node.input_name(input) {
        None => Some(otherwise),
        Some(name) => wiring.constant(name)?.to_f32().ok()?.first().copied(),
    };
    match node.standard_op()? {
        "Relu" => Some((0.0, f32::INFINITY)),
        "Clip" => Some((bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?)),
        _ => None,
    }
}
