//! Reductions over axes, which the file gives as an attribute or as an input.

use tintype_core::{ErrorKind, Result};

use super::tape::Tape;
use crate::proto::NodeProto;
use crate::shape::resolve_axis;

/// The value that a reduction reads, what it made of it and the gradient of that, the latter two with the reduced axes
/// there as 1.
struct Reduction {
    x: String,
    y: String,
    dy: String,
    shape: Vec<usize>,
    axes: Vec<usize>,
}

impl Reduction {
    fn of(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<Self> {
        let x = node.input[0].clone();
        let shape = tape.shape(node, &x)?;
        let axes = axes(tape, node, shape.len())?;
        let kept: Vec<usize> =
            shape.iter().enumerate().map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect();
        let dy = tape.reshape(dy, &kept);
        tape.shape(node, &node.output[0])?;
        let y = tape.reshape(&node.output[0], &kept);
        Ok(Self { x, y, dy, shape, axes })
    }

    /// Elements of the input for each of the output.
    fn count(&self) -> usize {
        self.axes.iter().map(|&a| self.shape[a]).product()
    }
}

/// `ReduceSum`: every element gets the gradient of its sum.
pub(super) fn sum(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Reduction { dy, shape, .. } = Reduction::of(tape, node, dy)?;
    let dx = tape.expanded(&dy, &shape);
    tape.contribute(node, 0, &dx)
}

/// `ReduceMean` and `GlobalAveragePool`: every element gets an equal share.
pub(super) fn mean(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let r = Reduction::of(tape, node, dy)?;
    let share = tape.scaled(&r.dy, 1.0 / r.count() as f32);
    let dx = tape.expanded(&share, &r.shape);
    tape.contribute(node, 0, &dx)
}

/// `ReduceMax`, `ReduceMin` and `GlobalMaxPool`: the extreme elements share alike, as in PyTorch's `amax`.
pub(super) fn extreme(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let r = Reduction::of(tape, node, dy)?;
    let is_extreme = tape.elementwise("Equal", &r.x, &r.y);
    let ones = tape.ones_where(&is_extreme);
    let count = tape.sum(&ones, &r.axes, true);
    let share = tape.elementwise("Div", &r.dy, &count);
    let dx = tape.elementwise("Mul", &ones, &share);
    tape.contribute(node, 0, &dx)
}

/// `ReduceL1`: `dx = dy · sign(x)`
pub(super) fn l1(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let r = Reduction::of(tape, node, dy)?;
    let sign = tape.unary("Sign", &r.x);
    let dx = tape.elementwise("Mul", &sign, &r.dy);
    tape.contribute(node, 0, &dx)
}

/// `ReduceL2`: `dx = dy · x / y`, and 0 where y is.
pub(super) fn l2(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let r = Reduction::of(tape, node, dy)?;
    let share = tape.elementwise("Div", &r.dy, &r.y);
    let is_zero = tape.compare("Equal", &r.y, 0.0);
    let share = tape.except_where(&is_zero, &share);
    let dx = tape.elementwise("Mul", &r.x, &share);
    tape.contribute(node, 0, &dx)
}

/// `ReduceSumSquare`: `dx = 2 · x · dy`
pub(super) fn sum_square(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let r = Reduction::of(tape, node, dy)?;
    let double = tape.scaled(&r.dy, 2.0);
    let dx = tape.elementwise("Mul", &r.x, &double);
    tape.contribute(node, 0, &dx)
}

/// `ReduceLogSumExp`: `dx = dy · exp(x - y)`
pub(super) fn log_sum_exp(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let r = Reduction::of(tape, node, dy)?;
    let difference = tape.elementwise("Sub", &r.x, &r.y);
    let share = tape.unary("Exp", &difference);
    let dx = tape.elementwise("Mul", &share, &r.dy);
    tape.contribute(node, 0, &dx)
}

/// The axes that a node reduces: pixels for a global pooling, those listed, or all.
fn axes(tape: &Tape, node: &NodeProto, rank: usize) -> Result<Vec<usize>> {
    if node.op_type.starts_with("Global") {
        return Ok((2..rank).collect());
    }
    let unreadable = || node.error(ErrorKind::Unsupported, "has axes that do not follow from the graph");
    let listed = match node.input_name(1) {
        Some(name) => tape.stored(name).ok_or_else(unreadable)?,
        None => node.ints("axes").unwrap_or_default().to_vec(),
    };
    if listed.is_empty() {
        let nothing = node.int("noop_with_empty_axes").unwrap_or(0) != 0;
        return Ok(if nothing { Vec::new() } else { (0..rank).collect() });
    }
    let axes: Option<Vec<usize>> = listed.iter().map(|&a| resolve_axis(a, rank)).collect();
    axes.ok_or_else(|| node.error(ErrorKind::InvalidModel, "has an axis that its input lacks"))
}
