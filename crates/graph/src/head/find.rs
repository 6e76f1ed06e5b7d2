//! Finding the head: a walk from the scores back to the layer that makes them.

use tintype_core::{DType, Error, ErrorKind, Result};

use crate::model::Model;
use crate::proto::{NodeProto, TensorProto};
use crate::wiring::Wiring;

/// The last linear layer of a classifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The layer's name in the graph.
    pub node: String,
    /// The value that the layer reads.
    pub value: String,
    /// How many features an image has, `F`.
    pub features: usize,
    /// How many classes the layer scores, `K`.
    pub classes: usize,
    /// What the value looks like.
    pub source: Source,
    /// Whether the value is not `f32` and is to be made so.
    pub cast: bool,
    /// The graph's first input, whose first axis is the batch.
    pub input: String,
}

/// The shape of what a head reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `[N, F]`.
    Rows,
    /// `[N, F, 1, 1]`.
    Pixel,
    /// `[N, F, H, W]`, averaged over height and width only after the layer: as both are linear, the features may be
    /// averaged first.
    Map,
}

/// Finds the layer that makes the scores called `output`.
///
/// # Errors
/// `InvalidArgument` when the model has no such output; `Unsupported`, naming the node, when something other than
/// a linear layer makes the scores, or stands between the layer and an average over its pixels.
pub fn find(model: &Model, output: &str) -> Result<Head> {
    let graph = model.graph();
    if !graph.output.iter().any(|v| v.name == output) {
        let names: Vec<String> = graph.output.iter().map(|v| format!("`{}`", v.name)).collect();
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("the model has no output `{output}`, found {}", names.join(", ")),
        ));
    }
    let wiring = Wiring::new(graph)?;
    let dependent = wiring.dependent();
    let input = graph.input.iter().find(|v| dependent.contains(v.name.as_str()));
    let input = input.map(|v| v.name.clone()).ok_or_else(|| invalid("the model has no input".to_owned()))?;
    let mut walk = Walk { model, wiring, output, between: Vec::new() };
    let mut value = output;
    loop {
        let Some(node) = walk.wiring.maker(value) else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("no linear layer makes the scores `{output}` out of `{value}`"),
            ));
        };
        let read: Vec<&str> =
            node.input.iter().map(String::as_str).filter(|s| dependent.contains(s)).collect();
        let reads_data_alone = read.len() == 1 && node.input_name(0) == Some(read[0]);
        let op = node.standard_op().unwrap_or_default();
        if reads_data_alone && let Some(layer) = walk.layer(node, op)? {
            return Ok(Head { node: node.name.clone(), value: read[0].to_owned(), input, ..layer });
        }
        if read.len() != 1 || !PASSABLE.contains(&op) {
            return Err(node.error(
                ErrorKind::Unsupported,
                format!(
                    "makes the scores `{output}`, expected a linear layer (`Gemm`, `MatMul` or a 1×1 `Conv`)"
                ),
            ));
        }
        walk.between.push(node);
        value = read[0];
    }
}

/// What may stand between the layer and the scores: it goes with the old head.
const PASSABLE: &[&str] = &[
    "Add",
    "Cast",
    "Clip",
    "DequantizeLinear",
    "Div",
    "Dropout",
    "Flatten",
    "GlobalAveragePool",
    "Identity",
    "LogSoftmax",
    "Mul",
    "QuantizeLinear",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "Squeeze",
    "Sub",
];

/// What an average over pixels may be moved across.
const LINEAR: &[&str] = &["Add", "Cast", "Div", "Dropout", "Identity", "Mul", "Sub"];

/// What changes the number of axes, or which axis is which.
const RESHAPING: &[&str] = &["Flatten", "GlobalAveragePool", "ReduceMean", "Reshape", "Squeeze"];

struct Walk<'a> {
    model: &'a Model,
    wiring: Wiring<'a>,
    output: &'a str,
    /// The nodes passed so far, the scores' own first.
    between: Vec<&'a NodeProto>,
}

