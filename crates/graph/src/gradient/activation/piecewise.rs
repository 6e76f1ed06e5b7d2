//! Activations made of straight pieces, or of a straight one and a curve. At a corner the gradient is PyTorch's.

use tintype_core::{ErrorKind, Result};

use crate::gradient::FUSED_DOMAIN;
use crate::gradient::tape::Tape;
use crate::proto::NodeProto;

/// `y = min(max(x, low), high)`, the bounds as inputs: `dx = dy` strictly between them, as PyTorch's `hardtanh`.
pub(in crate::gradient) fn clip(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    if [1, 2].iter().any(|&i| tape.wants(node, i).is_some()) {
        return Err(node.error(ErrorKind::Unsupported, "has no gradient for its bounds"));
    }
    let y = &node.output[0];
    let mut dx = dy.to_owned();
    for (op, bound) in [("Greater", 1), ("Less", 2)] {
        if let Some(bound) = node.input_name(bound) {
            tape.shape(node, bound)?;
            let inside = tape.elementwise(op, y, bound);
            dx = tape.only_where(&inside, &dx);
        }
    }
    tape.contribute(node, 0, &dx)
}

/// `y = x` for `x > 0`, else `alpha · x`
pub(in crate::gradient) fn leaky_relu(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let positive = tape.compare("Greater", &node.input[0], 0.0);
    let leaked = tape.scaled(dy, node.float("alpha").unwrap_or(0.01));
    let dx = tape.choose(&positive, dy, &leaked);
    tape.contribute(node, 0, &dx)
}

/// `y = x` for `x > 0`, else `slope · x`: `dslope = Σ dy · x` over the places that are not positive
pub(in crate::gradient) fn prelu(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let (x, slope) = (&node.input[0], &node.input[1]);
    tape.shape(node, slope)?;
    let positive = tape.compare("Greater", x, 0.0);
    if tape.wants(node, 0).is_some() {
        let leaked = tape.elementwise("Mul", dy, slope);
        let dx = tape.choose(&positive, dy, &leaked);
        tape.contribute(node, 0, &dx)?;
    }
    if tape.wants(node, 1).is_some() {
        let product = tape.elementwise("Mul", dy, x);
        let negative = tape.except_where(&positive, &product);
        tape.contribute(node, 1, &negative)?;
    }
    Ok(())
}

/// `y = min(max(alpha · x + beta, 0), 1)`
pub(in crate::gradient) fn hard_sigmoid(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let y = &node.output[0];
    let (above, below) = (tape.compare("Greater", y, 0.0), tape.compare("Less", y, 1.0));
    let inside = tape.elementwise("And", &above, &below);
    let slope = tape.scaled(dy, node.float("alpha").unwrap_or(0.2));
    let dx = tape.only_where(&inside, &slope);
    tape.contribute(node, 0, &dx)
}

/// `y = x · min(max(x / 6 + 1 / 2, 0), 1)`: the slope is 0 below -3, 1 above 3, and `x / 3 + 1 / 2` between
pub(in crate::gradient) fn hard_swish(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let x = &node.input[0];
    if tape.fused {
        let shape = tape.own(dy);
        let dx = tape.one(NodeProto::new("HardSwishGrad", &[dy, x], &[]).of_domain(FUSED_DOMAIN), shape);
        return tape.contribute(node, 0, &dx);
    }
    let third = tape.scaled(x, 1.0 / 3.0);
    let slope = tape.shifted(&third, 0.5);
    let product = tape.elementwise("Mul", dy, &slope);
    let above = tape.compare("Greater", x, 3.0);
    let upper = tape.choose(&above, dy, &product);
    let below = tape.compare("Less", x, -3.0);
    let dx = tape.except_where(&below, &upper);
    tape.contribute(node, 0, &dx)
}

/// `y = x` for `x > 0`, else `alpha · (exp(x) - 1)`, whose slope is `y + alpha`
pub(in crate::gradient) fn elu(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let alpha = node.float("alpha").unwrap_or(1.0);
    curved_below(tape, node, dy, |tape, y| tape.shifted(y, alpha))
}

/// `y = x` for `x > 0`, else `alpha · (exp(x / alpha) - 1)`, whose slope is `y / alpha + 1`
pub(in crate::gradient) fn celu(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let alpha = node.float("alpha").unwrap_or(1.0);
    curved_below(tape, node, dy, |tape, y| {
        let scaled = tape.scaled(y, 1.0 / alpha);
        tape.shifted(&scaled, 1.0)
    })
}

/// `y = gamma · x` for `x > 0`, else `gamma · alpha · (exp(x) - 1)`, whose slope is `y + gamma · alpha`
pub(in crate::gradient) fn selu(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let alpha = node.float("alpha").unwrap_or(1.673_263_2);
    let gamma = node.float("gamma").unwrap_or(1.050_701);
    let (x, y) = (&node.input[0], &node.output[0]);
    let positive = tape.compare("Greater", x, 0.0);
    let slope = tape.shifted(y, gamma * alpha);
    let (above, below) = (tape.scaled(dy, gamma), tape.elementwise("Mul", dy, &slope));
    let dx = tape.choose(&positive, &above, &below);
    tape.contribute(node, 0, &dx)
}

/// `y = x` for `x > alpha`, else 0
pub(in crate::gradient) fn thresholded_relu(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let above = tape.compare("Greater", &node.input[0], node.float("alpha").unwrap_or(1.0));
    let dx = tape.only_where(&above, dy);
    tape.contribute(node, 0, &dx)
}

/// `dx = dy` for `x > 0`, else `dy` times a slope that follows from `y`.
fn curved_below(
    tape: &mut Tape,
    node: &NodeProto,
    dy: &str,
    slope: impl Fn(&mut Tape, &str) -> String,
) -> Result<()> {
    let positive = tape.compare("Greater", &node.input[0], 0.0);
    let slope = slope(tape, &node.output[0]);
    let below = tape.elementwise("Mul", dy, &slope);
    let dx = tape.choose(&positive, dy, &below);
    tape.contribute(node, 0, &dx)
}
