//! The gradient of a convolution's weights.

use super::Geometry;
use crate::gradient::FUSED_DOMAIN;
use crate::gradient::tape::{Tape, plain, transposed};
use crate::proto::NodeProto;
use crate::window::integers;

/// Shifted pictures are joined into one matrix up to this size, 256 MiB; beyond it, into several.
const LARGEST_MATRIX: usize = 64 << 20;

/// Weights of a convolution of few channels: 32 by 32, three by three.
const MOST_WEIGHTS: usize = 32 * 32 * 9;
/// Pixels of its planes: more than the sums that each touches, and four of them in a core's own cache.
const LEAST_PIXELS: usize = 128;
const MOST_PIXELS: usize = 64 * 64;

/// The gradient of the weights: `dy`, as a matrix of channels by pixels, times the pictures shifted to each tap of
/// the kernel, as a matrix of channels and taps by pixels, transposed.
///
/// A convolution of few channels has an operator for all of it ([`is_small`]). Of others
/// there is one such product an image, to be summed, or one for the whole batch after channels and images have
/// changed places: whichever moves less memory. In both the taps stand behind the channels, so that the product has
/// the layout of the weights.
pub(super) fn gradient(tape: &mut Tape, g: &Geometry, x: &str, dy: &str) -> String {
    if g.is_depthwise() && tape.fused && g.window.dilations == [1; 2] {
        return depthwise(tape, g, x, dy);
    }
    if is_small(g) && tape.fused {
        let node = NodeProto::new("ConvGradWeight", &[x, dy], &[]).of_domain(FUSED_DOMAIN);
        return tape.one(g.window.write(node), g.weight.to_vec());
    }
    let [_, inner, kh, kw] = g.weight;
    // Summed an image: O · C · taps. Swapped an image: O · P, and the pictures on the way to their matrix anyhow.
    let product = if g.groups > 1 || inner * kh * kw < g.pixels() {
        image_by_image(tape, g, x, dy)
    } else {
        at_once(tape, g, x, dy)
    };
    tape.reshape(&product, &g.weight)
}

/// Whether writing the matrix of shifted pictures would take longer than the product with it: where few channels read it. The
/// sums that the operator keeps, eight for each weight, and the planes that it multiplies must fit the caches.
fn is_small(g: &Geometry) -> bool {
    let weights: usize = g.weight.iter().product();
    let taps = g.window.kernel.iter().product::<usize>();
    g.groups == 1
        && g.window.dilations == [1; 2]
        && taps > 1
        && weights <= MOST_WEIGHTS
        && (LEAST_PIXELS..=MOST_PIXELS).contains(&g.pixels())
}

/// `Σ over images of dy[groups, O / groups, P] · columns[groups, C / groups · taps, P]ᵀ`
fn image_by_image(tape: &mut Tape, g: &Geometry, x: &str, dy: &str) -> String {
    let [batch, channels, ..] = g.x;
    let (inner, outer) = (g.weight[1], g.weight[0] / g.groups);
    let dy = tape.reshape(dy, &[batch, g.groups, outer, g.pixels()]);
    let mut parts = Vec::new();
    for columns in columns(tape, g, x, &[batch, channels, 1, g.pixels()]) {
        let taps = tape.own(&columns).iter().product::<usize>() / (batch * channels * g.pixels());
        let columns = tape.reshape(&columns, &[batch, g.groups, inner * taps, g.pixels()]);
        let product = tape.product(plain(&dy), transposed(&columns));
        let sum = tape.sum(&product, &[0], false);
        parts.push(tape.reshape(&sum, &[g.weight[0], inner, taps]));
    }
    tape.joined(&parts, 2)
}

/// `dy[O, N · P] · columns[C · taps, N · P]ᵀ`
fn at_once(tape: &mut Tape, g: &Geometry, x: &str, dy: &str) -> String {
    let [batch, channels, ..] = g.x;
    let [outputs, ..] = g.weight;
    let places = batch * g.pixels();
    let dy = tape.transpose(dy, &[1, 0, 2, 3]);
    let dy = tape.reshape(&dy, &[outputs, places]);
    let mut parts = Vec::new();
    for columns in columns(tape, g, x, &[channels, 1, places]) {
        let taps = tape.own(&columns).iter().product::<usize>() / (channels * places);
        let columns = tape.reshape(&columns, &[channels * taps, places]);
        let product = tape.product(plain(&dy), transposed(&columns));
        parts.push(tape.reshape(&product, &[outputs, channels, taps]));
    }
    tape.joined(&parts, 2)
}

/// Matrices of the pictures as the taps of the kernel see them, each of `shape` for one tap; with more taps the axis
/// of 1 is longer, or joined with the channels before it. Without images as the first axis, channels come first.
fn columns(tape: &mut Tape, g: &Geometry, x: &str, shape: &[usize]) -> Vec<String> {
    let axis = shape.len() - 2;
    let images_first = axis == 2;
    let taps = g.window.kernel.iter().product::<usize>();
    let size: usize = shape.iter().product();
    // A 1×1 kernel's are the pictures themselves.
    if tape.fused && taps > 1 && size * taps <= LARGEST_MATRIX {
        return vec![fused_columns(tape, g, x, images_first)];
    }
    let x = if images_first { x.to_owned() } else { tape.transpose(x, &[1, 0, 2, 3]) };
    let shifted = shifted_pictures(tape, g, &x, shape);
    let together = (LARGEST_MATRIX / size.max(1)).clamp(1, taps);
    shifted.chunks(together).map(|part| tape.joined(part, axis)).collect()
}

fn fused_columns(tape: &mut Tape, g: &Geometry, x: &str, images_first: bool) -> String {
    let [batch, channels, ..] = g.x;
    let rows = channels * g.window.kernel.iter().product::<usize>();
    let node = NodeProto::new("Columns", &[x], &[]).of_domain(FUSED_DOMAIN);
    let node = g
        .window
        .write(node)
        .with("dilations", integers(g.window.dilations))
        .with("images", i64::from(images_first));
    let shape = if images_first { vec![batch, rows, g.pixels()] } else { vec![rows, batch * g.pixels()] };
    tape.one(node, shape)
}

/// The pictures as each tap of the kernel sees them, under `shape`.
fn shifted_pictures(tape: &mut Tape, g: &Geometry, x: &str, shape: &[usize]) -> Vec<String> {
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
    shifted
}

fn depthwise(tape: &mut Tape, g: &Geometry, x: &str, dy: &str) -> String {
    let node = NodeProto::new("DepthwiseConvGradWeight", &[x, dy], &[]).of_domain(FUSED_DOMAIN);
    tape.one(g.window.write(node), g.weight.to_vec())
}
