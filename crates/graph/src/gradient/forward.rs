//! The forward nodes as training runs them.
//!
//! A batch norm with a trainable scale becomes `tintype.BatchNormTrain`, together with the `Relu` that alone reads
//! it; a dropout becomes `tintype.Dropout`. The rest stays. Where fused operators are not allowed the tape writes a
//! batch norm in pieces, and ONNX's dropout, which draws from the session's own generator and keeps its mask.

use std::collections::HashSet;

use tintype_core::{ErrorKind, Result};

use super::{BatchNormState, FUSED_DOMAIN, Parameter, SEED};
use crate::model::Model;
use crate::proto::NodeProto;
use crate::shape::Shapes;
use crate::wiring::Wiring;

/// The rewritten nodes, in order.
pub(super) struct Forward {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) batch_norms: Vec<TrainedNorm>,
    pub(super) has_seed: bool,
}

/// A batch norm that runs on the batch's statistics.
pub(super) struct TrainedNorm {
    pub(super) state: BatchNormState,
    /// The values that hold the batch's mean and variance.
    pub(super) statistics: [String; 2],
    pub(super) channels: usize,
}

/// Rewrites the nodes of `model`.
pub(super) fn rewrite(
    model: &Model,
    parameters: &[Parameter],
    fused: bool,
    shapes: &Shapes,
) -> Result<Forward> {
    let wiring = Wiring::new(model.graph())?;
    let dependent = wiring.dependent();
    let rewriter = Rewriter { model, wiring, dependent, parameters, fused, shapes };
    let mut forward = Forward { nodes: Vec::new(), batch_norms: Vec::new(), has_seed: false };
    let mut absorbed: Vec<&str> = Vec::new();
    for node in &model.graph().node {
        match node.standard_op() {
            Some("Relu") if absorbed.contains(&node.output[0].as_str()) => {}
            Some("BatchNormalization") if rewriter.is_trained(node) && !rewriter.is_of_weights(node) => {
                let relu = if fused { rewriter.only_relu(&node.output[0]) } else { None };
                absorbed.extend(relu);
                let (node, norm) = rewriter.batch_norm(node, relu)?;
                if forward.batch_norms.iter().any(|n| n.state.mean == norm.state.mean) {
                    return Err(node.error(
                        ErrorKind::Unsupported,
                        format!("shares its running mean `{}` with another batch norm", norm.state.mean),
                    ));
                }
                forward.batch_norms.push(norm);
                forward.nodes.push(node);
            }
            Some("BatchNormalization") if rewriter.is_of_weights(node) => {
                forward.nodes.push(rewriter.live(node, None)?.0);
            }
            Some("BatchNormalization") => forward.nodes.push(frozen(node)),
            Some("Dropout") => {
                let dropout = rewriter.dropout(node, forward.nodes.len())?;
                forward.has_seed |= fused && dropout.domain == FUSED_DOMAIN;
                forward.nodes.push(dropout);
            }
            _ => forward.nodes.push(node.clone()),
        }
    }
    Ok(forward)
}

/// A batch norm as in inference, also where the file has it in training mode.
fn frozen(node: &NodeProto) -> NodeProto {
    let mut node = node.clone();
    node.attribute.retain(|a| a.name != "training_mode");
    node.output.truncate(1);
    node
}

struct Rewriter<'a> {
    model: &'a Model,
    wiring: Wiring<'a>,
    /// The values that depend on the image.
    dependent: HashSet<&'a str>,
    parameters: &'a [Parameter],
    fused: bool,
    shapes: &'a Shapes,
}

impl<'a> Rewriter<'a> {
    /// Whether a batch norm's scale is a parameter.
    fn is_trained(&self, node: &NodeProto) -> bool {
        let scale = node.input_name(1).and_then(|name| self.wiring.constant(name));
        scale.is_some_and(|scale| self.parameters.iter().any(|p| p.name == scale.name))
    }

