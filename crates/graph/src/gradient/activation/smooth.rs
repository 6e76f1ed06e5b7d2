//! Activations that are smooth everywhere.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

use tintype_core::{ErrorKind, Result};

use crate::gradient::tape::Tape;
use crate::proto::NodeProto;

/// `y = 1 / (1 + exp(-x))`: `dx = dy · (y - y²)`
pub(in crate::gradient) fn sigmoid(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let slope = sigmoid_slope(tape, &node.output[0]);
    by_slope(tape, node, dy, &slope)
}

/// `dx = dy · (1 - y²)`
pub(in crate::gradient) fn tanh(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let slope = tanh_slope(tape, &node.output[0]);
    by_slope(tape, node, dy, &slope)
}

/// `dx = dy · 2 / √π · exp(-x²)`
pub(in crate::gradient) fn erf(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let x = &node.input[0];
    let square = tape.elementwise("Mul", x, x);
    let bell = bell(tape, &square, -1.0);
    let slope = tape.scaled(&bell, FRAC_2_SQRT_PI);
    by_slope(tape, node, dy, &slope)
}

/// `y = x · Φ(x)`: the slope is `Φ(x) + x · φ(x)`, with the normal distribution's Φ and φ; or the approximation of Φ
/// by `tanh`.
pub(in crate::gradient) fn gelu(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    match node.string("approximate").unwrap_or("none") {
        "none" | "" => {}
        "tanh" => return gelu_tanh(tape, node, dy),
        other => {
            return Err(
                node.error(ErrorKind::Unsupported, format!("has the unknown approximation `{other}`"))
            );
        }
    }
    let x = &node.input[0];
    let scaled = tape.scaled(x, FRAC_1_SQRT_2);
    let erf = tape.unary("Erf", &scaled);
    let shifted = tape.shifted(&erf, 1.0);
    let share = tape.scaled(&shifted, 0.5);
    let square = tape.elementwise("Mul", x, x);
    let bell = bell(tape, &square, -0.5);
    let density = tape.scaled(&bell, 1.0 / (2.0 * PI).sqrt());
    let product = tape.elementwise("Mul", x, &density);
    let slope = tape.elementwise("Add", &share, &product);
    by_slope(tape, node, dy, &slope)
}

/// `y = x / 2 · (1 + t)` with `t = tanh(√(2/π) · (x + c · x³))`, c = 0.044715
fn gelu_tanh(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    const CUBE: f32 = 0.044_715;
    let root = (2.0 / PI).sqrt();
    let x = &node.input[0];
    let square = tape.elementwise("Mul", x, x);
    // The inner function is x · √(2/π) · (1 + c · x²), its slope √(2/π) · (1 + 3c · x²).
    let factor = tape.scaled(&square, root * CUBE);
    let factor = tape.shifted(&factor, root);
    let inner = tape.elementwise("Mul", x, &factor);
    let steep = tape.scaled(&square, root * 3.0 * CUBE);
    let steep = tape.shifted(&steep, root);
    let t = tape.unary("Tanh", &inner);
    let outer = tanh_slope(tape, &t);
    let product = tape.elementwise("Mul", &outer, &steep);
    let product = tape.elementwise("Mul", x, &product);
    let sum = tape.shifted(&t, 1.0);
    let sum = tape.elementwise("Add", &sum, &product);
    let slope = tape.scaled(&sum, 0.5);
    by_slope(tape, node, dy, &slope)
}

/// `y = ln(1 + exp(x))`: the slope is the sigmoid of x
pub(in crate::gradient) fn softplus(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let slope = tape.unary("Sigmoid", &node.input[0]);
    by_slope(tape, node, dy, &slope)
}

/// `y = x / (1 + |x|)`: the slope is `(1 - |y|)²`
pub(in crate::gradient) fn softsign(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let size = tape.unary("Abs", &node.output[0]);
    let negative = tape.unary("Neg", &size);
    let rest = tape.shifted(&negative, 1.0);
    let slope = tape.elementwise("Mul", &rest, &rest);
    by_slope(tape, node, dy, &slope)
}

/// `y = x · t` with `t = tanh(softplus(x))`: the slope is `t + x · (1 - t²) · sigmoid(x)`
pub(in crate::gradient) fn mish(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let x = &node.input[0];
    let soft = tape.unary("Softplus", x);
    let t = tape.unary("Tanh", &soft);
    let (outer, inner) = (tanh_slope(tape, &t), tape.unary("Sigmoid", x));
    let product = tape.elementwise("Mul", &outer, &inner);
    let product = tape.elementwise("Mul", x, &product);
    let slope = tape.elementwise("Add", &t, &product);
    by_slope(tape, node, dy, &slope)
}

/// `y = x · s` with `s = sigmoid(alpha · x)`: the slope is `s + alpha · x · (s - s²)`
pub(in crate::gradient) fn swish(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let alpha = node.float("alpha").unwrap_or(if node.op_type == "QuickGelu" { 1.702 } else { 1.0 });
    let scaled = tape.scaled(&node.input[0], alpha);
    let s = tape.unary("Sigmoid", &scaled);
    let steep = sigmoid_slope(tape, &s);
    let product = tape.elementwise("Mul", &scaled, &steep);
    let slope = tape.elementwise("Add", &s, &product);
    by_slope(tape, node, dy, &slope)
}

fn by_slope(tape: &mut Tape, node: &NodeProto, dy: &str, slope: &str) -> Result<()> {
    let dx = tape.elementwise("Mul", dy, slope);
    tape.contribute(node, 0, &dx)
}

/// `s - s²`
fn sigmoid_slope(tape: &mut Tape, s: &str) -> String {
    let square = tape.elementwise("Mul", s, s);
    tape.elementwise("Sub", s, &square)
}

/// `1 - t²`
fn tanh_slope(tape: &mut Tape, t: &str) -> String {
    let square = tape.elementwise("Mul", t, t);
    let negative = tape.unary("Neg", &square);
    tape.shifted(&negative, 1.0)
}

/// `exp(factor · square)`
fn bell(tape: &mut Tape, square: &str, factor: f32) -> String {
    let exponent = tape.scaled(square, factor);
    tape.unary("Exp", &exponent)
}
