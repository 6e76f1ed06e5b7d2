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

/// The same mask again: it is a function of seed, salt and position.
pub(super) fn dropout(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let mut again = node.clone();
    dy.clone_into(&mut again.input[0]);
    let shape = tape.own(dy);
    let dx = tape.one(again, shape);
    tape.add(&x, dx);
    Ok(())
}
