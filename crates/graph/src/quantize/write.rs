//! The quantised graph, written from the float one and its placement.
//!
//! A tensor `t` that a quantised node makes keeps its name for the dequantised value, so that whoever reads it need not
//! know: `node → t/float → QuantizeLinear → t/quantized → DequantizeLinear → t`. Of any other tensor the quantised nodes
//! read `t/dequantized`, and the float ones `t` itself.

use std::collections::HashMap;

use tintype_core::{Error, ErrorKind, Result};

use super::place::{LayerNode, Placement, bounds};
use super::range::Parameters;
use super::weights::Weights;
use super::{Range, WeightBits};
use crate::model::Model;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::rewrite::{Names, prune};
use crate::wiring::Wiring;

/// Writes the quantised model.
pub(super) fn write(
    model: &Model,
    placement: &Placement,
    ranges: &HashMap<String, Range>,
    bits: WeightBits,
) -> Result<Model> {
    let float = model.graph();
    let mut writer = Writer {
        placement,
        ranges,
        bits,
        wiring: Wiring::new(float)?,
        names: Names::of(float),
        scales: HashMap::new(),
        dequantized: HashMap::new(),
        written: GraphProto::default(),
    };
    writer.graph(float)?;
    let Writer { written, .. } = writer;
    let mut model = model.clone();
    let graph = model.graph_mut();
    graph.node = written.node;
    graph.initializer.extend(written.initializer);
    prune(graph)?;
    Ok(model)
}

/// The new nodes and constants so far.
struct Writer<'a> {
    placement: &'a Placement,
    ranges: &'a HashMap<String, Range>,
    bits: WeightBits,
    wiring: Wiring<'a>,
    names: Names,
    /// By source: the parameters and the names of the constants that hold them.
    scales: HashMap<String, (Parameters, [String; 2])>,
    /// What quantised nodes read in place of a tensor that is float as well.
    dequantized: HashMap<String, String>,
    written: GraphProto,
}

