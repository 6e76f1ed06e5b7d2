//! Mixed precision: the products of a training graph in half precision, the rest in single, as PyTorch's autocast.
//!
//! Every value has one type. Operators that multiply matrices read halves and make halves; operators that only move
//! values, and those as harmless, keep what they read; all others (norms, softmax, sums, losses) read single precision,
//! and so do values of both types that meet. What the graph takes and gives stays in single precision: weights are cast where
//! they are used, gradients of weights where they leave.

use std::collections::{HashMap, HashSet};

use tintype_core::{ErrorKind, Result};

use super::TrainingGraph;
use crate::proto::{DataType, GraphProto, NodeProto};
use crate::rewrite::Names;

/// A type of half the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// IEEE's, with a small range: the loss must be scaled.
    Float16,
    /// With the range of single precision. ONNX Runtime has no such convolutions before operator set 22, and they stay in
    /// single precision.
    Bfloat16,
}

/// What an operator does with halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It reads nothing else.
    Multiplies,
    /// It makes what it reads at these places; all others are settings.
    Keeps(Places),
    /// It reads halves at these places, and makes something else.
    Compares,
    /// It reads none.
    None,
}

/// The inputs that hold values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Places {
    First,
    /// The second and the third, of which one may be stored.
    Chosen,
    All,
}

impl TrainingGraph {
    /// The same graph with its products in half precision.
    ///
    /// # Errors
    /// `Unsupported` for a node whose subgraph reads what is a half now.
    pub fn mixed(mut self, half: Half) -> Result<Self> {
        let graph = self.model.graph_mut();
        let mut writer = Writer::new(graph, half);
        for node in std::mem::take(&mut graph.node) {
            writer.write(node)?;
        }
        graph.node = writer.nodes;
        Ok(self)
    }
}

impl Half {
    fn dtype(self) -> DataType {
        match self {
            Self::Float16 => DataType::Float16,
            Self::Bfloat16 => DataType::Bfloat16,
        }
    }

    /// What becomes of `node`. The lists are of what ONNX Runtime has on CUDA.
    fn of(self, node: &NodeProto) -> Use {
        let is_small = self == Self::Float16;
        match (node.domain.as_str(), node.op_type.as_str()) {
            ("com.microsoft", "FusedMatMul") | ("" | "ai.onnx", "MatMul" | "Gemm") => Use::Multiplies,
            ("" | "ai.onnx", "Conv" | "ConvTranspose" | "Einsum") if is_small => Use::Multiplies,
            (
                "" | "ai.onnx",
                "Expand" | "Flatten" | "Gather" | "Identity" | "Relu" | "Reshape" | "Slice" | "Split"
                | "Squeeze" | "Transpose" | "Unsqueeze",
            ) => Use::Keeps(Places::First),
            // A value for the border would have to be a half, too.
            ("" | "ai.onnx", "Pad") if is_small && node.input_name(2).is_none() => Use::Keeps(Places::First),
            ("" | "ai.onnx", "MaxPool") if is_small && node.output.len() == 1 => Use::Keeps(Places::First),
            ("" | "ai.onnx", "Add" | "Concat" | "Sum") => Use::Keeps(Places::All),
            ("" | "ai.onnx", "Where") if is_small => Use::Keeps(Places::Chosen),
            ("" | "ai.onnx", "Greater") if is_small => Use::Compares,
            _ => Use::None,
        }
    }
}

impl Places {
    fn of(self, inputs: usize) -> std::ops::Range<usize> {
        match self {
            Self::First => 0..inputs.min(1),
            Self::Chosen => 1..inputs,
            Self::All => 0..inputs,
        }
    }
}

struct Writer {
    half: Half,
    nodes: Vec<NodeProto>,
    /// The values that are halves.
    halves: HashSet<String>,
    stored: HashSet<String>,
    outputs: HashSet<String>,
    /// What a value is called in another type.
    casts: HashMap<(String, i32), String>,
    names: Names,
}

impl Writer {
    fn new(graph: &GraphProto, half: Half) -> Self {
        Self {
            half,
            nodes: Vec::new(),
            halves: HashSet::new(),
            stored: graph.initializer.iter().map(|t| t.name.clone()).collect(),
            outputs: graph.output.iter().map(|v| v.name.clone()).collect(),
            casts: HashMap::new(),
            names: Names::of(graph),
        }
    }