    /// Whether a batch norm standardises weights and so runs on their own statistics, in inference as in training.
    fn is_of_weights(&self, node: &NodeProto) -> bool {
        let is_live = node.int("training_mode").unwrap_or(0) != 0;
        is_live && node.input_name(0).is_some_and(|x| !self.dependent.contains(x))
    }

    /// The output of the `Relu` that is the only reader of `value`.
    fn only_relu(&self, value: &str) -> Option<&'a str> {
        let graph = self.model.graph();
        let mut readers = graph.node.iter().filter(|n| n.reads().contains(&value));
        let reader = readers.next().filter(|n| n.standard_op() == Some("Relu"))?;
        let alone = readers.next().is_none() && !graph.output.iter().any(|o| o.name == value);
        alone.then_some(reader.output[0].as_str())
    }

    fn batch_norm(&self, node: &NodeProto, relu: Option<&str>) -> Result<(NodeProto, TrainedNorm)> {
        let stored = |i: usize| {
            let tensor = node.input_name(i).and_then(|name| self.wiring.constant(name));
            tensor.map(|t| t.name.clone()).ok_or_else(|| {
                node.error(ErrorKind::Unsupported, format!("has an input {i} that is not an initializer"))
            })
        };
        let (live, shape) = self.live(node, relu)?;
        let state = BatchNormState {
            mean: stored(3)?,
            variance: stored(4)?,
            momentum: node.float("momentum").unwrap_or(0.9),
            epsilon: node.float("epsilon").unwrap_or(1e-5),
            count: shape.iter().product::<usize>().checked_div(shape[1]).unwrap_or(0),
        };
        let statistics = [live.output[1].clone(), live.output[2].clone()];
        Ok((live, TrainedNorm { state, statistics, channels: shape[1] }))
    }

    /// The batch norm on its own statistics, which are further outputs, and the shape `[N, C, …]` of what it reads.
    fn live(&self, node: &NodeProto, relu: Option<&str>) -> Result<(NodeProto, &[usize])> {
        let shape = self.shapes.of(node, node.input_name(0).unwrap_or_default())?;
        if shape.len() < 2 {
            return Err(node.error(ErrorKind::Unsupported, format!("has no channels in the shape {shape:?}")));
        }
        let output = relu.unwrap_or(&node.output[0]);
        let live = NodeProto {
            op_type: "BatchNormTrain".to_owned(),
            name: node.name.clone(),
            input: node.input[..3].to_vec(),
            output: vec![
                output.to_owned(),
                format!("{output}/batch_mean"),
                format!("{output}/batch_variance"),
            ],
            ..NodeProto::default()
        };
        let live = live
            .of_domain(FUSED_DOMAIN)
            .with("epsilon", node.float("epsilon").unwrap_or(1e-5))
            .with("relu", i64::from(relu.is_some()));
        Ok((live, shape))
    }

    /// A live dropout, or an `Identity` where nothing is dropped. `salt` tells the layers' masks apart.
    fn dropout(&self, node: &NodeProto, salt: usize) -> Result<NodeProto> {
        let ratio = match node.input_name(1) {
            Some(name) => {
                let stored = self.wiring.constant(name).and_then(|t| t.to_f32().ok());
                let first = stored.as_deref().and_then(|v| v.first().copied());
                first.ok_or_else(|| node.error(ErrorKind::Unsupported, "has a ratio that is not stored"))?
            }
            None => node.float("ratio").unwrap_or(0.5),
        };
        if !(0.0..1.0).contains(&ratio) {
            return Err(node.error(
                ErrorKind::InvalidModel,
                format!("has the ratio {ratio}, expected 0 or more and less than 1"),
            ));
        }
        let input = node.input[0].as_str();
        if ratio == 0.0 {
            return Ok(NodeProto::new("Identity", &[input], &[&node.output[0]]));
        }
        let mut live = NodeProto::new("Dropout", &[input, SEED], &[&node.output[0]])
            .of_domain(FUSED_DOMAIN)
            .with("ratio", ratio)
            .with("salt", salt as i64);
        live.name.clone_from(&node.name);
        if !self.fused {
            live.output.push(format!("{}/mask", node.output[0]));
        }
        Ok(live)
    }
}
