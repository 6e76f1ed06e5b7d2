//! The shapes of what operators take out of tensors or lay out anew. A shape that does not fit is not known here: ONNX
//! Runtime says what is wrong with it.

use tintype_core::Result;

use crate::gradient::linear::einsum::Equation;
use crate::proto::NodeProto;
use crate::shape::{Shapes, broadcast, elements, resolve_axis, sliced};

/// The shape of `node`'s output; `None` when it does not follow.
pub(super) fn output(node: &NodeProto, shapes: &Shapes) -> Result<Option<Vec<usize>>> {
    let found = match node.standard_op().unwrap_or_default() {
        "ArgMax" | "ArgMin" => arg(node, shapes),
        "ConstantOfShape" => list(node, shapes, 0).and_then(|sizes| sizes_of(&sizes)),
        "DepthToSpace" | "SpaceToDepth" => blocks(node, shapes),
        "Einsum" => einsum(node, shapes),
        "Expand" => expand(node, shapes),
        "Gather" => gather(node, shapes),
        "GatherND" => gather_nd(node, shapes),
        "GatherElements" => input(node, shapes, 1).map(<[usize]>::to_vec),
        "Pad" => pad(node, shapes),
        "Resize" | "Upsample" => resize(node, shapes),
        "Shape" => shape(node, shapes),
        "Size" => Some(Vec::new()),
        "Slice" => slice(node, shapes),
        "Tile" => tile(node, shapes),
        _ => None,
    };
    Ok(found.filter(|shape| elements(shape).is_some()))
}

fn input<'a>(node: &NodeProto, shapes: &'a Shapes, index: usize) -> Option<&'a [usize]> {
    shapes.get(node.input_name(index)?)
}

fn list(node: &NodeProto, shapes: &Shapes, index: usize) -> Option<Vec<i64>> {
    shapes.integers(node.input_name(index)?).map(<[i64]>::to_vec)
}

/// A list that an input gives, or an attribute; the inner `None` where neither does.
fn given(node: &NodeProto, shapes: &Shapes, index: usize, attribute: &str) -> Option<Option<Vec<i64>>> {
    match node.input_name(index) {
        Some(_) => list(node, shapes, index).map(Some),
        None => Some(node.ints(attribute).map(<[i64]>::to_vec)),
    }
}

fn sizes_of(values: &[i64]) -> Option<Vec<usize>> {
    values.iter().map(|&v| usize::try_from(v).ok()).collect()
}

/// The shapes of the parts of a `Split`.
pub(super) fn split(node: &NodeProto, shapes: &Shapes) -> Option<Vec<Vec<usize>>> {
    let x = input(node, shapes, 0)?;
    let axis = resolve_axis(node.int("axis").unwrap_or(0), x.len())?;
    let counts = match given(node, shapes, 1, "split")? {
        Some(counts) => sizes_of(&counts)?,
        None => {
            let parts = node.output.len();
            let each = x[axis].div_ceil(parts.max(1));
            (0..parts).map(|i| each.min(x[axis].saturating_sub(i * each))).collect()
        }
    };
    let part = |&count: &usize| {
        let mut shape = x.to_vec();
        shape[axis] = count;
        shape
    };
    (counts.iter().sum::<usize>() == x[axis]).then(|| counts.iter().map(part).collect())
}

fn shape(node: &NodeProto, shapes: &Shapes) -> Option<Vec<usize>> {
    Some(vec![shapes.integers(node.output_name(0)?)?.len()])
}

fn expand(node: &NodeProto, shapes: &Shapes) -> Option<Vec<usize>> {
    broadcast(input(node, shapes, 0)?, &sizes_of(&list(node, shapes, 1)?)?)
}

fn gather(node: &NodeProto, shapes: &Shapes) -> Option<Vec<usize>> {
    let (x, indices) = (input(node, shapes, 0)?, input(node, shapes, 1)?);
    let axis = resolve_axis(node.int("axis").unwrap_or(0), x.len())?;
    Some([&x[..axis], indices, &x[axis + 1..]].concat())
}

