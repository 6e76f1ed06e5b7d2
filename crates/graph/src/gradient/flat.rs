//! Training graphs over flat vectors, for a training that stays on a device.
//!
//! The parameters of a group lie one behind the other in a vector; so do their gradients, and the running statistics of all
//! batch norms. An optimizer is then some fifteen operators for each group of parameters with one rate and decay,
//! whatever the network's size, where operators for each parameter would be thousands, each of which a GPU takes longer to
//! begin than to compute.

use tintype_core::{Error, ErrorKind, Result};

use super::TrainingGraph;
use crate::model::Model;
use crate::proto::{DataType, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::rewrite::Names;

/// How a training graph is made flat.
#[derive(Debug, Clone, Copy)]
pub struct FlatOptions<'a> {
    /// The parameters of each group, as indices into [`TrainingGraph::parameters`]: each in one group.
    pub groups: &'a [Vec<usize>],
    /// Whether gradients are added to those of the batches before.
    pub accumulate: bool,
    /// Whether the sum of the squares of all gradients is an output.
    pub squares: bool,
}

impl TrainingGraph {
    /// The same graph over flat vectors.
    ///
    /// Inputs, in this order: the image batch, `targets`, and `seed` if there is one, as before; with `accumulate`, `first`
    /// `bool[1]`, whether there are no batches before; the groups' parameters `f32[P]`; with `accumulate`, their
    /// gradients over the batches before; if there are batch norms, their running statistics `f32[R]`: of each the
    /// mean, then the variance.
    ///
    /// Outputs, in this order: `loss` and `logits`, as before; with `squares`, `f32[]`; the groups' gradients; if
    /// there are batch norms, the running statistics that follow.
    ///
    /// # Errors
    /// `InvalidArgument` when the groups do not divide the parameters.
    pub fn flat(&self, options: &FlatOptions) -> Result<Model> {
        let mut all: Vec<usize> = options.groups.iter().flatten().copied().collect();
        all.sort_unstable();
        if all != (0..self.parameters.len()).collect::<Vec<_>>() {
            return Err(Error::new(ErrorKind::InvalidArgument, "every parameter must be in one group"));
        }
        let mut model = self.model.clone();
        let graph = std::mem::take(model.graph_mut());
        *model.graph_mut() = Writer::new(self, &graph, *options).write(graph);
        Ok(model)
    }
}

/// The elements of a declared tensor whose sizes are all known.
fn size_of(value: &ValueInfoProto) -> usize {
    crate::model::spec(value).map_or(0, |spec| spec.shape.iter().flatten().product())
}