impl Writer<'_> {
    fn graph(&mut self, float: &GraphProto) -> Result<()> {
        for input in &float.input {
            self.pair_of_float(&input.name)?;
        }
        let replaced = self.replaced(float)?;
        for (index, node) in float.node.iter().enumerate() {
            let mut node = match replaced.get(&index) {
                // What it does, rounding to the range does: the node before it makes its value.
                Some(Activation::Gone) => continue,
                Some(Activation::Into(name)) => {
                    let mut node = node.clone();
                    name.clone_into(&mut node.output[0]);
                    node
                }
                None => node.clone(),
            };
            if let Some(layer) = self.placement.layers.get(&index) {
                self.integers(layer, &mut node)?;
            }
            let made =
                node.output.first().filter(|name| self.placement.values.get(*name).is_some_and(|v| v.made));
            if let Some(name) = made.cloned() {
                let raw = self.names.fresh(&format!("{name}/float"));
                raw.clone_into(&mut node.output[0]);
                self.written.node.push(node);
                self.pair(&raw, &name, &name)?;
            } else {
                let outputs = node.output.clone();
                self.written.node.push(node);
                outputs.iter().try_for_each(|name| self.pair_of_float(name))?;
            }
        }
        Ok(())
    }

    /// What becomes of the nodes before activations that rounding replaces, and of these.
    fn replaced(&mut self, float: &GraphProto) -> Result<HashMap<usize, Activation>> {
        let mut replaced = HashMap::new();
        for (&act, &before) in &self.placement.closing {
            let node = &float.node[act];
            let (Some((least, most)), Some(name)) = (bounds(&self.wiring, node), node.output_name(0)) else {
                continue;
            };
            let (parameters, _) = self.scale_of(name)?;
            let (low, high) = parameters.extremes();
            // The zero point is rounded: a bound may lie up to half a step within the outermost one.
            let slack = 0.51 * parameters.scale;
            if low >= least - slack && high <= most + slack {
                replaced.insert(act, Activation::Gone);
                replaced.insert(before, Activation::Into(name.to_owned()));
            }
        }
        Ok(replaced)
    }

    /// Lets a layer read integers.
    fn integers(&mut self, layer: &LayerNode, node: &mut NodeProto) -> Result<()> {
        let input = node.input[0].clone();
        let (Parameters { scale, .. }, _) = self.scale_of(&input)?;
        let unstored = || node.error(ErrorKind::Internal, "was placed without stored weights");
        let weight_name = node.input_name(1).ok_or_else(unstored)?.to_owned();
        let weight = self.wiring.constant(&weight_name).ok_or_else(unstored)?;
        let bias_name = node.input_name(2).map(str::to_owned);
        let bias = bias_name.as_deref().and_then(|name| self.wiring.constant(name));
        let weights = Weights::new(layer, weight, bias, (scale, self.bits))?;
        let shape = weight.shape()?;
        let channels = weights.scales.len();
        let zeros = vec![0; channels];
        let parts = [
            TensorProto::from_i8("quantized", &shape, &weights.values),
            TensorProto::from_f32("scale", &[channels], &weights.scales),
            TensorProto::from_i8("zero", &[channels], &zeros),
        ];
        node.input[1] = self.dequantize_stored(&weight_name, parts.to_vec(), layer.axis);
        if let (Some(name), Some(bias)) = (bias_name, weights.bias) {
            let parts = vec![
                TensorProto::from_i32("quantized", &[channels], &bias.values),
                TensorProto::from_f32("scale", &[channels], &bias.scales),
            ];
            node.input[2] = self.dequantize_stored(&name, parts, 0);
        }
        if let Some(read) = self.dequantized.get(&input) {
            read.clone_into(&mut node.input[0]);
        }
        Ok(())
    }

    /// A `DequantizeLinear` over constants, named `<name>/<part>`; returns what it makes.
    fn dequantize_stored(&mut self, name: &str, parts: Vec<TensorProto>, axis: usize) -> String {
        let mut reads = Vec::new();
        for mut part in parts {
            part.name = self.names.fresh(&format!("{name}/{}", part.name));
            reads.push(part.name.clone());
            self.written.initializer.push(part);
        }
        let made = self.names.fresh(&format!("{name}/dequantized"));
        let reads: Vec<&str> = reads.iter().map(String::as_str).collect();
        let node = NodeProto::new("DequantizeLinear", &reads, &[&made]).with("axis", axis as i64);
        self.written.node.push(node);
        made
    }

    /// The pair behind a tensor that stays float as well, where quantised nodes read it.
    fn pair_of_float(&mut self, name: &str) -> Result<()> {
        if self.placement.values.get(name).is_some_and(|value| !value.made) {
            let made = self.names.fresh(&format!("{name}/dequantized"));
            self.dequantized.insert(name.to_owned(), made.clone());
            self.pair(name, &made, name)?;
        }
        Ok(())
    }

    /// `from → QuantizeLinear → DequantizeLinear → to`, at the scale of tensor `of`.
    fn pair(&mut self, from: &str, to: &str, of: &str) -> Result<()> {
        let (_, [scale, zero]) = self.scale_of(of)?;
        let quantized = self.names.fresh(&format!("{of}/quantized"));
        self.written.node.push(NodeProto::new("QuantizeLinear", &[from, &scale, &zero], &[&quantized]));
        self.written.node.push(NodeProto::new("DequantizeLinear", &[&quantized, &scale, &zero], &[to]));
        Ok(())
    }

    /// The parameters of a tensor, and the constants that hold them.
    fn scale_of(&mut self, name: &str) -> Result<(Parameters, [String; 2])> {
        let source = self.placement.values.get(name).map_or(name, |value| value.source.as_str());
        if let Some(found) = self.scales.get(source) {
            return Ok(found.clone());
        }
        let range = self.ranges.get(source).copied().filter(|range| range.is_finite()).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("tensor `{source}` has no finite range"))
                .with_hint("calibrate with images that the model answers with numbers")
        })?;
        let parameters = range.parameters();
        let [scale, zero] = ["scale", "zero"].map(|what| self.names.fresh(&format!("{source}/{what}")));
        self.written.initializer.push(TensorProto::from_f32(&scale, &[], &[parameters.scale]));
        self.written.initializer.push(TensorProto::from_u8(&zero, &[], &[parameters.zero]));
        let found = (parameters, [scale, zero]);
        self.scales.insert(source.to_owned(), found.clone());
        Ok(found)
    }
}

/// What becomes of a node where rounding replaces an activation.
enum Activation {
    /// The activation itself.
    Gone,
    /// The node before it makes this value.
    Into(String),
}
