//! The gradient of a convolution's input.

use super::Geometry;
use crate::gradient::tape::{Tape, plain, transposed};
use crate::proto::NodeProto;
use crate::window::integers;

/// The gradient of the input; `None` when windows at the start would lie in the padding altogether.
///
/// A 1×1 convolution's is a matrix product. Others are convolutions of `dy` with the kernels turned round and input
/// and output channels swapped; a stride first puts zeros between the pixels of `dy`. Where ONNX Runtime's
/// `ConvTranspose` does the latter without the zeros (one group), it does.
pub(super) fn gradient(tape: &mut Tape, g: &Geometry, weight: &str, dy: &str) -> Option<String> {
    let [batch, channels, height, width] = g.x;
    let [_, outputs, ..] = g.y;
    if g.window.is_point() && g.groups == 1 {
        let kernel = tape.reshape(weight, &[outputs, channels]);
        let dy = tape.reshape(dy, &[batch, outputs, height * width]);
        let dx = tape.product(transposed(&kernel), plain(&dy));
        return Some(tape.reshape(&dx, &g.x));
    }
    if g.window.strides != [1; 2]
        && g.groups == 1
        && let Some(dx) = transposed_convolution(tape, g, weight, dy)
    {
        return Some(dx);
    }
    let mut before = [0; 2];
    let mut after = [0; 2];
    let mut kept = [0; 2];
    for i in 0..2 {
        let (size, stride) = ([height, width][i], g.window.strides[i]);
        before[i] = (g.window.extent(i) - 1).checked_sub(g.window.before[i])?;
        // Rows of zeros behind the last pixel count as padding; rows beyond come from windows in the padding.
        let needed = size + g.window.before[i];
        kept[i] = needed.min(g.y[2 + i] * stride);
        after[i] = needed - kept[i];
    }
    let stretched = with_zeros_between(tape, g, dy);
    let stretched = tape.pixels(&stretched, [0; 2], kept, [1; 2]);
    let kernel = turned(tape, g, weight);
    let node = NodeProto::new("Conv", &[&stretched, &kernel], &[])
        .with("pads", [integers(before), integers(after)].concat())
        .with("dilations", integers(g.window.dilations))
        .with("group", g.groups as i64);
    Some(tape.one(node, g.x.to_vec()))
}

fn transposed_convolution(tape: &mut Tape, g: &Geometry, weight: &str, dy: &str) -> Option<String> {
    let mut missing = Vec::new();
    for i in 0..2 {
        let spanned = (g.y[2 + i] - 1) * g.window.strides[i] + g.window.extent(i);
        let reached = spanned.checked_sub(g.window.before[i] + g.window.after[i])?;
        let rest = g.x[2 + i].checked_sub(reached).filter(|&rest| rest < g.window.strides[i])?;
        missing.push(rest as i64);
    }
    let node = NodeProto::new("ConvTranspose", &[dy, weight], &[])
        .with("strides", integers(g.window.strides))
        .with("dilations", integers(g.window.dilations))
        .with("pads", [integers(g.window.before), integers(g.window.after)].concat())
        .with("output_padding", missing);
    Some(tape.one(node, g.x.to_vec()))
}

/// `dy` with `stride - 1` zeros behind every pixel, down and across.
fn with_zeros_between(tape: &mut Tape, g: &Geometry, dy: &str) -> String {
    let [sh, sw] = g.window.strides;
    if [sh, sw] == [1, 1] {
        return dy.to_owned();
    }
    let [batch, channels, height, mut width] = g.y;
    let (mut dy, mut sw) = (dy.to_owned(), sw);
    if sw > 1 && tape.scatters(width, width * sw) {
        dy = tape.scattered(&dy, [0, sw, width * sw]);
        (width, sw) = (width * sw, 1);
    }
    let apart = tape.reshape(&dy, &[batch, channels, height, 1, width, 1]);
    let mut pads = vec![0i64; 12];
    (pads[9], pads[11]) = (sh as i64 - 1, sw as i64 - 1);
    let pads = tape.integers(&pads);
    let padded = tape.op("Pad", &[&apart, &pads], vec![batch, channels, height, sh, width, sw]);
    tape.reshape(&padded, &[batch, channels, height * sh, width * sw])
}

/// The kernels turned round, `[O, C / groups, kh, kw]` → `[C, O / groups, kh, kw]`.
fn turned(tape: &mut Tape, g: &Geometry, weight: &str) -> String {
    let [outputs, inner, kh, kw] = g.weight;
    let (outer, taps) = (outputs / g.groups, kh * kw);
    let flat = tape.reshape(weight, &[g.groups, outer, inner, taps]);
    let flipped = if taps == 1 {
        flat
    } else {
        let lists = [-1, i64::MIN, 3, -1].map(|v| tape.integers(&[v]));
        let inputs = [&flat, &lists[0], &lists[1], &lists[2], &lists[3]].map(String::as_str);
        tape.op("Slice", &inputs, vec![g.groups, outer, inner, taps])
    };
    let swapped = if outer == 1 || inner == 1 { flipped } else { tape.transpose(&flipped, &[0, 2, 1, 3]) };
    tape.reshape(&swapped, &[g.groups * inner, outer, kh, kw])
}