fn gather_nd(node: &NodeProto, shapes: &Shapes) -> Option<Vec<usize>> {
    let (x, indices) = (input(node, shapes, 0)?, input(node, shapes, 1)?);
    let (depth, places) = indices.split_last()?;
    let batch = usize::try_from(node.int("batch_dims").unwrap_or(0)).ok()?;
    Some([places, x.get(batch + depth..)?].concat())
}

fn slice(node: &NodeProto, shapes: &Shapes) -> Option<Vec<usize>> {
    let (starts, ends) = (given(node, shapes, 1, "starts")??, given(node, shapes, 2, "ends")??);
    let (axes, steps) = (given(node, shapes, 3, "axes")?, given(node, shapes, 4, "steps")?);
    let taken = sliced(input(node, shapes, 0)?, &starts, &ends, axes.as_deref(), steps.as_deref())?;
    Some(taken.iter().map(|t| t.count).collect())
}

fn pad(node: &NodeProto, shapes: &Shapes) -> Option<Vec<usize>> {
    let x = input(node, shapes, 0)?;
    let pads = given(node, shapes, 1, "pads")??;
    let axes = match node.input_name(3) {
        Some(_) => list(node, shapes, 3)?.iter().map(|&a| resolve_axis(a, x.len())).collect::<Option<_>>()?,
        None => (0..x.len()).collect::<Vec<_>>(),
    };
    let mut sizes: Vec<i64> = x.iter().map(|&d| d as i64).collect();
    for (i, &axis) in axes.iter().enumerate() {
        sizes[axis] = sizes[axis].checked_add(*pads.get(i)?)?.checked_add(*pads.get(axes.len() + i)?)?;
    }
    sizes_of(&sizes)
}

fn tile(node: &NodeProto, shapes: &Shapes) -> Option<Vec<usize>> {
    let (x, repeats) = (input(node, shapes, 0)?, sizes_of(&list(node, shapes, 1)?)?);
    (repeats.len() == x.len()).then(|| x.iter().zip(&repeats).map(|(d, r)| d.saturating_mul(*r)).collect())
}

fn resize(node: &NodeProto, shapes: &Shapes) -> Option<Vec<usize>> {
    let x = input(node, shapes, 0)?;
    if node.attribute("axes").is_some() {
        return None;
    }
    if let Some(sizes) = list(node, shapes, 3) {
        return sizes_of(&sizes).filter(|sizes| sizes.len() == x.len());
    }
    let scales = shapes.floats(node.input_name(if node.op_type == "Upsample" { 1 } else { 2 })?)?;
    let size = |(&d, &s): (&usize, &f32)| (d as f64 * f64::from(s)).floor() as usize;
    (scales.len() == x.len()).then(|| x.iter().zip(scales).map(size).collect())
}

fn arg(node: &NodeProto, shapes: &Shapes) -> Option<Vec<usize>> {
    let mut shape = input(node, shapes, 0)?.to_vec();
    let axis = resolve_axis(node.int("axis").unwrap_or(0), shape.len())?;
    if node.int("keepdims").unwrap_or(1) != 0 {
        shape[axis] = 1;
    } else {
        shape.remove(axis);
    }
    Some(shape)
}

fn blocks(node: &NodeProto, shapes: &Shapes) -> Option<Vec<usize>> {
    let &[n, c, h, w] = input(node, shapes, 0)? else { return None };
    let size = node.int("blocksize").and_then(|b| usize::try_from(b).ok()).filter(|&b| b > 0)?;
    let square = size.checked_mul(size)?;
    match node.op_type.as_str() {
        "DepthToSpace" => (c % square == 0).then(|| vec![n, c / square, h * size, w * size]),
        _ => (h % size == 0 && w % size == 0).then(|| vec![n, c * square, h / size, w / size]),
    }
}

fn einsum(node: &NodeProto, shapes: &Shapes) -> Option<Vec<usize>> {
    let inputs: Vec<&[usize]> =
        (0..node.input.len()).map(|i| input(node, shapes, i)).collect::<Option<_>>()?;
    Equation::of(node)?.shape(&inputs)
}
