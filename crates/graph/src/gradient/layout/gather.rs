//! Operators that may send one element to several places: its gradient is the sum over them.

use tintype_core::{ErrorKind, Result};

use super::axis;
use crate::gradient::tape::{Tape, plain};
use crate::proto::NodeProto;
use crate::shape::resolve_axis;

/// `y = x[…, indices, …]` along an axis.
pub(in crate::gradient) fn gather(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let (shape, indices) = (tape.shape(node, &x)?, &node.input[1]);
    let picked: usize = tape.shape(node, indices)?.iter().product();
    let axis = axis(node, 0, shape.len())?;
    let mut rows = shape.clone();
    rows[axis] = picked;
    let dy = tape.reshape(dy, &rows);
    let only = tape.stored(indices).filter(|i| i.len() == 1).and_then(|i| resolve_axis(i[0], shape[axis]));
    let dx = match only {
        Some(only) => tape.between_zeros(&dy, axis, only, shape[axis] - only - 1),
        None => {
            let mut column = vec![1; shape.len()];
            column[axis] = picked;
            let places = tape.reshape(indices, &column);
            let places = tape.expanded(&places, &rows);
            scattered(tape, &places, &dy, axis, &shape)
        }
    };
    tape.add(&x, dx);
    Ok(())
}

/// `y[…, i, …] = x[…, indices[…, i, …], …]`
pub(in crate::gradient) fn gather_elements(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let shape = tape.shape(node, &x)?;
    let axis = axis(node, 0, shape.len())?;
    let dx = scattered(tape, &node.input[1], dy, axis, &shape);
    tape.add(&x, dx);
    Ok(())
}

/// `y[i] = x[indices[i][0], indices[i][1], …]`
pub(in crate::gradient) fn gather_nd(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    if node.int("batch_dims").unwrap_or(0) != 0 {
        return Err(node.error(ErrorKind::Unsupported, "has no gradient with `batch_dims`"));
    }
    let shape = tape.shape(node, &x)?;
    let zeros = tape.zeros(&shape);
    let scatter = NodeProto::new("ScatterND", &[&zeros, &node.input[1], dy], &[]).with("reduction", "add");
    let dx = tape.one(scatter, shape);
    tape.add(&x, dx);
    Ok(())
}

/// `CumSum`: a sum from the other end.
pub(in crate::gradient) fn cumulative_sum(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let reverse = node.int("reverse").unwrap_or(0) == 0;
    let again = NodeProto::new("CumSum", &[dy, &node.input[1]], &[])
        .with("exclusive", node.int("exclusive").unwrap_or(0))
        .with("reverse", i64::from(reverse));
    let shape = tape.own(dy);
    let dx = tape.one(again, shape);
    tape.contribute(node, 0, &dx)
}

/// Zeros of `shape`, to which `values` are added at their places along `axis`.
fn scattered(tape: &mut Tape, places: &str, values: &str, axis: usize, shape: &[usize]) -> String {
    let zeros = tape.zeros(shape);
    let node = NodeProto::new("ScatterElements", &[&zeros, places, values], &[])
        .with("reduction", "add")
        .with("axis", axis as i64);
    tape.one(node, shape.to_vec())
}

/// `Pad`: what lies within; the borders of the modes `reflect`, `edge` and `wrap` go back to where they are from.
pub(in crate::gradient) fn pad(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let (shape, padded) = (tape.shape(node, &x)?, tape.own(dy));
    let pads = match node.input_name(1) {
        Some(name) => tape.stored(name),
        None => node.ints("pads").map(<[i64]>::to_vec),
    };
    let axes = node.input_name(3).map(|name| tape.stored(name));
    let unknown = || node.error(ErrorKind::Unsupported, "has borders that do not follow from the graph");
    let pads = pads.filter(|_| axes != Some(None)).ok_or_else(unknown)?;
    let before = before(&pads, axes.flatten().as_deref(), shape.len()).ok_or_else(unknown)?;
    let mode = node.string("mode").unwrap_or("constant");
    let mut dx = dy.to_owned();
    for axis in 0..shape.len() {
        let (size, wide) = (shape[axis] as i64, padded[axis] as i64);
        if before[axis] == 0 && size == wide {
            continue;
        }
        // For each place of the output, the place of the input that it shows.
        let source = |place: i64| -> Option<usize> {
            let at = place - before[axis];
            let within = match mode {
                "edge" => at.clamp(0, size - 1),
                "reflect" if at < 0 => -at,
                "reflect" if at >= size => 2 * (size - 1) - at,
                "wrap" => at.rem_euclid(size),
                _ => at,
            };
            usize::try_from(within).ok().filter(|&i| i < shape[axis])
        };
        if mode == "constant" {
            let (start, end) = (before[axis].max(0), (before[axis] + size).min(wide));
            let cut = tape.part(&dx, axis, start as usize, (end - start).max(0) as usize);
            let (hidden, after) = ((-before[axis]).max(0), (before[axis] + size - wide).max(0));
            dx = tape.between_zeros(&cut, axis, hidden as usize, after as usize);
        } else {
            let mut matrix = vec![0.0; shape[axis] * padded[axis]];
            for place in 0..padded[axis] {
                let source = source(place as i64).ok_or_else(unknown)?;
                matrix[source * padded[axis] + place] = 1.0;
            }
            dx = along(tape, &dx, axis, shape[axis], &matrix);
        }
    }
    tape.add(&x, dx);
    Ok(())
}

/// The borders before each axis.
fn before(pads: &[i64], axes: Option<&[i64]>, rank: usize) -> Option<Vec<i64>> {
    let Some(axes) = axes else { return (pads.len() == 2 * rank).then(|| pads[..rank].to_vec()) };
    let mut before = vec![0; rank];
    for (&axis, &pad) in axes.iter().zip(pads) {
        before[resolve_axis(axis, rank)?] = pad;
    }
    (pads.len() == 2 * axes.len()).then_some(before)
}

/// `matrix` `[size, elements of x along axis]` times `x` along `axis`.
pub(in crate::gradient) fn along(
    tape: &mut Tape,
    x: &str,
    axis: usize,
    size: usize,
    matrix: &[f32],
) -> String {
    let shape = tape.own(x);
    let (outer, inner) = (shape[..axis].iter().product(), shape[axis + 1..].iter().product());
    let matrix = tape.constant(&[size, shape[axis]], matrix);
    let columns = tape.reshape(x, &[outer, shape[axis], inner]);
    let product = tape.product(plain(&matrix), plain(&columns));
    let mut result = shape;
    result[axis] = size;
    tape.reshape(&product, &result)
}
