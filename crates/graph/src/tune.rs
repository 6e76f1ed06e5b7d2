//! What stands between a model as an exporter leaves it and one that is trained further.

use std::collections::{HashMap, HashSet};

use crate::model::Model;
use crate::proto::{DataType, DimensionValue, TensorProto, TypeProtoValue, ValueInfoProto};
use crate::rewrite::free_name;

/// The name of a batch axis that the file fixed.
const BATCH: &str = "N";

impl Model {
    /// Lets the batch be of any size where the file fixes it: the first axis of inputs and outputs.
    ///
    /// A graph may still count on the size that was fixed, in the lists of its reshapes; running or differentiating it
    /// says so.
    pub fn free_batch(&mut self) {
        let graph = self.graph_mut();
        let mut freed = false;
        for value in graph.input.iter_mut().chain(&mut graph.output) {
            if let Some(axis) = first_axis(value)
                && matches!(axis, DimensionValue::Size(_))
            {
                *axis = DimensionValue::Name(BATCH.to_owned());
                freed = true;
            }
        }
        if freed {
            // What was recorded of other values goes with the size that was fixed.
            graph.value_info.clear();
        }
    }

    /// Gives parameters that an exporter joined because they were equal a tensor each.
    ///
    /// PyTorch's older exporter leaves an `Identity` of one for the other; the newer one lets both readers read the
    /// same. The latter is taken back where all elements are the same number, as in fresh batch norms and biases, and for
    /// the statistics of batch norms: in training these must be free to part, while weights that a network shares on
    /// purpose stay shared.
    pub fn untie(&mut self) {
        let graph = self.graph_mut();
        let stored = &mut graph.initializer;
        let outputs = &graph.output;
        graph.node.retain(|node| {
            let name = node.output_name(0).unwrap_or_default();
            let is_output = outputs.iter().any(|v| v.name == name);
            let tensor = stored.iter().find(|t| Some(t.name.as_str()) == node.input_name(0));
            let (Some("Identity"), Some(tensor), false) = (node.standard_op(), tensor, is_output) else {
                return true;
            };
            let copy = TensorProto { name: name.to_owned(), ..tensor.clone() };
            stored.push(copy);
            false
        });
        self.part();
    }

    /// Copies what several read for each but the first.
    fn part(&mut self) {
        let graph = self.graph();
        let joined: HashMap<String, bool> = graph
            .initializer
            .iter()
            .filter(|t| t.data_type == DataType::Float as i32 && t.dims.iter().any(|&d| d != 1))
            .map(|t| (t.name.clone(), t.to_f32().is_ok_and(|v| v.windows(2).all(|w| w[0] == w[1]))))
            .collect();
        let mut read: HashSet<String> = HashSet::new();
        let mut copies = Vec::new();
        for (index, node) in graph.node.iter().enumerate() {
            for (input, name) in node.input.iter().enumerate() {
                let Some(&is_even) = joined.get(name) else { continue };
                let is_statistic = node.standard_op() == Some("BatchNormalization") && input >= 3;
                if !read.insert(name.clone()) && (is_even || is_statistic) {
                    copies.push((index, input, name.clone()));
                }
            }
        }
        for (index, input, name) in copies {
            let graph = self.graph_mut();
            let copy = free_name(graph, &name);
            let tensor = graph.initializer.iter().find(|t| t.name == name).cloned().unwrap_or_default();
            graph.initializer.push(TensorProto { name: copy.clone(), ..tensor });
            graph.node[index].input[input] = copy;
        }
    }
}

fn first_axis(value: &mut ValueInfoProto) -> Option<&mut DimensionValue> {
    match value.r#type.as_mut()?.value.as_mut()? {
        TypeProtoValue::Tensor(tensor) => tensor.shape.as_mut()?.dim.first_mut()?.value.as_mut(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{GraphProto, NodeProto};

    fn model() -> Model {
        let value = |name: &str, axes: &[usize]| ValueInfoProto::fixed(name, DataType::Float, axes);
        let graph = GraphProto {
            node: vec![
                NodeProto::new("Identity", &["scale"], &["other"]),
                NodeProto::new("Mul", &["x", "scale"], &["m"]),
                NodeProto::new("Mul", &["m", "other"], &["n"]),
                NodeProto::new("Mul", &["n", "scale"], &["o"]),
                NodeProto::new("Mul", &["o", "shared"], &["p"]),
                NodeProto::new("Mul", &["p", "shared"], &["y"]),
            ],
            initializer: vec![
                TensorProto::from_f32("scale", &[2], &[1.0, 1.0]),
                TensorProto::from_f32("shared", &[2], &[1.0, 2.0]),
            ],
            input: vec![value("x", &[1, 2])],
            output: vec![value("y", &[1, 2])],
            value_info: vec![value("m", &[1, 2])],
            ..GraphProto::default()
        };
        Model::new(graph, 17)
    }

    #[test]
    fn a_fixed_batch_is_freed_and_nothing_else() {
        let mut model = model();
        model.free_batch();
        let shapes = (model.inputs().unwrap(), model.outputs().unwrap());
        assert_eq!(
            (shapes.0[0].shape.as_slice(), shapes.1[0].shape.as_slice()),
            (&[None, Some(2)][..], &[None, Some(2)][..])
        );
        assert!(model.graph().value_info.is_empty());
    }

    #[test]
    fn what_an_exporter_joined_is_parted() {
        let mut model = model();
        model.untie();
        assert_eq!(model.f32s("other").unwrap(), [1.0, 1.0]);
        let read: Vec<&str> = model.graph().node.iter().map(|n| n.input[1].as_str()).collect();
        assert_eq!(read, ["scale", "other", "scale_1", "shared", "shared"]);
    }
}