struct Writer<'a> {
    training: &'a TrainingGraph,
    options: FlatOptions<'a>,
    names: Names,
    /// What is computed before the graph's own nodes, and behind them.
    before: Vec<NodeProto>,
    behind: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl<'a> Writer<'a> {
    fn new(training: &'a TrainingGraph, graph: &GraphProto, options: FlatOptions<'a>) -> Self {
        let names = Names::of(graph);
        Self { training, options, names, before: Vec::new(), behind: Vec::new(), constants: Vec::new() }
    }

    fn write(mut self, mut graph: GraphProto) -> GraphProto {
        let count = self.training.parameters.len();
        let statistics = graph.output.split_off(2 + count);
        let gradients: Vec<String> = graph.output.split_off(2).into_iter().map(|v| v.name).collect();
        graph.input.truncate(2 + usize::from(self.training.has_seed));

        let first = self.options.accumulate.then(|| {
            let name = self.fresh("first");
            graph.input.push(ValueInfoProto::fixed(&name, DataType::Bool, &[1]));
            name
        });
        let groups = self.options.groups;
        let sizes: Vec<usize> =
            groups.iter().map(|group| group.iter().map(|&i| self.size(i)).sum()).collect();
        for (group, &size) in groups.iter().zip(&sizes) {
            let name = self.fresh("parameters");
            graph.input.push(ValueInfoProto::fixed(&name, DataType::Float, &[size]));
            self.spread(&name, group);
        }
        let mut sums = Vec::new();
        for (group, &size) in groups.iter().zip(&sizes) {
            let mut sum = self.joined(group, &gradients);
            if let Some(first) = &first {
                let before = self.fresh("gradients_before");
                graph.input.push(ValueInfoProto::fixed(&before, DataType::Float, &[size]));
                let both = self.behind("Add", &[&before, &sum]);
                sum = self.behind("Where", &[first, &sum, &both]);
            }
            sums.push(sum);
        }
        if self.options.squares {
            let parts: Vec<String> = sums.iter().map(|sum| self.squares(sum)).collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let total = self.behind("Sum", &parts);
            graph.output.push(ValueInfoProto::fixed(&total, DataType::Float, &[]));
        }
        for (sum, &size) in sums.iter().zip(&sizes) {
            graph.output.push(ValueInfoProto::fixed(sum, DataType::Float, &[size]));
        }
        if !statistics.is_empty() {
            let size = statistics.iter().map(size_of).sum();
            let running = self.fresh("running");
            graph.input.push(ValueInfoProto::fixed(&running, DataType::Float, &[size]));
            let next = self.observe(&running, &statistics);
            graph.output.push(ValueInfoProto::fixed(&next, DataType::Float, &[size]));
        }
        self.before.append(&mut graph.node);
        self.before.append(&mut self.behind);
        graph.node = self.before;
        graph.initializer.append(&mut self.constants);
        graph
    }

    fn size(&self, parameter: usize) -> usize {
        self.training.parameters[parameter].values.len()
    }

    /// Gives each parameter of a group its part of the flat vector.
    fn spread(&mut self, flat: &str, group: &[usize]) {
        let lengths: Vec<i64> = group.iter().map(|&i| self.size(i) as i64).collect();
        let lengths = self.integers(&lengths);
        let (mut parts, mut reshapes) = (Vec::new(), Vec::new());
        for &index in group {
            let parameter = &self.training.parameters[index];
            if parameter.shape.len() == 1 {
                parts.push(parameter.name.clone());
                continue;
            }
            let shape: Vec<i64> = parameter.shape.iter().map(|&d| d as i64).collect();
            let (part, shape) = (self.fresh("part"), self.integers(&shape));
            reshapes.push(NodeProto::new("Reshape", &[&part, &shape], &[&parameter.name]));
            parts.push(part);
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.before.push(NodeProto::new("Split", &[flat, &lengths], &parts).with("axis", 0));
        self.before.append(&mut reshapes);
    }

    /// The gradients of a group, one behind the other.
    fn joined(&mut self, group: &[usize], gradients: &[String]) -> String {
        let flat = self.integers(&[-1]);
        let mut parts = Vec::new();
        for &index in group {
            let is_flat = self.training.parameters[index].shape.len() == 1;
            let gradient = &gradients[index];
            parts.push(if is_flat { gradient.clone() } else { self.behind("Reshape", &[gradient, &flat]) });
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.concat(&parts)
    }

    fn squares(&mut self, x: &str) -> String {
        let name = self.fresh("squares");
        self.behind.push(NodeProto::new("ReduceSumSquare", &[x], &[&name]).with("keepdims", 0));
        name
    }

    /// `running · keep + batch · take`, as PyTorch's `BatchNorm2d`: the variance that is kept is the unbiased one.
    fn observe(&mut self, running: &str, statistics: &[ValueInfoProto]) -> String {
        let names: Vec<&str> = statistics.iter().map(|v| v.name.as_str()).collect();
        let batch = self.concat(&names);
        let (mut keep, mut take) = (Vec::new(), Vec::new());
        for (state, outputs) in self.training.batch_norms.iter().zip(statistics.chunks_exact(2)) {
            for (output, factor) in outputs.iter().zip([1.0, state.unbiased()]) {
                let channels = size_of(output);
                keep.extend(std::iter::repeat_n(state.momentum, channels));
                take.extend(std::iter::repeat_n((1.0 - state.momentum) * factor, channels));
            }
        }
        let (keep, take) = (self.constant(&keep), self.constant(&take));
        let (kept, taken) = (self.behind("Mul", &[&keep, running]), self.behind("Mul", &[&take, &batch]));
        self.behind("Add", &[&kept, &taken])
    }

    fn concat(&mut self, parts: &[&str]) -> String {
        let name = self.fresh("joined");
        self.behind.push(NodeProto::new("Concat", parts, &[&name]).with("axis", 0));
        name
    }

    /// Adds a node behind the others; returns what it makes.
    fn behind(&mut self, op: &str, inputs: &[&str]) -> String {
        let name = self.fresh(op);
        self.behind.push(NodeProto::new(op, inputs, &[&name]));
        name
    }

    fn integers(&mut self, values: &[i64]) -> String {
        let name = self.fresh("integers");
        self.constants.push(TensorProto::from_i64(&name, &[values.len()], values));
        name
    }

    fn constant(&mut self, values: &[f32]) -> String {
        let name = self.fresh("constant");
        self.constants.push(TensorProto::from_f32(&name, &[values.len()], values));
        name
    }

    fn fresh(&mut self, like: &str) -> String {
        self.names.fresh(&format!("flat/{like}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{GradientOptions, differentiate};
    use super::*;
    use crate::builder::Builder;

    fn training() -> TrainingGraph {
        let mut builder = Builder::new(0);
        let input = builder.input("x", &[5]);
        let hidden = builder.linear("stem", &input, 5, 4);
        let hidden = builder.batch_norm("bn", &hidden, 4);
        let logits = builder.linear("fc", &hidden, 4, 3);
        let model = builder.finish(&logits, "logits", &[3]);
        differentiate(&model, &GradientOptions { batch: 2, fused: true, trainable: &|_| true }).unwrap()
    }

    #[test]
    fn parameters_and_what_follows_from_them_become_vectors() {
        let training = training();
        // stem.weight, stem.bias, bn.weight, bn.bias, fc.weight, fc.bias
        assert_eq!(training.parameters.len(), 6);
        let groups = [vec![1, 3, 5, 2], vec![0, 4]];
        let sizes = |model: &Model| {
            let all = |specs: Vec<tintype_core::TensorSpec>| -> Vec<usize> {
                specs.iter().map(|s| s.shape.iter().flatten().product()).collect()
            };
            (all(model.inputs().unwrap()), all(model.outputs().unwrap()))
        };
        let options = FlatOptions { groups: &groups, accumulate: false, squares: false };
        let plain = training.flat(&options).unwrap();
        assert_eq!(sizes(&plain), (vec![10, 6, 15, 32, 8], vec![1, 6, 15, 32, 8]));
        let all = FlatOptions { accumulate: true, squares: true, ..options };
        let all = training.flat(&all).unwrap();
        assert_eq!(sizes(&all), (vec![10, 6, 1, 15, 32, 15, 32, 8], vec![1, 6, 1, 15, 32, 8]));
        // Every value is made before it is read.
        assert!(crate::wiring::Wiring::new(all.graph()).is_ok());
    }

    #[test]
    fn groups_that_leave_a_parameter_out_or_have_it_twice_are_refused() {
        let training = training();
        for groups in [vec![vec![0, 1, 2, 3, 4]], vec![vec![0, 1, 2, 3, 4, 5], vec![5]]] {
            let options = FlatOptions { groups: &groups, accumulate: false, squares: false };
            assert_eq!(training.flat(&options).unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
    }
}
