//! What is written while differentiating: nodes with the shapes of what they make, and the gradient of each value.
//!
//! [`ops`], [`arrange`] and [`choose`] are the operators that gradients are written in.

mod arrange;
mod choose;
mod ops;

use std::collections::{HashMap, HashSet};

use tintype_core::{ErrorKind, Result};

use super::{FUSED_DOMAIN, Parameter, activation, batch_norm, depends_on};
use crate::model::Model;
use crate::proto::{NodeProto, TensorProto};
use crate::rewrite::Names;
use crate::shape::Shapes;

pub(super) use ops::{plain, transposed};

/// The graph so far.
pub(super) struct Tape {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) initializers: Vec<TensorProto>,
    pub(super) shapes: Shapes,
    /// Whether fused operators may be written.
    pub(super) fused: bool,
    /// The name of the gradient of a value, for those that have one.
    gradients: HashMap<String, String>,
    /// The values that depend on a parameter.
    needed: HashSet<String>,
    names: Names,
    /// The lists of integers written so far.
    integers: HashMap<Vec<i64>, String>,
}

impl Tape {
    /// An empty graph beside `model`'s constants.
    pub(super) fn new(model: &Model, shapes: Shapes, fused: bool) -> Self {
        Self {
            nodes: Vec::new(),
            initializers: Vec::new(),
            shapes,
            fused,
            gradients: HashMap::new(),
            needed: HashSet::new(),
            names: Names::of(model.graph()),
            integers: HashMap::new(),
        }
    }

    /// The elements of a list of integers that the model stores, or computes from sizes.
    pub(super) fn stored(&self, name: &str) -> Option<Vec<i64>> {
        self.shapes.integers(name).map(<[i64]>::to_vec)
    }

    /// A single number that the model stores and nothing trains, of any type.
    pub(super) fn number(&self, name: &str) -> Option<f32> {
        let integer = || self.shapes.integers(name).map(|v| v.iter().map(|&v| v as f32).collect());
        let values = self.numbers(name).map(<[f32]>::to_vec).or_else(integer)?;
        <[f32; 1]>::try_from(values).ok().map(|[value]| value)
    }

    /// A short list of floats that the model stores and nothing trains.
    pub(super) fn numbers(&self, name: &str) -> Option<&[f32]> {
        self.shapes.floats(name).filter(|_| !self.is_needed(name))
    }

    /// Says that a value is to have a gradient.
    pub(super) fn need(&mut self, name: &str) {
        self.needed.insert(name.to_owned());
    }

    /// Whether a value depends on a parameter.
    pub(super) fn is_needed(&self, name: &str) -> bool {
        self.needed.contains(name)
    }

    /// The gradient of a value.
    pub(super) fn gradient(&self, name: &str) -> Option<&str> {
        self.gradients.get(name).map(String::as_str)
    }

    /// Adds a node of the forward graph.
    pub(super) fn forward(&mut self, node: &NodeProto) -> Result<()> {
        node.output.iter().for_each(|name| self.names.take(name));
        if depends_on(node, |name| self.needed.contains(name)) {
            self.needed.extend(node.output.iter().filter(|s| !s.is_empty()).cloned());
        }
        if node.domain == FUSED_DOMAIN && node.op_type == "BatchNormTrain" && !self.fused {
            return batch_norm::train_plainly(self, node);
        }
        if node.domain == FUSED_DOMAIN && node.op_type == "Dropout" && !self.fused {
            return activation::drop_plainly(self, node);
        }
        self.nodes.push(node.clone());
        Ok(())
    }

    /// The name of input `index` if its gradient is wanted.
    pub(super) fn wants(&self, node: &NodeProto, index: usize) -> Option<String> {
        node.input_name(index).filter(|name| self.is_needed(name)).map(str::to_owned)
    }

    /// The shape of a value that `node` reads or makes.
    pub(super) fn shape(&self, node: &NodeProto, name: &str) -> Result<Vec<usize>> {
        self.shapes.of(node, name).map(<[usize]>::to_vec)
    }

    /// The shape of a picture-like value, `[N, C, H, W]`.
    pub(super) fn picture(&self, node: &NodeProto, name: &str) -> Result<[usize; 4]> {
        let shape = self.shape(node, name)?;
        shape.as_slice().try_into().map_err(|_| {
            node.error(
                ErrorKind::Unsupported,
                format!("has a gradient for four axes alone, found the shape {shape:?} of `{name}`"),
            )
        })
    }

    /// The shape of a value written here.
    pub(super) fn own(&self, name: &str) -> Vec<usize> {
        self.shapes.get(name).unwrap_or_default().to_vec()
    }

    /// Adds to the gradient of `value` a tensor of its shape.
    pub(super) fn add(&mut self, value: &str, gradient: String) {
        debug_assert!(
            self.shapes.get(value).is_none_or(|shape| Some(shape) == self.shapes.get(&gradient)),
            "the gradient of `{value}` has another shape"
        );
        let sum = match self.gradients.get(value).cloned() {
            Some(before) => self.elementwise("Add", &before, &gradient),
            None => gradient,
        };
        self.gradients.insert(value.to_owned(), sum);
    }

    /// Adds to the gradient of input `index`, if it is wanted, a tensor of the output's shape: summed over the axes
    /// along which the input was broadcast.
    pub(super) fn contribute(&mut self, node: &NodeProto, index: usize, gradient: &str) -> Result<()> {
        let Some(x) = self.wants(node, index) else { return Ok(()) };
        let shape = self.shape(node, &x)?;
        let reduced = self.unbroadcast(gradient, &shape);
        self.add(&x, reduced);
        Ok(())
    }

    fn fresh(&mut self, like: &str) -> String {
        self.names.fresh(&format!("gradient/{like}"))
    }

    /// Adds a node whose outputs have these shapes; returns their names.
    pub(super) fn push(&mut self, mut node: NodeProto, shapes: &[Vec<usize>]) -> Vec<String> {
        node.output = shapes.iter().map(|_| self.fresh(&node.op_type)).collect();
        node.name.clone_from(&node.output[0]);
        for (name, shape) in node.output.iter().zip(shapes) {
            self.shapes.insert(name, shape.clone());
        }
        self.nodes.push(node.clone());
        node.output
    }

    /// Adds a node with one output of `shape`.
    pub(super) fn one(&mut self, node: NodeProto, shape: Vec<usize>) -> String {
        self.push(node, &[shape]).swap_remove(0)
    }

    /// Adds a node of ONNX's without attributes.
    pub(super) fn op(&mut self, op: &str, inputs: &[&str], shape: Vec<usize>) -> String {
        self.one(NodeProto::new(op, inputs, &[]), shape)
    }

    /// Adds a node for each parameter that gives its gradient the name `gradient/<parameter>`; returns the names.
    pub(super) fn name_gradients(&mut self, parameters: &[Parameter]) -> Vec<String> {
        let named = parameters.iter().map(|parameter| {
            let from = self.gradients.get(&parameter.name).cloned().unwrap_or_default();
            let name = self.fresh(&parameter.name);
            self.nodes.push(NodeProto::new("Identity", &[&from], &[&name]));
            name
        });
        named.collect()
    }
}