impl Walk<'_> {
    /// `node` as a head without names, if it is a linear layer.
    fn layer(&self, node: &NodeProto, op: &str) -> Result<Option<Head>> {
        let Some((shape, cast)) = node.input_name(1).and_then(|name| self.weight(name)) else {
            return Ok(None);
        };
        let (classes, features, source) = match (op, shape.as_slice()) {
            ("Gemm", &[rows, columns]) if node.int("transA").unwrap_or(0) == 0 => {
                let transposed = node.int("transB").unwrap_or(0) != 0;
                let (k, f) = if transposed { (rows, columns) } else { (columns, rows) };
                (k, f, Source::Rows)
            }
            ("MatMul", &[f, k]) if self.scores_are_rows() => (k, f, Source::Rows),
            ("Conv", &[k, f, 1, 1]) if is_pointwise(node) => (k, f, self.source_of_convolution(node, k)?),
            _ => return Ok(None),
        };
        let unnamed = String::new;
        Ok(Some(Head {
            node: unnamed(),
            value: unnamed(),
            input: unnamed(),
            features,
            classes,
            source,
            cast,
        }))
    }

    /// The shape of a constant weight, and whether what it is multiplied with is to be cast to `f32`. A quantised
    /// model keeps it behind `DequantizeLinear`.
    fn weight(&self, name: &str) -> Option<(Vec<usize>, bool)> {
        if let Some(tensor) = self.wiring.constant(name) {
            return Some((tensor.shape().ok()?, tensor.dtype().ok()? != DType::F32));
        }
        let maker = self.wiring.maker(name)?;
        match maker.standard_op()? {
            "DequantizeLinear" => {
                let scale = self.wiring.constant(maker.input_name(1)?)?.dtype().ok()?;
                Some((self.wiring.constant(maker.input_name(0)?)?.shape().ok()?, scale != DType::F32))
            }
            "Transpose" if maker.ints("perm").is_none_or(|p| p == [1, 0]) => {
                let tensor = self.wiring.constant(maker.input_name(0)?)?;
                let [rows, columns] = tensor.shape().ok()?[..] else { return None };
                Some((vec![columns, rows], tensor.dtype().ok()? != DType::F32))
            }
            _ => None,
        }
    }

    /// Whether a `MatMul` here works on `[N, F]` and not on a sequence or a map.
    fn scores_are_rows(&self) -> bool {
        let same_rank = |n: &&NodeProto| !n.standard_op().is_some_and(|op| RESHAPING.contains(&op));
        self.declared_axes() == Some(2) && self.between.iter().all(same_rank)
    }

    /// What a 1×1 convolution reads: maps when an average follows it, else pixels, which the number of scores proves.
    fn source_of_convolution(&self, node: &NodeProto, classes: usize) -> Result<Source> {
        // Nearest to the convolution first.
        let after: Vec<&NodeProto> = self.between.iter().rev().copied().collect();
        let Some(average) = after.iter().position(|n| self.averages_pixels(n)) else {
            return if self.declared_scores() == Some(classes) {
                Ok(Source::Pixel)
            } else {
                Err(node.error(
                    ErrorKind::Unsupported,
                    format!("has {classes} channels, expected as many as `{}` has scores", self.output),
                ))
            };
        };
        match after[..average].iter().find(|n| !n.standard_op().is_some_and(|op| LINEAR.contains(&op))) {
            None => Ok(Source::Map),
            Some(obstacle) => Err(obstacle.error(
                ErrorKind::Unsupported,
                "stands between the last convolution and the average over its pixels and is not linear, so the \
                 features cannot be averaged before the convolution",
            )),
        }
    }

    fn averages_pixels(&self, node: &NodeProto) -> bool {
        match node.standard_op() {
            Some("GlobalAveragePool") => true,
            Some("ReduceMean") => {
                let stored =
                    node.input_name(1).and_then(|n| self.wiring.constant(n)).map(TensorProto::to_i64);
                let axes = match stored {
                    Some(axes) => axes.unwrap_or_default(),
                    None => node.ints("axes").unwrap_or_default().to_vec(),
                };
                axes == [2, 3] || axes == [-2, -1]
            }
            _ => false,
        }
    }

    fn declared_axes(&self) -> Option<usize> {
        Some(self.declared()?.len())
    }

    /// How many scores an image has: the product of the declared axes after the first.
    fn declared_scores(&self) -> Option<usize> {
        self.declared()?.iter().skip(1).copied().try_fold(1usize, |a, d| a.checked_mul(d?))
    }

    fn declared(&self) -> Option<Vec<Option<usize>>> {
        let specs = self.model.outputs().ok()?;
        specs.into_iter().find(|s| s.name == self.output).map(|s| s.shape)
    }
}

/// Whether a 1×1 convolution is a matrix product at every pixel.
fn is_pointwise(node: &NodeProto) -> bool {
    let all = |name: &str, value: i64| node.ints(name).unwrap_or_default().iter().all(|&v| v == value);
    node.int("group").unwrap_or(1) == 1 && all("strides", 1) && all("pads", 0)
}

fn invalid(what: String) -> Error {
    Error::new(ErrorKind::InvalidModel, what)
}
