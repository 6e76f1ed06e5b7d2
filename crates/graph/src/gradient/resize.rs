//! Resizing. Along each axis it is a product with a matrix that follows from the sizes; its gradient is one with that
//! matrix transposed. The matrix is that of ONNX's definition of `Resize`.

use tintype_core::{ErrorKind, Result};

use super::layout::gather::along;
use super::tape::Tape;
use crate::proto::NodeProto;

/// `Resize` and `Upsample` of the modes `nearest` and `linear`.
pub(super) fn resize(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let (shape, large) = (tape.shape(node, &x)?, tape.own(dy));
    let is_usual = node.int("antialias").unwrap_or(0) == 0
        && node.string("keep_aspect_ratio_policy").is_none_or(|p| p == "stretch");
    let scales = scales(tape, node, &shape, &large);
    let mut dx = dy.to_owned();
    for axis in 0..shape.len() {
        // A factor may leave the size as it is and yet move what is between the pixels.
        if shape[axis] == large[axis] && scales.as_ref().is_none_or(|scales| scales[axis] == 1.0) {
            continue;
        }
        let weights = |place| weights(node, place, scales.as_ref()?[axis], [shape[axis], large[axis]]);
        let matrix = (0..large[axis]).map(weights).collect::<Option<Vec<_>>>();
        let matrix = matrix.filter(|_| is_usual).ok_or_else(|| {
            node.error(ErrorKind::Unsupported, "has no gradient in its mode of interpolation")
        })?;
        let mut transposed = vec![0.0; shape[axis] * large[axis]];
        for (place, weights) in matrix.iter().enumerate() {
            for &(source, weight) in weights {
                transposed[source * large[axis] + place] += weight;
            }
        }
        dx = along(tape, &dx, axis, shape[axis], &transposed);
    }
    tape.add(&x, dx);
    Ok(())
}

/// The factor of each axis: that of the file, or that of the sizes where the file gives sizes.
fn scales(tape: &Tape, node: &NodeProto, shape: &[usize], large: &[usize]) -> Option<Vec<f64>> {
    let ratios = || shape.iter().zip(large).map(|(&s, &l)| l as f64 / s as f64).collect();
    let given = node.input_name(if node.op_type == "Upsample" { 1 } else { 2 });
    match given {
        None => node.attribute("axes").is_none().then(ratios),
        // An empty list stands for none.
        Some(name) => match tape.numbers(name)? {
            [] => Some(ratios()),
            scales if scales.len() == shape.len() => Some(scales.iter().map(|&s| f64::from(s)).collect()),
            _ => None,
        },
    }
}

/// What `place` of the result is made of: places of the input with their weights. `None` for an unknown mode.
fn weights(
    node: &NodeProto,
    place: usize,
    scale: f64,
    [size, large]: [usize; 2],
) -> Option<[(usize, f32); 2]> {
    let at = place as f64;
    let mode = if node.op_type == "Upsample" { "asymmetric" } else { "half_pixel" };
    let from = match node.string("coordinate_transformation_mode").unwrap_or(mode) {
        "half_pixel" => (at + 0.5) / scale - 0.5,
        // It differs where the factor leaves a part of a pixel over.
        "half_pixel_symmetric" if (scale * size as f64 - large as f64).abs() < 1e-4 => {
            (at + 0.5) / scale - 0.5
        }
        "pytorch_half_pixel" if large > 1 => (at + 0.5) / scale - 0.5,
        "pytorch_half_pixel" => 0.0,
        "align_corners" if large > 1 => at * (size - 1) as f64 / (large - 1) as f64,
        "align_corners" => 0.0,
        "asymmetric" => at / scale,
        _ => return None,
    };
    let last = (size - 1) as f64;
    match node.string("mode").unwrap_or("nearest") {
        "nearest" => {
            let mode = if node.op_type == "Upsample" { "floor" } else { "round_prefer_floor" };
            let source = match node.string("nearest_mode").unwrap_or(mode) {
                "round_prefer_floor" => (from - 0.5).ceil(),
                "round_prefer_ceil" => (from + 0.5).floor(),
                "floor" => from.floor(),
                "ceil" => from.ceil(),
                _ => return None,
            };
            Some([(source.clamp(0.0, last) as usize, 1.0), (0, 0.0)])
        }
        "linear" => {
            let from = from.clamp(0.0, last);
            let share = from - from.floor();
            let next = (from.floor() + 1.0).min(last) as usize;
            Some([(from as usize, (1.0 - share) as f32), (next, share as f32)])
        }
        _ => None,
    }
}
