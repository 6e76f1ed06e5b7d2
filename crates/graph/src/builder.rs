//! A small language for layers.
//!
//! A [`Builder`] writes a graph layer by layer; a layer takes the name of the value it reads and returns the name of
//! the one it makes. Values are pictures `[N, C, H, W]` or rows `[N, F]`, with `N` dynamic.
//!
//! Parameters are named as in a PyTorch `state_dict` (`conv1.weight`, `bn1.running_mean`) and begin as PyTorch's layers
//! do, or as [`Defaults`] says. Numbers that are part of the structure (a dropout's ratio, the shape of a reshape) have
//! names with a slash (`dropout/ratio`), so that they are never taken for parameters: [`is_parameter`].
//!
//! [`layers`] has the layers with parameters, [`values`] those without.

mod draw;
mod layers;
mod values;

use rand::{SeedableRng, rngs::StdRng};

pub use draw::Draw;
pub use layers::Conv;
pub use values::Pool;

use crate::model::Model;
use crate::proto::{DataType, Dimension, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::rewrite::rename;

/// The operator set of built models, unless an operator of a later one is used.
const OPSET: i64 = 17;
/// The batch axis of built models.
const BATCH: &str = "N";

/// A model that is being written.
#[derive(Debug)]
pub struct Builder {
    graph: GraphProto,
    /// Absent where parameters stay 0.
    random: Option<StdRng>,
    opset: i64,
    /// How the layers written from here on begin, and what their norms add and keep.
    pub defaults: Defaults,
}

/// What an architecture says once for all of its layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Defaults {
    /// How convolutions begin.
    pub conv: Draw,
    /// How linear layers begin.
    pub linear: Draw,
    /// What norms add to the variance.
    pub norm_epsilon: f32,
    /// The share of a batch's statistics that a batch norm takes over: PyTorch's momentum, 1 minus ONNX's.
    pub norm_momentum: f32,
}

impl Defaults {
    /// PyTorch's own.
    pub const PYTORCH: Self =
        Self { conv: Draw::Uniform, linear: Draw::Uniform, norm_epsilon: 1e-5, norm_momentum: 0.1 };
}

/// Whether an initializer of a built model is a parameter or a running statistic, to be found in a checkpoint.
pub fn is_parameter(name: &str) -> bool {
    !name.contains('/')
}

impl Builder {
    /// A model whose initial parameters follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { random: Some(StdRng::seed_from_u64(seed)), ..Self::blank() }
    }

    /// A model whose parameters are all 0 where PyTorch draws them.
    pub fn blank() -> Self {
        Self {
            graph: GraphProto { name: "tintype".to_owned(), ..GraphProto::default() },
            random: None,
            opset: OPSET,
            defaults: Defaults::PYTORCH,
        }
    }

    /// An input `f32[N, axes…]`.
    pub fn input(&mut self, name: &str, axes: &[usize]) -> String {
        self.graph.input.push(declared(name, axes));
        name.to_owned()
    }

    /// The model whose output `name` `f32[N, axes…]` is `value`.
    pub fn finish(mut self, value: &str, name: &str, axes: &[usize]) -> Model {
        rename(&mut self.graph, value, name);
        self.graph.output.push(declared(name, axes));
        Model::new(self.graph, self.opset)
    }

    /// A node called `name` that makes the value of the same name.
    fn node(&self, op: &str, name: &str, reads: &[&str]) -> NodeProto {
        let mut node = NodeProto::new(op, reads, &[name]);
        name.clone_into(&mut node.name);
        node
    }

    fn add(&mut self, node: NodeProto) -> String {
        let output = node.output[0].clone();
        self.graph.node.push(node);
        output
    }

    /// Stores the parameter `<layer>.<what>`, or `<what>` of the network itself.
    fn parameter(&mut self, layer: &str, what: &str, shape: &[usize], values: &[f32]) -> String {
        let name = if layer.is_empty() { what.to_owned() } else { format!("{layer}.{what}") };
        self.graph.initializer.push(TensorProto::from_f32(&name, shape, values));
        name
    }

    /// Stores a number of the structure.
    fn number(&mut self, layer: &str, what: &str, value: f32) -> String {
        let name = format!("{layer}/{what}");
        self.graph.initializer.push(TensorProto::from_f32(&name, &[], &[value]));
        name
    }

    /// Stores a place along an axis.
    fn index(&mut self, layer: &str, value: i64) -> String {
        let name = format!("{layer}/index");
        self.graph.initializer.push(TensorProto::from_i64(&name, &[], &[value]));
        name
    }

    /// Stores a list of the structure, as a shape or axes.
    fn list(&mut self, layer: &str, what: &str, values: &[i64]) -> String {
        let name = format!("{layer}/{what}");
        self.graph.initializer.push(TensorProto::from_i64(&name, &[values.len()], values));
        name
    }

    /// Says that an operator of `set` is used.
    fn needs_opset(&mut self, set: i64) {
        self.opset = self.opset.max(set);
    }
}

fn declared(name: &str, axes: &[usize]) -> ValueInfoProto {
    let batch = Dimension::named(BATCH);
    let axes = std::iter::once(batch).chain(axes.iter().map(|&a| Dimension::of(a))).collect();
    ValueInfoProto::tensor(name, DataType::Float, axes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_begin_as_pytorchs() {
        let mut b = Builder::new(1);
        let x = b.input("x", &[3, 8, 8]);
        let x = b.conv("conv", &x, Conv { stride: 2, ..Conv::same(3, 200, 3) });
        let model = b.finish(&x, "y", &[200, 4, 4]);
        let weights = model.f32s("conv.weight").unwrap();
        let bound = 1.0 / 27f32.sqrt();
        let mean = weights.iter().sum::<f32>() / weights.len() as f32;
        let variance = weights.iter().map(|w| w * w).sum::<f32>() / weights.len() as f32;
        assert!(weights.iter().all(|w| w.abs() <= bound));
        // A uniform distribution's variance is a third of its bound's square; 5,400 draws come within a few per cent.
        assert!((variance / (bound * bound / 3.0) - 1.0).abs() < 0.05, "{variance}");
        assert!(mean.abs() < 0.03 * bound, "{mean}");
        assert_eq!(model.initializer("conv.weight").unwrap().dims, [200, 3, 3, 3]);
    }

    #[test]
    fn the_same_seed_builds_the_same_model() {
        let build = |seed| {
            let mut b = Builder::new(seed);
            let x = b.input("x", &[4]);
            let x = b.linear("fc", &x, 4, 2);
            b.finish(&x, "y", &[2])
        };
        assert_eq!(build(7), build(7));
        assert_ne!(build(7), build(8));
    }
}
