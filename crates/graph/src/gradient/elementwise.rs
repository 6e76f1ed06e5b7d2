//! Arithmetic between tensors that are broadcast: a gradient is summed over the axes along which its input was.

use tintype_core::{ErrorKind, Result};

use super::tape::Tape;
use crate::proto::NodeProto;

/// `y = a + b`
pub(super) fn add(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    tape.contribute(node, 0, dy)?;
    tape.contribute(node, 1, dy)
}

/// `y = a - b`
pub(super) fn sub(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    tape.contribute(node, 0, dy)?;
    if tape.wants(node, 1).is_some() {
        let negative = tape.unary("Neg", dy);
        tape.contribute(node, 1, &negative)?;
    }
    Ok(())
}

/// `y = a · b`
pub(super) fn mul(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    for (this, other) in [(0, 1), (1, 0)] {
        if tape.wants(node, this).is_some() {
            tape.shape(node, &node.input[other])?;
            let product = tape.elementwise("Mul", dy, &node.input[other]);
            tape.contribute(node, this, &product)?;
        }
    }
    Ok(())
}

/// `y = a / b`: `da = dy / b`, `db = -dy · y / b`
pub(super) fn div(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let b = &node.input[1];
    tape.shape(node, b)?;
    let quotient = tape.elementwise("Div", dy, b);
    tape.contribute(node, 0, &quotient)?;
    if tape.wants(node, 1).is_some() {
        let product = tape.elementwise("Mul", &quotient, &node.output[0]);
        let negative = tape.unary("Neg", &product);
        tape.contribute(node, 1, &negative)?;
    }
    Ok(())
}

/// `y = a^b`: `da = dy · b · a^(b-1)`, `db = dy · y · ln(a)`, the latter 0 where a is not above 0.
pub(super) fn pow(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let [a, b] = [0, 1].map(|i| node.input[i].as_str());
    tape.shape(node, a)?;
    tape.shape(node, b)?;
    if tape.wants(node, 0).is_some() {
        let slope = match tape.number(b) {
            Some(b) => scaled_power(tape, a, &node.output[0], b),
            None if tape.wants(node, 1).is_some() => {
                let less = tape.shifted(b, -1.0);
                let power = tape.elementwise("Pow", a, &less);
                tape.elementwise("Mul", b, &power)
            }
            // It may be of another type, with which nothing but `Pow` computes.
            None => return Err(node.error(ErrorKind::Unsupported, "has an exponent that is not stored")),
        };
        let da = tape.elementwise("Mul", dy, &slope);
        tape.contribute(node, 0, &da)?;
    }
    if tape.wants(node, 1).is_some() {
        let logarithm = tape.unary("Log", a);
        let product = tape.elementwise("Mul", dy, &node.output[0]);
        let product = tape.elementwise("Mul", &product, &logarithm);
        let positive = tape.compare("Greater", a, 0.0);
        let db = tape.only_where(&positive, &product);
        tape.contribute(node, 1, &db)?;
    }
    Ok(())
}

/// `b · a^(b-1)`, the slope of `y = a^b`.
fn scaled_power(tape: &mut Tape, a: &str, y: &str, b: f32) -> String {
    if b == 2.0 {
        return tape.scaled(a, 2.0);
    }
    if b == 0.5 {
        let double = tape.scaled(y, 2.0);
        return tape.unary("Reciprocal", &double);
    }
    let less = tape.scalar(b - 1.0);
    let power = tape.elementwise("Pow", a, &less);
    tape.scaled(&power, b)
}

/// `Sum` of any number of tensors, and their `Mean`.
pub(super) fn sum(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let share = if node.op_type == "Mean" { 1.0 / node.input.len() as f32 } else { 1.0 };
    let share = tape.scaled(dy, share);
    (0..node.input.len()).try_for_each(|i| tape.contribute(node, i, &share))
}

/// `Max` and `Min` of any number of tensors: those that have the extreme value share alike, as PyTorch's `maximum`.
pub(super) fn extreme(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let y = &node.output[0];
    let mut ones = Vec::with_capacity(node.input.len());
    for x in &node.input {
        tape.shape(node, x)?;
        let equal = tape.elementwise("Equal", x, y);
        ones.push(tape.ones_where(&equal));
    }
    let Some((first, more)) = ones.split_first() else { return Ok(()) };
    let count = more.iter().fold(first.clone(), |sum, more| tape.elementwise("Add", &sum, more));
    let share = tape.elementwise("Div", dy, &count);
    for (index, ones) in ones.iter().enumerate() {
        if tape.wants(node, index).is_some() {
            let dx = tape.elementwise("Mul", ones, &share);
            tape.contribute(node, index, &dx)?;
        }
    }
    Ok(())
}

/// `y = a` where the condition holds, else `b`
pub(super) fn choice(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let condition = &node.input[0];
    tape.shape(node, condition)?;
    if tape.wants(node, 1).is_some() {
        let da = tape.only_where(condition, dy);
        tape.contribute(node, 1, &da)?;
    }
    if tape.wants(node, 2).is_some() {
        let db = tape.except_where(condition, dy);
        tape.contribute(node, 2, &db)?;
    }
    Ok(())
}
