//! Eight-bit models: a float graph in, a graph with `QuantizeLinear` and `DequantizeLinear` pairs (QDQ) out.
//!
//! Activations become `u8` with a zero point, one scale a tensor; weights `i8` around zero, one scale an output channel;
//! biases `i32` at the product of both scales, so that they add to the accumulator as it is. ONNX Runtime fuses the pairs
//! with what stands between them into integer operators (`QLinearConv`, `QLinearAdd`, `QGemm`, …); where it cannot, the
//! graph still means the same.
//!
//! 1. [`Quantizer::new`] folds batch norms into convolutions ([`fold`]) and finds the layers that can be quantised;
//! 2. [`Quantizer::observing`] is the float graph that also puts out the tensors whose ranges must be known. Running it
//!    over images and collecting ranges, plain or by [`Histogram`], is the caller's;
//! 3. [`Quantizer::quantize`] decides which tensors become integers ([`place`]) and writes the graph ([`write`]).
//!
//! The patterns are those that ONNX Runtime's own quantiser leaves (`onnxruntime/python/tools/quantization`), the formulas
//! those of the ONNX operators.

mod fold;
mod histogram;
mod place;
mod range;
mod weights;
mod write;

use std::collections::{HashMap, HashSet};

use tintype_core::{Error, ErrorKind, Result};

pub use histogram::Histogram;
pub use range::Range;

use crate::model::Model;
use crate::proto::{DataType, NodeProto, TypeProto, TypeProtoValue, TypeTensor, ValueInfoProto};
use crate::rewrite::Names;
use crate::wiring::Wiring;
use place::{LayerNode, Placement};

/// A float model, ready to be observed and quantised.
#[derive(Debug, Clone)]
pub struct Quantizer {
    /// Folded, of operator set 17 or later.
    model: Model,
    layers: Vec<LayerNode>,
    /// What the placement of all layers makes integers: that of fewer layers makes no others.
    observed: Vec<String>,
}

/// A layer that can be quantised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The node's name, or that of its output where it has none.
    pub name: String,
    /// `Conv`, `Gemm` or `MatMul`.
    pub op: String,
    /// Numbers in its weight.
    pub weights: usize,
}

/// How a model is quantised.
#[derive(Debug, Clone, Default)]
pub struct QuantizeOptions {
    /// Names of the layers that stay float.
    pub exclude: HashSet<String>,
    /// How many bits weights have.
    pub bits: WeightBits,
}

/// How many bits weights have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightBits {
    /// -127..=127
    #[default]
    Eight,
    /// -64..=64, for processors that add two products of `u8` and `i8` in 16 bits, where 8 bits would saturate: x86-64
    /// without VNNI.
    Seven,
}

impl WeightBits {
    /// What this machine's processor multiplies without loss.
    pub fn of_this_machine() -> Self {
        #[cfg(target_arch = "x86_64")]
        if !std::arch::is_x86_feature_detected!("avx512vnni")
            && !std::arch::is_x86_feature_detected!("avxvnni")
        {
            return Self::Seven;
        }
        Self::Eight
    }
}

impl Quantizer {
    /// Prepares a copy of `model`: brings it to operator set 17, drops what does nothing in inference, folds batch norms.
    ///
    /// # Errors
    /// `InvalidArgument` when the model is quantised already or has nothing to quantise: no `Conv`, `Gemm` or `MatMul` with
    /// `f32` weights that the file stores; `Unsupported` for an operator set before 7.
    pub fn new(model: &Model) -> Result<Self> {
        if let Some(node) = model.graph().node.iter().find(|node| is_integer(node)) {
            return Err(node.error(ErrorKind::InvalidArgument, "is of a model that is quantised already"));
        }
        let mut model = model.clone();
        model.free_initializers();
        fold::fold(&mut model)?;
        let layers = place::layers(&Wiring::new(model.graph())?, model.graph());
        if layers.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "nothing to quantise: the model has no `Conv`, `Gemm` or `MatMul` with `f32` weights of its own",
            ));
        }
        let observed = Placement::of(&model, &layers, &HashSet::new())?.tensors();
        Ok(Self { model, layers, observed })
    }

    /// The layers that can be quantised, in the graph's order.
    pub fn layers(&self) -> Vec<Layer> {
        self.layers.iter().map(|layer| layer.described.clone()).collect()
    }

    /// The float model as it will be quantised.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The tensors whose ranges [`Quantizer::quantize`] wants, in the order of [`Quantizer::observing`]'s outputs.
    pub fn observed(&self) -> &[String] {
        &self.observed
    }

    /// The float model whose only outputs are the [`Quantizer::observed`] tensors, in their order.
    pub fn observing(&self) -> Model {
        let mut model = self.model.clone();
        let graph = model.graph_mut();
        let mut names = Names::of(graph);
        let mut outputs = Vec::new();
        for name in &self.observed {
            // A copy each: an input cannot be an output, and an output's declaration need not be repeated.
            let copy = names.fresh(&format!("{name}/observed"));
            graph.node.push(NodeProto::new("Identity", &[name], &[&copy]));
            let tensor = TypeTensor { elem_type: DataType::Float as i32, shape: None };
            let kind = TypeProto { value: Some(TypeProtoValue::Tensor(tensor)), ..TypeProto::default() };
            outputs.push(ValueInfoProto {
                name: copy,
                r#type: Some(Box::new(kind)),
                ..ValueInfoProto::default()
            });
        }
        graph.output = outputs;
        model
    }

    /// The quantised model; `ranges` are the observed tensors' by name.
    ///
    /// # Errors
    /// `InvalidArgument` when a range is missing or not finite, or `options` excludes a layer that is not there or all.
    pub fn quantize(&self, ranges: &HashMap<String, Range>, options: &QuantizeOptions) -> Result<Model> {
        let known: HashSet<&str> = self.layers.iter().map(|layer| layer.described.name.as_str()).collect();
        if let Some(name) = options.exclude.iter().find(|name| !known.contains(name.as_str())) {
            return Err(self.unknown(name));
        }
        if known.iter().all(|name| options.exclude.contains(*name)) {
            return Err(Error::new(ErrorKind::InvalidArgument, "every layer is excluded from quantisation"));
        }
        let placement = Placement::of(&self.model, &self.layers, &options.exclude)?;
        write::write(&self.model, &placement, ranges, options.bits)
    }

    fn unknown(&self, name: &str) -> Error {
        let names = self.layers.iter().map(|layer| layer.described.name.as_str());
        let near = names.max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
        let error = Error::new(ErrorKind::InvalidArgument, format!("no layer is called `{name}`"));
        match near {
            Some(near) => error.with_hint(format!("the most similar name is `{near}`")),
            None => error,
        }
    }
}

/// Whether a node computes with, makes or reads quantised numbers.
fn is_integer(node: &NodeProto) -> bool {
    let op = node.op_type.as_str();
    op.starts_with("QLinear")
        || matches!(
            op,
            "QuantizeLinear"
                | "DequantizeLinear"
                | "DynamicQuantizeLinear"
                | "ConvInteger"
                | "MatMulInteger"
                | "QGemm"
                | "MatMulIntegerToFloat"
                | "DynamicQuantizeMatMul"
        )
}

#[cfg(test)]
mod tests;
