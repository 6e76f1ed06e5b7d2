//! Batch normalisation: trained on the batch's own statistics, or frozen.

use tintype_core::{ErrorKind, Result};

use super::FUSED_DOMAIN;
use super::tape::Tape;
use crate::proto::NodeProto;

/// Writes `BatchNormTrain` in pieces: the outputs of `node` are y, the mean and the biased variance of each channel.
pub(super) fn train_plainly(tape: &mut Tape, node: &NodeProto) -> Result<()> {
    let [x, gamma, beta] = [0, 1, 2].map(|i| node.input[i].clone());
    let shape = tape.shape(node, &x)?;
    let channels = shape[1];
    let centred = Centred::of(tape, &x, None);
    let squares = tape.elementwise("Mul", &centred.value, &centred.value);
    let variance = mean_of_channels(tape, &squares);
    let normal = normalised(tape, &centred, &variance, node.float("epsilon").unwrap_or(1e-5));
    let (gamma, beta) = (tape.per_channel(&gamma, shape.len()), tape.per_channel(&beta, shape.len()));
    let scaled = tape.elementwise("Mul", &normal.value, &gamma);
    tape.nodes.push(NodeProto::new("Add", &[&scaled, &beta], &[&node.output[0]]));
    for (from, to) in [(&centred.mean, &node.output[1]), (&variance, &node.output[2])] {
        let flat = tape.reshape(from, &[channels]);
        tape.nodes.push(NodeProto::new("Identity", &[&flat], &[to]));
        tape.shapes.insert(to, vec![channels]);
    }
    Ok(())
}

/// With n = (x - mean) / sqrt(var + epsilon): `dbeta = Σ dy`, `dgamma = Σ dy · n`,
/// `dx = gamma / sqrt(var + epsilon) · (dy - mean(dy) - n · mean(dy · n))`.
pub(super) fn trained(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let [x, gamma, beta] = [0, 1, 2].map(|i| node.input[i].clone());
    let [y, mean, variance] = [0, 1, 2].map(|i| node.output[i].as_str());
    let shape = tape.shape(node, &x)?;
    let channels = shape[1];
    let epsilon = node.float("epsilon").unwrap_or(1e-5);
    let gradients = if tape.fused {
        let fused = NodeProto::new("BatchNormTrainGrad", &[dy, &x, y, &gamma, mean, variance], &[])
            .of_domain(FUSED_DOMAIN)
            .with("epsilon", epsilon)
            .with("relu", node.int("relu").unwrap_or(0));
        tape.push(fused, &[shape, vec![channels], vec![channels]])
    } else {
        let centred = Centred::of(tape, &x, Some(mean));
        let variance = tape.per_channel(variance, shape.len());
        let normal = normalised(tape, &centred, &variance, epsilon);
        let product = tape.elementwise("Mul", dy, &normal.value);
        let (dbeta, dgamma) = (tape.sum_to_channels(dy), tape.sum_to_channels(&product));
        let (mean_dy, mean_product) = (mean_of_channels(tape, dy), mean_of_channels(tape, &product));
        let along = tape.elementwise("Mul", &normal.value, &mean_product);
        let rest = tape.elementwise("Sub", dy, &mean_dy);
        let rest = tape.elementwise("Sub", &rest, &along);
        let gamma = tape.per_channel(&gamma, shape.len());
        let factor = tape.elementwise("Div", &gamma, &normal.deviation);
        vec![tape.elementwise("Mul", &rest, &factor), dgamma, dbeta]
    };
    for (value, gradient) in [x, gamma, beta].iter().zip(gradients) {
        if tape.is_needed(value) {
            tape.add(value, gradient);
        }
    }
    Ok(())
}

/// Inference's formula, whose statistics are constants: `dx = dy · gamma / sqrt(var + epsilon)`, `dbeta = Σ dy`.
pub(super) fn frozen(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let rank = tape.shape(node, &node.input[0])?.len();
    if [1, 3, 4].iter().any(|&i| tape.wants(node, i).is_some()) {
        return Err(node.error(
            ErrorKind::Unsupported,
            "has no gradient for a scale or statistics that are computed from weights",
        ));
    }
    if let Some(x) = tape.wants(node, 0) {
        let (gamma, variance) = (&node.input[1], &node.input[4]);
        tape.shape(node, variance)?;
        let epsilon = tape.scalar(node.float("epsilon").unwrap_or(1e-5));
        let shifted = tape.elementwise("Add", variance, &epsilon);
        let deviation = tape.unary("Sqrt", &shifted);
        let factor = tape.elementwise("Div", gamma, &deviation);
        let factor = tape.per_channel(&factor, rank);
        let dx = tape.elementwise("Mul", dy, &factor);
        tape.add(&x, dx);
    }
    if let Some(beta) = tape.wants(node, 2) {
        let dbeta = tape.sum_to_channels(dy);
        tape.add(&beta, dbeta);
    }
    Ok(())
}

/// `x - mean`, with the mean as `[1, C, 1, …]`.
struct Centred {
    value: String,
    mean: String,
}

impl Centred {
    fn of(tape: &mut Tape, x: &str, mean: Option<&str>) -> Self {
        let rank = tape.own(x).len();
        let mean = match mean {
            Some(mean) => tape.per_channel(mean, rank),
            None => mean_of_channels(tape, x),
        };
        Self { value: tape.elementwise("Sub", x, &mean), mean }
    }
}

/// `(x - mean) / deviation`, and the deviation as `[1, C, 1, …]`.
struct Normal {
    value: String,
    deviation: String,
}

fn normalised(tape: &mut Tape, centred: &Centred, variance: &str, epsilon: f32) -> Normal {
    let epsilon = tape.scalar(epsilon);
    let shifted = tape.elementwise("Add", variance, &epsilon);
    let deviation = tape.unary("Sqrt", &shifted);
    Normal { value: tape.elementwise("Div", &centred.value, &deviation), deviation }
}

/// The mean of each channel, `[1, C, 1, …]`.
fn mean_of_channels(tape: &mut Tape, x: &str) -> String {
    let axes: Vec<usize> = (0..tape.own(x).len()).filter(|&i| i != 1).collect();
    tape.mean(x, &axes)
}