    fn write(&mut self, mut node: NodeProto) -> Result<()> {
        let inside = node.reads().len() > node.input.iter().filter(|name| !name.is_empty()).count();
        if inside && node.reads().iter().any(|name| self.halves.contains(*name)) {
            return Err(
                node.error(ErrorKind::Unsupported, "has a subgraph, which mixed precision does not enter")
            );
        }
        let count = node.input.len();
        let (places, makes_halves) = match self.half.of(&node) {
            Use::Multiplies => (0..count, true),
            Use::Keeps(places) if self.are_halves(&node, places.of(count), places == Places::Chosen) => {
                (places.of(count), true)
            }
            Use::Compares if self.are_halves(&node, 0..count, true) => (0..count, false),
            _ => (0..0, false),
        };
        for (place, name) in node.input.iter_mut().enumerate() {
            if name.is_empty() {
                continue;
            }
            let wants_half = places.contains(&place);
            if self.halves.contains(name) != wants_half {
                *name = self.cast(name, if wants_half { self.half.dtype() } else { DataType::Float });
            }
        }
        let mut given = Vec::new();
        if makes_halves {
            for name in node.output.iter_mut().filter(|name| !name.is_empty()) {
                if self.outputs.contains(name) {
                    let own = self.fresh(name);
                    given.push((own.clone(), std::mem::replace(name, own)));
                }
                self.halves.insert(name.clone());
            }
        }
        self.nodes.push(node);
        for (half, output) in given {
            self.nodes.push(cast(&half, &output, DataType::Float));
            self.casts.insert((half, DataType::Float as i32), output);
        }
        Ok(())
    }

    /// Whether the values at `places` are halves, of which a stored one may become one.
    fn are_halves(&self, node: &NodeProto, places: std::ops::Range<usize>, stored: bool) -> bool {
        let names = node.input.get(places).unwrap_or_default();
        let fits = |name: &String| self.halves.contains(name) || (stored && self.stored.contains(name));
        names.iter().all(fits) && names.iter().any(|name| self.halves.contains(name))
    }

    /// The value in another type.
    fn cast(&mut self, name: &str, to: DataType) -> String {
        let key = (name.to_owned(), to as i32);
        if let Some(known) = self.casts.get(&key) {
            return known.clone();
        }
        let new = self.fresh(name);
        self.nodes.push(cast(name, &new, to));
        self.casts.insert(key, new.clone());
        new
    }

    fn fresh(&mut self, like: &str) -> String {
        self.names.fresh(&format!("{like}/cast"))
    }
}

fn cast(from: &str, to: &str, dtype: DataType) -> NodeProto {
    NodeProto::new("Cast", &[from], &[to]).with("to", dtype as i64)
}

#[cfg(test)]
mod tests {
    use super::super::{GradientOptions, differentiate};
    use super::*;
    use crate::builder::{Builder, Conv};

    fn training(fused: bool) -> TrainingGraph {
        let mut builder = Builder::new(0);
        let input = builder.input("x", &[3, 8, 8]);
        let value = builder.conv("conv1", &input, Conv::same(3, 4, 3));
        let value = builder.batch_norm("bn1", &value, 4);
        let value = builder.relu("relu1", &value);
        let value = builder.conv("conv2", &value, Conv::same(4, 4, 3));
        let value = builder.relu("relu2", &value);
        let value = builder.global_average_pool("pool", &value);
        let value = builder.flatten("flat", &value);
        let logits = builder.linear("fc", &value, 4, 3);
        let model = builder.finish(&logits, "logits", &[3]);
        differentiate(&model, &GradientOptions { batch: 2, fused, trainable: &|_| true }).unwrap()
    }

    /// The type of every value that a node makes, by the casts alone.
    fn halves(graph: &GraphProto, half: Half) -> HashSet<String> {
        let mut found = HashSet::new();
        for node in &graph.node {
            let is_half = |name: &String| found.contains(name);
            let makes = match node.op_type.as_str() {
                "Cast" => node.int("to") == Some(half.dtype() as i64),
                "Greater" => false,
                _ => node.input.iter().any(is_half),
            };
            if makes {
                found.extend(node.output.iter().cloned());
            }
        }
        found
    }

    #[test]
    fn products_are_halves_and_what_leaves_is_single() {
        for (half, convolves) in [(Half::Float16, true), (Half::Bfloat16, false)] {
            for fused in [true, false] {
                let mixed = training(fused).mixed(half).unwrap();
                let graph = mixed.model.graph();
                assert!(crate::wiring::Wiring::new(graph).is_ok());
                let halves = halves(graph, half);
                for output in &graph.output {
                    assert!(!halves.contains(&output.name), "{}", output.name);
                }
                for node in &graph.node {
                    let expected = match node.op_type.as_str() {
                        "Conv" => convolves,
                        "MatMul" | "Gemm" | "FusedMatMul" => true,
                        "BatchNormTrain" | "BatchNormTrainGrad" | "LogSoftmax" | "Softmax" | "ReduceSum"
                        | "Mul" | "ReluGrad" | "GlobalAveragePool" => false,
                        _ => continue,
                    };
                    let found = node.input.iter().all(|name| halves.contains(name));
                    assert_eq!(found, expected, "{half:?} {node:?}");
                }
            }
        }
    }

    #[test]
    fn what_lies_between_two_products_is_not_cast() {
        let mixed = training(false).mixed(Half::Float16).unwrap();
        let relu = mixed.model.graph().node.iter().find(|n| n.output[0].contains("relu2")).unwrap();
        assert!(!relu.input[0].contains("cast"), "{relu:?}");
    }
}
