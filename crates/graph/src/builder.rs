//! A small language for layers.
//!
//! A [`Builder`] writes a graph layer by layer; a layer takes the name of the value it reads and returns the name of
//! the one it makes. Parameters are named as in a PyTorch `state_dict` (`conv1.weight`, `bn1.running_mean`) and begin
//! as PyTorch's layers do. Values are pictures `[N, C, H, W]` or rows `[N, F]`, with `N` dynamic.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::model::Model;
use crate::proto::{DataType, Dimension, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::rewrite::rename;

/// The operator set of built models.
const OPSET: i64 = 17;
/// The batch axis of built models.
const BATCH: &str = "N";

/// A model that is being written.
#[derive(Debug)]
pub struct Builder {
    graph: GraphProto,
    random: StdRng,
}

/// A convolution over pictures, square and without dilation.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Height and width of the window.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Rows and columns of zeros on every side.
    pub padding: usize,
    /// Groups of channels that do not see each other; as many as `inputs` for a depthwise convolution.
    pub groups: usize,
    /// Whether there is a bias; not needed before a batch norm.
    pub bias: bool,
}

impl Conv {
    /// A convolution that keeps height and width for an odd `kernel`, with a bias.
    pub fn same(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self { inputs, outputs, kernel, stride: 1, padding: kernel / 2, groups: 1, bias: true }
    }
}

impl Builder {
    /// A model whose initial parameters follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            graph: GraphProto { name: "tintype".to_owned(), ..GraphProto::default() },
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// An input `f32[N, axes…]`.
    pub fn input(&mut self, name: &str, axes: &[usize]) -> String {
        self.graph.input.push(declared(name, axes));
        name.to_owned()
    }

    /// A convolution with the parameters `<name>.weight` `[O, C / groups, k, k]` and `<name>.bias` `[O]`.
    pub fn conv(&mut self, name: &str, x: &str, conv: Conv) -> String {
        let Conv { inputs, outputs, kernel, stride, padding, groups, bias } = conv;
        let inner = inputs / groups.max(1);
        let fan_in = inner * kernel * kernel;
        let mut reads =
            vec![x.to_owned(), self.uniform(name, "weight", &[outputs, inner, kernel, kernel], fan_in)];
        if bias {
            reads.push(self.uniform(name, "bias", &[outputs], fan_in));
        }
        let node = self.node("Conv", name, &reads);
        self.add(
            node.with("kernel_shape", vec![kernel as i64; 2])
                .with("strides", vec![stride as i64; 2])
                .with("pads", vec![padding as i64; 4])
                .with("group", groups as i64),
        )
    }

    /// A linear layer with the parameters `<name>.weight` `[O, F]` and `<name>.bias` `[O]`.
    pub fn linear(&mut self, name: &str, x: &str, inputs: usize, outputs: usize) -> String {
        let weight = self.uniform(name, "weight", &[outputs, inputs], inputs);
        let bias = self.uniform(name, "bias", &[outputs], inputs);
        let node = self.node("Gemm", name, &[x.to_owned(), weight, bias]);
        self.add(node.with("transB", 1))
    }

    /// A batch norm with the parameters `<name>.weight` (ones) and `<name>.bias` (zeros) and the running statistics
    /// `<name>.running_mean` (zeros) and `<name>.running_var` (ones); PyTorch's momentum of 0.1 and epsilon of 1e-5.
    pub fn batch_norm(&mut self, name: &str, x: &str, channels: usize) -> String {
        let mut reads = vec![x.to_owned()];
        for (what, value) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
            reads.push(self.parameter(name, what, &[channels], &vec![value; channels]));
        }
        let node = self.node("BatchNormalization", name, &reads);
        // ONNX's momentum is the share that stays.
        self.add(node.with("epsilon", 1e-5f32).with("momentum", 0.9f32))
    }

    /// `max(x, 0)`
    pub fn relu(&mut self, name: &str, x: &str) -> String {
        let node = self.node("Relu", name, &[x.to_owned()]);
        self.add(node)
    }

    /// The maximum of each `kernel` × `kernel` pixels, side by side.
    pub fn max_pool(&mut self, name: &str, x: &str, kernel: usize) -> String {
        let node = self.node("MaxPool", name, &[x.to_owned()]);
        self.add(node.with("kernel_shape", vec![kernel as i64; 2]).with("strides", vec![kernel as i64; 2]))
    }

    /// The mean of each channel, `[N, C, 1, 1]`.
    pub fn global_average_pool(&mut self, name: &str, x: &str) -> String {
        let node = self.node("GlobalAveragePool", name, &[x.to_owned()]);
        self.add(node)
    }

    /// Pictures as rows, `[N, C · H · W]`.
    pub fn flatten(&mut self, name: &str, x: &str) -> String {
        let node = self.node("Flatten", name, &[x.to_owned()]);
        self.add(node.with("axis", 1))
    }

    /// Drops each value with probability `ratio` (at least 0, less than 1) in training; nothing in inference.
    pub fn dropout(&mut self, name: &str, x: &str, ratio: f32) -> String {
        let ratio = self.parameter(name, "ratio", &[], &[ratio]);
        let node = self.node("Dropout", name, &[x.to_owned(), ratio]);
        self.add(node)
    }

    /// `x + y`
    pub fn add_values(&mut self, name: &str, x: &str, y: &str) -> String {
        let node = self.node("Add", name, &[x.to_owned(), y.to_owned()]);
        self.add(node)
    }

    /// The model whose output `name` `f32[N, axes…]` is `value`.
    pub fn finish(mut self, value: &str, name: &str, axes: &[usize]) -> Model {
        rename(&mut self.graph, value, name);
        self.graph.output.push(declared(name, axes));
        Model::new(self.graph, OPSET)
    }

    fn node(&self, op: &str, name: &str, reads: &[String]) -> NodeProto {
        let reads: Vec<&str> = reads.iter().map(String::as_str).collect();
        let mut node = NodeProto::new(op, &reads, &[name]);
        name.clone_into(&mut node.name);
        node
    }

    fn add(&mut self, node: NodeProto) -> String {
        let output = node.output[0].clone();
        self.graph.node.push(node);
        output
    }

    fn parameter(&mut self, layer: &str, what: &str, shape: &[usize], values: &[f32]) -> String {
        let name = format!("{layer}.{what}");
        self.graph.initializer.push(TensorProto::from_f32(&name, shape, values));
        name
    }

    /// A parameter uniform in ±1/√fan_in: what PyTorch's `kaiming_uniform_(a=√5)` comes to for weights, and how its
    /// layers begin their biases.
    fn uniform(&mut self, layer: &str, what: &str, shape: &[usize], fan_in: usize) -> String {
        let bound = 1.0 / (fan_in.max(1) as f32).sqrt();
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.random.random_range(-bound..=bound)).collect();
        self.parameter(layer, what, shape, &values)
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
