//! Convolution over pictures.
//!
//! The gradient of the bias is a sum; that of the input is a convolution again ([`input`]); that of the weights a
//! matrix product over shifted pictures ([`weight`]).

mod input;
mod weight;

use tintype_core::{ErrorKind, Result};

use super::tape::Tape;
use crate::proto::NodeProto;
use crate::window::Window;

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
    let (x_shape, weight_shape) = (tape.picture(node, x)?, tape.picture(node, weight)?);
    let window = Window::of(node, [weight_shape[2], weight_shape[3]], [x_shape[2], x_shape[3]])?;
    let geometry = Geometry {
        window,
        groups: x_shape[1].checked_div(weight_shape[1]).unwrap_or(0),
        x: x_shape,
        weight: weight_shape,
        y: tape.picture(node, &node.output[0])?,
    };
    if geometry.x.contains(&0) || geometry.y.contains(&0) || geometry.groups == 0 {
        return Err(node.error(ErrorKind::InvalidModel, "convolves nothing"));
    }
    if let Some(bias) = tape.wants(node, 2) {
        let gradient = tape.sum_to_channels(dy);
        tape.add(&bias, gradient);
    }
    if tape.wants(node, 1).is_some() {
        let gradient = weight::gradient(tape, &geometry, x, dy);
        tape.add(weight, gradient);
    }
    if tape.wants(node, 0).is_some() {
        let gradient = input::gradient(tape, &geometry, weight, dy).ok_or_else(|| {
            node.error(ErrorKind::Unsupported, "has no gradient with more padding than its window covers")
        })?;
        tape.add(x, gradient);
    }
    Ok(())
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
