//! Layer, instance and group normalisation: n = (x - mean) / sqrt(var + epsilon) over some axes of each image, and
//! `y = n · gamma + beta`. Batch normalisation, which looks across images, is [`super::batch_norm`]'s.

use tintype_core::{ErrorKind, Result};

use super::layout;
use super::tape::Tape;
use crate::proto::NodeProto;

/// `LayerNormalization`: over the axes from `axis` on, gamma and beta of their shape.
pub(super) fn layer(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let x = &node.input[0];
    let shape = tape.shape(node, x)?;
    let first = layout::axis(node, -1, shape.len())?;
    let axes: Vec<usize> = (first..shape.len()).collect();
    let gamma = node.input_name(1).map(str::to_owned);
    if let Some(gamma) = &gamma {
        tape.shape(node, gamma)?;
    }
    let normal = Normal::of(tape, x, &axes, node.float("epsilon").unwrap_or(1e-5));
    affine(tape, node, dy, &normal, gamma.as_deref())
}

/// `InstanceNormalization`: over all pixels of a channel, gamma and beta `[C]`.
pub(super) fn instance(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let x = &node.input[0];
    let shape = tape.shape(node, x)?;
    let axes: Vec<usize> = (2..shape.len()).collect();
    tape.shape(node, &node.input[1])?;
    let gamma = tape.per_channel(&node.input[1], shape.len());
    let normal = Normal::of(tape, x, &axes, node.float("epsilon").unwrap_or(1e-5));
    affine(tape, node, dy, &normal, Some(&gamma))
}

/// `GroupNormalization`: over all pixels of a group of channels; gamma and beta `[C]`, or one number a group as before
/// operator set 21.
pub(super) fn group(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let x = &node.input[0];
    let shape = tape.shape(node, x)?;
    let parameters = tape.shape(node, &node.input[1])?;
    let groups = node.int("num_groups").and_then(|g| usize::try_from(g).ok()).unwrap_or(0);
    let size = shape.get(1).and_then(|c| c.checked_div(groups));
    let Some(size) = size.filter(|size| size * groups == shape[1]) else {
        return Err(node.error(ErrorKind::InvalidModel, format!("has {groups} groups of {shape:?}")));
    };
    let pixels: usize = shape[2..].iter().product();
    let split = [shape[0], groups, size, pixels];
    let inner = if parameters == [groups] && groups != shape[1] { 1 } else { size };
    let gamma = tape.reshape(&node.input[1], &[1, groups, inner, 1]);
    let rows = tape.reshape(x, &split);
    let normal = Normal::of(tape, &rows, &[2, 3], node.float("epsilon").unwrap_or(1e-5));
    let dy = tape.reshape(dy, &split);
    affine(tape, node, &dy, &normal, Some(&gamma))
}

/// A normalised value and what went into it.
struct Normal {
    value: String,
    /// `1 / sqrt(var + epsilon)`, the normalised axes there as 1.
    inverse: String,
    axes: Vec<usize>,
}

impl Normal {
    fn of(tape: &mut Tape, x: &str, axes: &[usize], epsilon: f32) -> Self {
        let mean = tape.mean(x, axes);
        let centred = tape.elementwise("Sub", x, &mean);
        let squares = tape.elementwise("Mul", &centred, &centred);
        let variance = tape.mean(&squares, axes);
        let shifted = tape.shifted(&variance, epsilon);
        let deviation = tape.unary("Sqrt", &shifted);
        let inverse = tape.unary("Reciprocal", &deviation);
        Self { value: tape.elementwise("Mul", &centred, &inverse), inverse, axes: axes.to_vec() }
    }

    /// With g the gradient of n: `dx = (g - mean(g) - n · mean(g · n)) / deviation`.
    fn backward(&self, tape: &mut Tape, g: &str) -> String {
        let product = tape.elementwise("Mul", g, &self.value);
        let (mean_g, mean_product) = (tape.mean(g, &self.axes), tape.mean(&product, &self.axes));
        let along = tape.elementwise("Mul", &self.value, &mean_product);
        let rest = tape.elementwise("Sub", g, &mean_g);
        let rest = tape.elementwise("Sub", &rest, &along);
        tape.elementwise("Mul", &rest, &self.inverse)
    }
}

/// The gradients of x, gamma and beta, all of which `node` may have under other shapes than they have here.
fn affine(tape: &mut Tape, node: &NodeProto, dy: &str, normal: &Normal, gamma: Option<&str>) -> Result<()> {
    if let Some(x) = tape.wants(node, 0) {
        let shape = tape.shape(node, &x)?;
        let g = match gamma {
            Some(gamma) => tape.elementwise("Mul", dy, gamma),
            None => dy.to_owned(),
        };
        let dx = normal.backward(tape, &g);
        let dx = tape.reshape(&dx, &shape);
        tape.add(&x, dx);
    }
    for (index, is_scale) in [(1, true), (2, false)] {
        let (Some(parameter), Some(gamma)) = (tape.wants(node, index), gamma) else { continue };
        let shape = tape.shape(node, &parameter)?;
        let product = if is_scale { tape.elementwise("Mul", dy, &normal.value) } else { dy.to_owned() };
        let inner = tape.own(gamma);
        let gradient = tape.unbroadcast(&product, &inner);
        let gradient = tape.reshape(&gradient, &shape);
        tape.add(&parameter, gradient);
    }
    Ok(())
}
