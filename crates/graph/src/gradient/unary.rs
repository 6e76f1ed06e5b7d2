//! Functions of one number, element by element.

use tintype_core::Result;

use super::tape::Tape;
use crate::proto::NodeProto;

/// `y = exp(x)`: `dx = dy · y`
pub(super) fn exp(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let dx = tape.elementwise("Mul", dy, &node.output[0]);
    tape.contribute(node, 0, &dx)
}

/// `y = ln(x)`: `dx = dy / x`
pub(super) fn log(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let dx = tape.elementwise("Div", dy, &node.input[0]);
    tape.contribute(node, 0, &dx)
}

/// `y = √x`: `dx = dy / (2 · y)`
pub(super) fn sqrt(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let half = tape.scaled(dy, 0.5);
    let dx = tape.elementwise("Div", &half, &node.output[0]);
    tape.contribute(node, 0, &dx)
}

/// `y = 1 / x`: `dx = -dy · y²`
pub(super) fn reciprocal(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let y = &node.output[0];
    let square = tape.elementwise("Mul", y, y);
    let product = tape.elementwise("Mul", dy, &square);
    let dx = tape.unary("Neg", &product);
    tape.contribute(node, 0, &dx)
}

/// `y = -x`
pub(super) fn neg(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let dx = tape.unary("Neg", dy);
    tape.contribute(node, 0, &dx)
}

/// `y = |x|`: `dx = dy · sign(x)`
pub(super) fn abs(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let sign = tape.unary("Sign", &node.input[0]);
    let dx = tape.elementwise("Mul", dy, &sign);
    tape.contribute(node, 0, &dx)
}

/// `dx = dy · cos(x)`
pub(super) fn sin(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let slope = tape.unary("Cos", &node.input[0]);
    let dx = tape.elementwise("Mul", dy, &slope);
    tape.contribute(node, 0, &dx)
}

/// `dx = -dy · sin(x)`
pub(super) fn cos(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let sine = tape.unary("Sin", &node.input[0]);
    let product = tape.elementwise("Mul", dy, &sine);
    let dx = tape.unary("Neg", &product);
    tape.contribute(node, 0, &dx)
}
