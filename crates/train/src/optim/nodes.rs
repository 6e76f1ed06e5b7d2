//! The arithmetic of one step as a graph over flat vectors, for a training that stays on a device.
//!
//! Every formula is that of [`super::rule`], in the same order of operations, and a step's scalars are the same numbers:
//! the graph takes them from [`Rule::numbers`].

use tintype_core::ModelSource;
use tintype_graph::Model;
use tintype_graph::proto::{DataType, Dimension, GraphProto, NodeProto, TensorProto, ValueInfoProto};

use super::rule::Rule;
use crate::config::{OptimConfig, OptimName};

/// What the nodes are written in.
const OPERATORS: i64 = 17;

/// What an update moves.
#[derive(Debug, Clone, Copy)]
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
#[derive(Debug)]
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
    pub fn moments(&self) -> usize {
        if self.config.name == OptimName::Sgd { 1 } else { 2 }
    }

    /// The graph of an update.
    ///
    /// Inputs, in this order: [`Scalars::numbers`]; of each group parameters, gradients and moments; with an average,
    /// that of each group; with an average and statistics, these and their average. Outputs, in this order: of each
    /// group parameters and moments; the averages.
    pub fn graph(&self) -> ModelSource {
        let mut writer = Writer::default();
        let names = Rule::NAMES[usize::from(self.moments() == 2)];
        let count = 3 + self.groups.len() * names.len();
        writer.input("numbers", count);
        let singles: Vec<String> = (0..count).map(|i| format!("number_{i}")).collect();
        let ones = writer.constant(TensorProto::from_i64("ones", &[count], &vec![1; count]));
        let outputs: Vec<&str> = singles.iter().map(String::as_str).collect();
        writer.nodes.push(NodeProto::new("Split", &["numbers", &ones], &outputs).with("axis", 0));

        let [factor, keep, take] = [0, 1, 2].map(|i| outputs[i]);
        let mut moved = Vec::new();
        for (group, &size) in self.groups.iter().enumerate() {
            let number = |name: &str| {
                let place = names.iter().position(|n| *n == name).unwrap_or_default();
                outputs[3 + group * names.len() + place]
            };
            let weights = writer.input(&format!("parameters_{group}"), size);
            let gradient = writer.input(&format!("gradients_{group}"), size);
            let first = writer.input(&format!("first_{group}"), size);
            let gradient = self.clipped(&mut writer, &gradient, factor);
            let next = if self.moments() == 2 {
                let second = writer.input(&format!("second_{group}"), size);
                self.adam(&mut writer, &number, [&weights, &gradient, &first, &second])
            } else {
                self.sgd(&mut writer, &number, [&weights, &gradient, &first])
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

    fn sgd<'a>(
        &self,
        w: &mut Writer,
        number: &dyn Fn(&str) -> &'a str,
        [weights, gradient, first]: [&str; 3],
    ) -> Vec<String> {
        let gradient = w.along(gradient, number("decay"), weights);
        let kept = w.op("Mul", &[number("momentum"), first]);
        let first = w.op("Add", &[&kept, &gradient]);
        let step =
            if self.config.nesterov { w.along(&gradient, number("momentum"), &first) } else { first.clone() };
        let step = w.op("Mul", &[number("lr"), &step]);
        vec![w.op("Sub", &[weights, &step]), first]
    }

    fn adam<'a>(
        &self,
        w: &mut Writer,
        number: &dyn Fn(&str) -> &'a str,
        [weights, gradient, first, second]: [&str; 4],
    ) -> Vec<String> {
        let is_decoupled = self.config.name == OptimName::Adamw;
        let (gradient, kept) = if is_decoupled {
            (gradient.to_owned(), w.op("Mul", &[number("keep"), weights]))
        } else {
            (w.along(gradient, number("l2"), weights), weights.to_owned())
        };
        let difference = w.op("Sub", &[&gradient, first]);
        let first = w.along(first, number("take1"), &difference);
        let squared = w.op("Mul", &[&gradient, &gradient]);
        let second = w.op("Mul", &[number("keep2"), second]);
        let second = w.along(&second, number("take2"), &squared);
        let root = w.op("Sqrt", &[&second]);
        let root = w.op("Div", &[&root, number("root")]);
        let root = w.op("Add", &[&root, number("epsilon")]);
        let direction = w.op("Div", &[&first, &root]);
        let step = w.op("Mul", &[number("step"), &direction]);
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
        self.inputs.push(vector(name, size));
        name.to_owned()
    }

    fn output(&mut self, name: &str, size: usize) {
        self.outputs.push(vector(name, size));
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

fn vector(name: &str, size: usize) -> ValueInfoProto {
    ValueInfoProto::tensor(name, DataType::Float, vec![Dimension::of(size)])
}
