//! The gradient of a convolution's weights.

use super::Geometry;
use crate::gradient::FUSED_DOMAIN;
use crate::gradient::tape::{Tape, plain, transposed};
use crate::proto::NodeProto;

/// Shifted pictures are joined into one matrix up to this size; beyond it, into several.
const LARGEST_MATRIX: usize = 32 << 20;

/// The gradient of the weights: `dy`, as a matrix of channels by pixels, times the pictures shifted to each tap of
/// the kernel, as a matrix of channels and taps by pixels, transposed.
///
/// There is one such product an image, to be summed, or one for the whole batch after channels and images have
/// changed places: whichever moves less memory. In both the taps stand behind the channels, so that the product has
/// the layout of the weights.
pub(super) fn gradient(tape: &mut Tape, g: &Geometry, x: &str, dy: &str) -> String {
    if g.is_depthwise() && tape.fused && g.window.dilations == [1; 2] {
        return depthwise(tape, g, x, dy);
    }
    let [outputs, inner, kh, kw] = g.weight;
    let summed = outputs * inner * kh * kw;
    let swapped = outputs * g.pixels() + g.x[1] * g.x[2] * g.x[3];
    let product = if g.groups > 1 || summed < swapped {
        image_by_image(tape, g, x, dy)
    } else {
        at_once(tape, g, x, dy)
    };
    tape.reshape(&product, &g.weight)
}

/// `Σ over images of dy[groups, O / groups, P] · columns[groups, C / groups · taps, P]ᵀ`
fn image_by_image(tape: &mut Tape, g: &Geometry, x: &str, dy: &str) -> String {
    let [batch, channels, ..] = g.x;
    let (inner, outer) = (g.weight[1], g.weight[0] / g.groups);
    let dy = tape.reshape(dy, &[batch, g.groups, outer, g.pixels()]);
    let mut parts = Vec::new();
    for shifted in shifted_pictures(tape, g, x, &[batch, channels, 1, g.pixels()]) {
        let taps = shifted.len();
        let columns = joined(tape, &shifted, 2);
        let columns = tape.reshape(&columns, &[batch, g.groups, inner * taps, g.pixels()]);
        let product = tape.product(plain(&dy), transposed(&columns));
        let sum = tape.sum(&product, &[0], false);
        parts.push(tape.reshape(&sum, &[g.weight[0], inner, taps]));
    }
    joined(tape, &parts, 2)
}

/// `dy[O, N · P] · columns[C · taps, N · P]ᵀ`
fn at_once(tape: &mut Tape, g: &Geometry, x: &str, dy: &str) -> String {
    let [batch, channels, ..] = g.x;
    let [outputs, ..] = g.weight;
    let places = batch * g.pixels();
    let dy = tape.transpose(dy, &[1, 0, 2, 3]);
    let dy = tape.reshape(&dy, &[outputs, places]);
    let x = tape.transpose(x, &[1, 0, 2, 3]);
    let mut parts = Vec::new();
    for shifted in shifted_pictures(tape, g, &x, &[channels, 1, places]) {
        let taps = shifted.len();
        let columns = joined(tape, &shifted, 1);
        let columns = tape.reshape(&columns, &[channels * taps, places]);
        let product = tape.product(plain(&dy), transposed(&columns));
        parts.push(tape.reshape(&product, &[outputs, channels, taps]));
    }
    joined(tape, &parts, 2)
}

/// The pictures as each tap of the kernel sees them, under `shape`, in groups that are joined into one matrix.
fn shifted_pictures(tape: &mut Tape, g: &Geometry, x: &str, shape: &[usize]) -> Vec<Vec<String>> {
    let w = &g.window;
    let padded = tape.padded(x, w.before, w.after);
    let mut shifted = Vec::new();
    for row in 0..w.kernel[0] {
        for column in 0..w.kernel[1] {
            let start = [row * w.dilations[0], column * w.dilations[1]];
            let part = tape.pixels(&padded, start, [g.y[2], g.y[3]], w.strides);
            shifted.push(tape.reshape(&part, shape));
        }
    }
    let size: usize = shape.iter().product();
    let together = (LARGEST_MATRIX / size.max(1)).clamp(1, shifted.len());
    shifted.chunks(together).map(<[String]>::to_vec).collect()
}

/// The parts joined along an axis.
fn joined(tape: &mut Tape, parts: &[String], axis: usize) -> String {
    if let [only] = parts {
        return only.clone();
    }
    let mut shape = tape.own(&parts[0]);
    shape[axis] = parts.iter().map(|p| tape.own(p)[axis]).sum();
    let inputs: Vec<&str> = parts.iter().map(String::as_str).collect();
    tape.one(NodeProto::new("Concat", &inputs, &[]).with("axis", axis as i64), shape)
}

fn depthwise(tape: &mut Tape, g: &Geometry, x: &str, dy: &str) -> String {
    let integers = |values: [usize; 2]| values.map(|v| v as i64).to_vec();
    let node = NodeProto::new("DepthwiseConvGradWeight", &[x, dy], &[])
        .of_domain(FUSED_DOMAIN)
        .with("kernel_shape", integers(g.window.kernel))
        .with("strides", integers(g.window.strides))
        .with("pads", [integers(g.window.before), integers(g.window.after)].concat());
    tape.one(node, g.weight.to_vec())
}
