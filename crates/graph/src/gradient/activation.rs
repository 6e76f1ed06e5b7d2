//! Activations: ReLU and dropout here, others by their kind.

pub(super) mod piecewise;
pub(super) mod smooth;

use tintype_core::Result;

use super::FUSED_DOMAIN;
use super::tape::Tape;
use crate::proto::NodeProto;

/// `dx = dy` where `y > 0`, else 0.
pub(super) fn relu(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let y = &node.output[0];
    let shape = tape.own(dy);
    let dx = if tape.fused {
        tape.one(NodeProto::new("ReluGrad", &[dy, y], &[]).of_domain(FUSED_DOMAIN), shape)
    } else {
        let zero = tape.scalar(0.0);
        let positive = tape.op("Greater", &[y, &zero], shape.clone());
        tape.op("Where", &[&positive, dy, &zero], shape)
    };
    tape.add(&x, dx);
    Ok(())
}

/// Writes `tintype.Dropout` with ONNX's operator, whose second output is the mask.
pub(super) fn drop_plainly(tape: &mut Tape, node: &NodeProto) -> Result<()> {
    let (x, mask) = (node.input[0].as_str(), node.output[1].as_str());
    let shape = tape.shape(node, x)?;
    let (ratio, live) = (tape.scalar(ratio_of(node)), tape.truth());
    let plain = NodeProto::new("Dropout", &[x, &ratio, &live], &[&node.output[0], mask]);
    tape.nodes.push(plain.with("seed", node.int("salt").unwrap_or(0)));
    tape.shapes.insert(mask, shape);
    Ok(())
}

/// The same mask again: fused, it is a function of seed, salt and position; otherwise it is still there.
pub(super) fn dropout(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let dx = if tape.fused {
        let mut again = node.clone();
        dy.clone_into(&mut again.input[0]);
        let shape = tape.own(dy);
        tape.one(again, shape)
    } else {
        let scaled = tape.scaled(dy, 1.0 / (1.0 - ratio_of(node)));
        tape.only_where(&node.output[1], &scaled)
    };
    tape.add(&x, dx);
    Ok(())
}

fn ratio_of(node: &NodeProto) -> f32 {
    node.float("ratio").unwrap_or(0.5)
}
