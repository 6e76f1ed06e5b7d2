//! Operators that only arrange elements, each of which goes to at most one place. [`gather`] has those that may send
//! one to several.

pub(super) mod gather;

use tintype_core::{ErrorKind, Result};

use super::tape::Tape;
use crate::proto::NodeProto;
use crate::shape::resolve_axis;
use crate::shape::sliced;

/// `Reshape` and its like, and `Identity`: the elements stay in order.
pub(super) fn same_elements(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let shape = tape.shape(node, &x)?;
    let dx = tape.reshape(dy, &shape);
    tape.add(&x, dx);
    Ok(())
}

/// The axes go back.
pub(super) fn transpose(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let rank = tape.shape(node, &x)?.len();
    let perm: Vec<usize> = match node.ints("perm").filter(|p| !p.is_empty()) {
        Some(perm) => perm.iter().filter_map(|&p| resolve_axis(p, rank)).collect(),
        None => (0..rank).rev().collect(),
    };
    let inverse: Option<Vec<usize>> = (0..rank).map(|i| perm.iter().position(|&p| p == i)).collect();
    let inverse = inverse.ok_or_else(|| node.error(ErrorKind::InvalidModel, "does not permute its axes"))?;
    let dx = tape.transpose(dy, &inverse);
    tape.add(&x, dx);
    Ok(())
}

/// `Expand`: what was repeated is summed.
pub(super) fn expand(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    tape.contribute(node, 0, dy)
}

/// `Concat`: each input gets its part.
pub(super) fn concat(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let rank = tape.own(dy).len();
    let axis = axis(node, 0, rank)?;
    let mut start = 0;
    for x in &node.input {
        let count = tape.shape(node, x)?[axis];
        if tape.is_needed(x) {
            let dx = tape.part(dy, axis, start, count);
            tape.add(x, dx);
        }
        start += count;
    }
    Ok(())
}

/// `Split`: the parts' gradients joined, with zeros for parts that have none.
pub(super) fn split(tape: &mut Tape, node: &NodeProto, dy: &[Option<String>]) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let axis = axis(node, 0, tape.shape(node, &x)?.len())?;
    let mut parts = Vec::with_capacity(dy.len());
    for (name, dy) in node.output.iter().zip(dy) {
        let shape = tape.shape(node, name)?;
        parts.push(dy.clone().unwrap_or_else(|| tape.zeros(&shape)));
    }
    let dx = tape.joined(&parts, axis);
    tape.add(&x, dx);
    Ok(())
}

/// `Slice`: zeros around what was taken, and between where a stride left some out.
pub(super) fn slice(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let shape = tape.shape(node, &x)?;
    let list = |i: usize, name: &str| match node.input_name(i) {
        Some(input) => tape.stored(input),
        None => node.ints(name).map(<[i64]>::to_vec),
    };
    let (starts, ends, axes, steps) = (list(1, "starts"), list(2, "ends"), list(3, "axes"), list(4, "steps"));
    let known = |i: usize, list: &Option<Vec<i64>>| list.is_some() || node.input_name(i).is_none();
    let unknown =
        || node.error(ErrorKind::Unsupported, "takes a part whose place does not follow from the graph");
    let (Some(starts), Some(ends), true, true) = (starts, ends, known(3, &axes), known(4, &steps)) else {
        return Err(unknown());
    };
    let ranges = sliced(&shape, &starts, &ends, axes.as_deref(), steps.as_deref()).ok_or_else(unknown)?;
    let mut dx = dy.to_owned();
    for (axis, range) in ranges.iter().enumerate() {
        if range.count == 0 {
            dx = tape.zeros(&shape);
            break;
        }
        if range.step < 0 {
            dx = tape.reversed(&dx, axis);
        }
        let step = range.step.unsigned_abs() as usize;
        // The first element in the input's order, and how far the last reaches.
        let span = (range.count - 1) * step + 1;
        let first = if range.step < 0 { range.start + 1 - span } else { range.start };
        if step > 1 && axis + 1 == shape.len() && tape.scatters(range.count, shape[axis]) {
            dx = tape.scattered(&dx, [first, step, shape[axis]]);
            break;
        }
        dx = apart(tape, &dx, axis, step);
        dx = tape.between_zeros(&dx, axis, first, shape[axis] - first - span);
    }
    tape.add(&x, dx);
    Ok(())
}

/// `x` with `step - 1` zeros between neighbours along `axis`.
fn apart(tape: &mut Tape, x: &str, axis: usize, step: usize) -> String {
    let shape = tape.own(x);
    if step == 1 || shape[axis] == 1 {
        return x.to_owned();
    }
    let mut split = shape.clone();
    split.insert(axis + 1, 1);
    let columns = tape.reshape(x, &split);
    let columns = tape.between_zeros(&columns, axis + 1, 0, step - 1);
    let mut long = shape.clone();
    long[axis] *= step;
    let long = tape.reshape(&columns, &long);
    tape.part(&long, axis, 0, (shape[axis] - 1) * step + 1)
}

/// `Tile`: what was repeated is summed.
pub(super) fn tile(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let (shape, tiled) = (tape.shape(node, &x)?, tape.own(dy));
    let split: Vec<usize> =
        shape.iter().zip(&tiled).flat_map(|(&d, &t)| [t.checked_div(d).unwrap_or(0), d]).collect();
    let rows = tape.reshape(dy, &split);
    let axes: Vec<usize> = (0..shape.len()).map(|i| 2 * i).collect();
    let sum = tape.sum(&rows, &axes, false);
    let dx = tape.reshape(&sum, &shape);
    tape.add(&x, dx);
    Ok(())
}

/// `DepthToSpace` and `SpaceToDepth`: each turns the other back.
pub(super) fn blocks(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let [n, c, h, w] = tape.picture(node, &x)?;
    let size = node.int("blocksize").and_then(|b| usize::try_from(b).ok()).unwrap_or(0).max(1);
    let columns_first = node.string("mode").unwrap_or("DCR") == "CRD";
    let dx = match (node.op_type.as_str(), columns_first) {
        // y[n, b, b, c, h, w] = x[n, c, h, b, w, b]
        ("SpaceToDepth", _) => {
            let dy = tape.reshape(dy, &[n, size, size, c, h / size, w / size]);
            tape.transpose(&dy, &[0, 3, 4, 1, 5, 2])
        }
        // y[n, c, h, b, w, b] = x[n, b, b, c, h, w], or x[n, c, b, b, h, w]
        (_, columns_first) => {
            let dy = tape.reshape(dy, &[n, c / (size * size), h, size, w, size]);
            let order = if columns_first { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
            tape.transpose(&dy, &order)
        }
    };
    let dx = tape.reshape(&dx, &[n, c, h, w]);
    tape.add(&x, dx);
    Ok(())
}

/// `Cast` between types of floats; a cast to another type has no slope, and no gradient gets here.
pub(super) fn cast(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    if node.int("to") != Some(crate::proto::DataType::Float as i64) {
        return Err(node.error(ErrorKind::Unsupported, "has a gradient between tensors of `f32` alone"));
    }
    same_elements(tape, node, dy)
}

/// The node's `axis`, or `default`, counted from the first of `rank`.
///
/// # Errors
/// `InvalidModel` when there is no such axis.
pub(super) fn axis(node: &NodeProto, default: i64, rank: usize) -> Result<usize> {
    resolve_axis(node.int("axis").unwrap_or(default), rank)
        .ok_or_else(|| node.error(ErrorKind::InvalidModel, "has an axis that its input lacks"))
}
