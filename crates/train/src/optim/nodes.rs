//! The arithmetic of one step as a graph over flat vectors, for a training that stays on a device.
//!
//! Every formula is that of [`super::rule`], in the same order of operations, and a step's scalars are the same numbers:
//! the graph takes them from [`Rule::numbers`], in whose order [`Layout::sgd`] and [`Layout::adam`] name them.

use tintype_core::ModelSource;
use tintype_graph::Model;
use tintype_graph::proto::{DataType, GraphProto, NodeProto, TensorProto, ValueInfoProto};

use super::rule::Rule;
use crate::config::{OptimConfig, OptimName};

/// What the nodes are written in.
const OPERATORS: i64 = 17;

/// Numbers of a [`Rule::Sgd`].
const SGD: usize = 3;
/// Numbers of a [`Rule::Adam`].
const ADAM: usize = 8;

/// What an update moves.
pub(crate) struct Layout<'a> {
    pub config: &'a OptimConfig,
    /// Of each group of parameters, how many values there are.
    pub groups: &'a [usize],
    /// Running statistics.
    pub running: usize,
    /// Whether there is an average of weights and statistics.
    pub average: bool,
}

/// One update's scalars.
pub(crate) struct Scalars<'a> {
    /// What gradients are multiplied with.
    pub factor: f32,
    /// What of the average is kept.
    pub keep: f32,
    /// A group's rule each.
    pub rules: &'a [Rule],
}

impl Scalars<'_> {
    /// The numbers in the graph's order.
    pub fn numbers(&self) -> Vec<f32> {
        let rules = self.rules.iter().flat_map(|rule| rule.numbers());
        [self.factor, self.keep, 1.0 - self.keep].into_iter().chain(rules).collect()
    }
}

