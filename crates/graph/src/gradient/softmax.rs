//! Softmax and its logarithm, over one axis.

use tintype_core::Result;

use super::layout;
use super::tape::Tape;
use crate::proto::NodeProto;

/// `dx = y · (dy - Σ dy · y)`
pub(super) fn softmax(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let axis = axis(tape, node)?;
    let y = &node.output[0];
    let product = tape.elementwise("Mul", dy, y);
    let sum = tape.sum(&product, &[axis], true);
    let difference = tape.elementwise("Sub", dy, &sum);
    let dx = tape.elementwise("Mul", y, &difference);
    tape.contribute(node, 0, &dx)
}

/// `dx = dy - exp(y) · Σ dy`
pub(super) fn log_softmax(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let axis = axis(tape, node)?;
    let probabilities = tape.unary("Exp", &node.output[0]);
    let sum = tape.sum(dy, &[axis], true);
    let product = tape.elementwise("Mul", &probabilities, &sum);
    let dx = tape.elementwise("Sub", dy, &product);
    tape.contribute(node, 0, &dx)
}

fn axis(tape: &Tape, node: &NodeProto) -> Result<usize> {
    let rank = tape.shape(node, &node.input[0])?.len();
    layout::axis(node, -1, rank)
}
