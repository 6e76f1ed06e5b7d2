//! Arithmetic between tensors that are broadcast: a gradient is summed over the axes along which its input was.

use tintype_core::Result;

use super::tape::Tape;
use crate::proto::NodeProto;

/// `y = a + b`
pub(super) fn add(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    contribute(tape, node, 0, dy.to_owned())?;
    contribute(tape, node, 1, dy.to_owned())
}

/// `y = a - b`
pub(super) fn sub(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    contribute(tape, node, 0, dy.to_owned())?;
    if tape.wants(node, 1).is_some() {
        let negative = tape.unary("Neg", dy);
        contribute(tape, node, 1, negative)?;
    }
    Ok(())
}

/// `y = a · b`
pub(super) fn mul(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    for (this, other) in [(0, 1), (1, 0)] {
        if tape.wants(node, this).is_some() {
            tape.shape(node, &node.input[other])?;
            let product = tape.elementwise("Mul", dy, &node.input[other]);
            contribute(tape, node, this, product)?;
        }
    }
    Ok(())
}

/// `y = a / b`: `da = dy / b`, `db = -dy · y / b`
pub(super) fn div(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let b = &node.input[1];
    tape.shape(node, b)?;
    let quotient = tape.elementwise("Div", dy, b);
    contribute(tape, node, 0, quotient.clone())?;
    if tape.wants(node, 1).is_some() {
        let product = tape.elementwise("Mul", &quotient, &node.output[0]);
        let negative = tape.unary("Neg", &product);
        contribute(tape, node, 1, negative)?;
    }
    Ok(())
}

/// Adds `gradient`, of the output's shape, to that of input `index`.
fn contribute(tape: &mut Tape, node: &NodeProto, index: usize, gradient: String) -> Result<()> {
    let Some(x) = tape.wants(node, index) else { return Ok(()) };
    let shape = tape.shape(node, &x)?;
    let reduced = tape.unbroadcast(&gradient, &shape);
    tape.add(&x, reduced);
    Ok(())
}