impl Layout<'_> {
    /// Moments of a parameter.
    fn moments(&self) -> usize {
        if self.config.name == OptimName::Sgd { 1 } else { 2 }
    }

    /// The graph of an update.
    ///
    /// Inputs, in this order: [`Scalars::numbers`]; of each group parameters, gradients and moments; with an average,
    /// that of each group; with an average and statistics, these and their average. Outputs, in this order: of each
    /// group parameters and moments; the averages.
    pub fn graph(&self) -> ModelSource {
        let mut writer = Writer::default();
        let each = if self.moments() == 2 { ADAM } else { SGD };
        let count = 3 + self.groups.len() * each;
        writer.input("numbers", count);
        let singles: Vec<String> = (0..count).map(|i| format!("number_{i}")).collect();
        let ones = writer.constant(TensorProto::from_i64("ones", &[count], &vec![1; count]));
        let outputs: Vec<&str> = singles.iter().map(String::as_str).collect();
        writer.nodes.push(NodeProto::new("Split", &["numbers", &ones], &outputs).with("axis", 0));

        let [factor, keep, take] = [0, 1, 2].map(|i| outputs[i]);
        let mut moved = Vec::new();
        for (group, &size) in self.groups.iter().enumerate() {
            let numbers = &outputs[3 + group * each..];
            let weights = writer.input(&format!("parameters_{group}"), size);
            let gradient = writer.input(&format!("gradients_{group}"), size);
            let first = writer.input(&format!("first_{group}"), size);
            let gradient = self.clipped(&mut writer, &gradient, factor);
            let next = if self.moments() == 2 {
                let second = writer.input(&format!("second_{group}"), size);
                self.adam(&mut writer, first_of(numbers), [&weights, &gradient, &first, &second])
            } else {
                self.sgd(&mut writer, first_of(numbers), [&weights, &gradient, &first])
            };
            next.iter().for_each(|name| writer.output(name, size));
            moved.push((next[0].clone(), size));
        }
        if self.average {
            let mut averages = Vec::new();
            for (group, (weights, size)) in moved.into_iter().enumerate() {
                averages.push((writer.input(&format!("average_{group}"), size), weights, size));
            }
            if self.running > 0 {
                let running = writer.input("running", self.running);
                averages.push((writer.input("running_average", self.running), running, self.running));
            }
            for (average, values, size) in averages {
                let (kept, taken) = (writer.op("Mul", &[keep, &average]), writer.op("Mul", &[take, &values]));
                let next = writer.op("Add", &[&kept, &taken]);
                writer.output(&next, size);
            }
        }
        ModelSource::Bytes(writer.finish().to_bytes().into())
    }

    /// The gradient as [`super::clip::Clip`] changes it.
    fn clipped(&self, writer: &mut Writer, gradient: &str, factor: &str) -> String {
        let scaled = writer.op("Mul", &[gradient, factor]);
        if self.config.clip_value <= 0.0 {
            return scaled;
        }
        let limit = self.config.clip_value as f32;
        let bounds = [-limit, limit].map(|v| {
            let name = writer.fresh("bound");
            writer.constant(TensorProto::from_f32(&name, &[], &[v]))
        });
        writer.op("Clip", &[&scaled, &bounds[0], &bounds[1]])
    }

    fn sgd(
        &self,
        w: &mut Writer,
        [lr, momentum, decay]: [&str; SGD],
        [weights, gradient, first]: [&str; 3],
    ) -> Vec<String> {
        let gradient = w.along(gradient, decay, weights);
        let kept = w.op("Mul", &[momentum, first]);
        let first = w.op("Add", &[&kept, &gradient]);
        let step = if self.config.nesterov { w.along(&gradient, momentum, &first) } else { first.clone() };
        let step = w.op("Mul", &[lr, &step]);
        vec![w.op("Sub", &[weights, &step]), first]
    }

    fn adam(
        &self,
        w: &mut Writer,
        [step, l2, keep, root, take1, keep2, take2, epsilon]: [&str; ADAM],
        [weights, gradient, first, second]: [&str; 4],
    ) -> Vec<String> {
        let is_decoupled = self.config.name == OptimName::Adamw;
        let (gradient, kept) = if is_decoupled {
            (gradient.to_owned(), w.op("Mul", &[keep, weights]))
        } else {
            (w.along(gradient, l2, weights), weights.to_owned())
        };
        let difference = w.op("Sub", &[&gradient, first]);
        let first = w.along(first, take1, &difference);
        let squared = w.op("Mul", &[&gradient, &gradient]);
        let second = w.op("Mul", &[keep2, second]);
        let second = w.along(&second, take2, &squared);
        let divisor = w.op("Sqrt", &[&second]);
        let divisor = w.op("Div", &[&divisor, root]);
        let divisor = w.op("Add", &[&divisor, epsilon]);
        let direction = w.op("Div", &[&first, &divisor]);
        let step = w.op("Mul", &[step, &direction]);
        vec![w.op("Sub", &[&kept, &step]), first, second]
    }
}

/// A graph of vectors in the making.
#[derive(Default)]
struct Writer {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
    names: usize,
}

impl Writer {
    fn input(&mut self, name: &str, size: usize) -> String {
        self.inputs.push(ValueInfoProto::fixed(name, DataType::Float, &[size]));
        name.to_owned()
    }

    fn output(&mut self, name: &str, size: usize) {
        self.outputs.push(ValueInfoProto::fixed(name, DataType::Float, &[size]));
    }

    fn constant(&mut self, tensor: TensorProto) -> String {
        let name = tensor.name.clone();
        self.constants.push(tensor);
        name
    }

    fn op(&mut self, op: &str, inputs: &[&str]) -> String {
        let name = self.fresh(op);
        self.nodes.push(NodeProto::new(op, inputs, &[&name]));
        name
    }

    /// `x + factor · y`
    fn along(&mut self, x: &str, factor: &str, y: &str) -> String {
        let step = self.op("Mul", &[factor, y]);
        self.op("Add", &[x, &step])
    }

    fn fresh(&mut self, like: &str) -> String {
        self.names += 1;
        format!("{like}:{}", self.names)
    }

    fn finish(self) -> Model {
        let graph = GraphProto {
            name: "update".to_owned(),
            node: self.nodes,
            initializer: self.constants,
            input: self.inputs,
            output: self.outputs,
            ..GraphProto::default()
        };
        Model::new(graph, OPERATORS)
    }
}

/// The first of the numbers; there are at least as many.
fn first_of<'a, const N: usize>(numbers: &[&'a str]) -> [&'a str; N] {
    std::array::from_fn(|i| numbers[i])
}
