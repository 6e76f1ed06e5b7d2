//! Softmax cross-entropy.

use tintype_core::{Error, ErrorKind, Result};

use super::tape::Tape;
use super::{LOGITS, LOSS, TARGETS};
use crate::proto::{GraphProto, NodeProto};
use crate::wiring::Wiring;

/// The value that holds a classifier's logits: its output, or what the `Softmax` or `LogSoftmax` at its end reads.
pub(super) fn logits(graph: &GraphProto) -> Result<String> {
    let wiring = Wiring::new(graph)?;
    let mut value = graph.output[0].name.as_str();
    while let Some(node) = wiring.maker(value)
        && matches!(node.standard_op(), Some("Softmax" | "LogSoftmax" | "Identity"))
        && let Some(before) = node.input_name(0)
    {
        value = before;
    }
    Ok(value.to_owned())
}

/// Appends `loss = -mean over the batch of Σ targets · log softmax(logits)` and the gradient of the logits.
///
/// That gradient is `(softmax(logits) · Σ targets - targets) / N`, with the sum over each row: it is 1, or the weight that the
/// row has.
pub(super) fn append(tape: &mut Tape) -> Result<()> {
    if tape.shapes.get(LOGITS).is_none() {
        // Where it begins says more than where it ends.
        for node in &tape.nodes {
            for name in &node.output {
                tape.shape(node, name)?;
            }
        }
    }
    let shape = tape.own(LOGITS);
    let &[batch, _] = shape.as_slice() else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("training needs logits of the shape [N, K], found {shape:?}"),
        ));
    };
    tape.shapes.insert(TARGETS, shape.clone());
    let log = tape.one(NodeProto::new("LogSoftmax", &[LOGITS], &[]).with("axis", -1), shape.clone());
    let chosen = tape.elementwise("Mul", &log, TARGETS);
    let total = tape.sum(&chosen, &[0, 1], false);
    let factor = tape.scalar(-1.0 / batch as f32);
    tape.nodes.push(NodeProto::new("Mul", &[&total, &factor], &[LOSS]));

    let probabilities = tape.one(NodeProto::new("Softmax", &[LOGITS], &[]).with("axis", -1), shape);
    let weight = tape.sum(TARGETS, &[1], true);
    let expected = tape.elementwise("Mul", &probabilities, &weight);
    let difference = tape.elementwise("Sub", &expected, TARGETS);
    let gradient = tape.scaled(&difference, 1.0 / batch as f32);
    tape.add(LOGITS, gradient);
    Ok(())
}
