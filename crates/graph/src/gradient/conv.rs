//! Convolution over pictures and over rows of pixels, and transposed convolution.
//!
//! The gradient of the bias is a sum; that of the input is a convolution again ([`input`]); that of the weights a
//! matrix product over shifted pictures ([`weight`]). Depthwise ones are looked at once more at the end ([`depthwise`]).

mod depthwise;
mod input;
mod weight;

use tintype_core::{ErrorKind, Result};

pub(super) use depthwise::fuse;

use super::tape::Tape;
use crate::proto::NodeProto;
use crate::window::{Window, integers};

/// The sizes of a convolution.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    window: Window,
    groups: usize,
    /// `[N, C, H, W]`
    x: [usize; 4],
    /// `[O, C / groups, kh, kw]`
    weight: [usize; 4],
    /// `[N, O, H', W']`
    y: [usize; 4],
}

impl Geometry {
    /// Pixels of a picture of the output.
    fn pixels(&self) -> usize {
        self.y[2] * self.y[3]
    }

    /// Whether every channel has a kernel of its own.
    fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.x[1] && self.groups == self.weight[0]
    }
}

/// `y = conv(x, weight) + bias`
pub(super) fn conv(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let (x, weight) = (&node.input[0], &node.input[1]);
    let (x_shape, weight_shape) = (picture(tape, node, x)?, picture(tape, node, weight)?);
    let window = Window::of(node, [weight_shape[2], weight_shape[3]], [x_shape[2], x_shape[3]])?;
    let geometry = Geometry {
        window,
        groups: x_shape[1].checked_div(weight_shape[1]).unwrap_or(0),
        x: x_shape,
        weight: weight_shape,
        y: picture(tape, node, &node.output[0])?,
    };
    if geometry.x.contains(&0) || geometry.y.contains(&0) || geometry.groups == 0 {
        return Err(node.error(ErrorKind::InvalidModel, "convolves nothing"));
    }
    bias(tape, node, dy);
    // A row of pixels is a picture of height 1.
    let (flat_x, flat_weight) = (tape.own(x), tape.own(weight));
    let (wide_x, wide_weight) = (tape.reshape(x, &geometry.x), tape.reshape(weight, &geometry.weight));
    let dy = tape.reshape(dy, &geometry.y);
    if tape.wants(node, 1).is_some() {
        let gradient = weight::gradient(tape, &geometry, &wide_x, &dy);
        let gradient = tape.reshape(&gradient, &flat_weight);
        tape.add(weight, gradient);
    }
    if tape.wants(node, 0).is_some() {
        let gradient = input::gradient(tape, &geometry, &wide_weight, &dy).ok_or_else(|| {
            node.error(ErrorKind::Unsupported, "has no gradient with more padding than its window covers")
        })?;
        let gradient = tape.reshape(&gradient, &flat_x);
        tape.add(x, gradient);
    }
    Ok(())
}

/// `y = transposed convolution of x + bias`: the gradient of a convolution with the same weights that reads y and makes
/// x, so that the roles of the two change places. `dx` is that convolution of `dy`.
pub(super) fn transposed(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let (x, weight) = (&node.input[0], &node.input[1]);
    let (x_shape, y_shape) = (tape.picture(node, x)?, tape.picture(node, &node.output[0])?);
    let weight_shape = tape.picture(node, weight)?;
    let window = Window::transposed(node, [weight_shape[2], weight_shape[3]], [x_shape[2], x_shape[3]])?;
    let groups = y_shape[1].checked_div(weight_shape[1]).unwrap_or(0);
    let geometry = Geometry { window, groups, x: y_shape, weight: weight_shape, y: x_shape };
    if geometry.x.contains(&0) || geometry.y.contains(&0) || groups == 0 {
        return Err(node.error(ErrorKind::InvalidModel, "convolves nothing"));
    }
    bias(tape, node, dy);
    if tape.wants(node, 1).is_some() {
        let gradient = weight::gradient(tape, &geometry, dy, x);
        tape.add(weight, gradient);
    }
    if tape.wants(node, 0).is_some() {
        let again = window
            .write(NodeProto::new("Conv", &[dy, weight], &[]))
            .with("dilations", integers(window.dilations))
            .with("group", groups as i64);
        let gradient = tape.one(again, x_shape.to_vec());
        tape.add(x, gradient);
    }
    Ok(())
}

fn bias(tape: &mut Tape, node: &NodeProto, dy: &str) {
    if let Some(bias) = tape.wants(node, 2) {
        let gradient = tape.sum_to_channels(dy);
        tape.add(&bias, gradient);
    }
}

/// The shape of a picture, or of a row of pixels as a picture of height 1.
fn picture(tape: &Tape, node: &NodeProto, name: &str) -> Result<[usize; 4]> {
    match tape.shape(node, name)?[..] {
        [n, c, w] => Ok([n, c, 1, w]),
        _ => tape.picture(node, name),
    }
}

/// The gradient of the input `x` of a depthwise convolution with the kernels `[C, 1, kh, kw]`: every pixel of `dy`
/// is spread over the window that it came from.
pub(super) fn spread(
    tape: &mut Tape,
    dy: &str,
    kernel: &str,
    window: Window,
    x: [usize; 4],
) -> Option<String> {
    let [_, channels, ..] = x;
    let [kh, kw] = window.kernel;
    let y = tape.own(dy).try_into().ok()?;
    let geometry = Geometry { window, groups: channels, x, weight: [channels, 1, kh, kw], y };
    input::gradient(tape, &geometry, kernel, dy)
}
