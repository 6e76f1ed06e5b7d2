//! Operators that only arrange elements.

use tintype_core::{ErrorKind, Result};

use super::tape::Tape;
use crate::proto::NodeProto;

/// `Reshape` and its like, and `Identity`: the elements stay in order.
pub(super) fn same_elements(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let shape = tape.shape(node, &x)?;
    let dx = tape.reshape(dy, &shape);
    tape.add(&x, dx);
    Ok(())
}

/// The axes go back.
pub(super) fn transpose(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let rank = tape.shape(node, &x)?.len();
    let perm: Vec<usize> = match node.ints("perm").filter(|p| !p.is_empty()) {
        Some(perm) => perm.iter().filter_map(|&p| crate::shape::resolve_axis(p, rank)).collect(),
        None => (0..rank).rev().collect(),
    };
    let inverse: Option<Vec<usize>> = (0..rank).map(|i| perm.iter().position(|&p| p == i)).collect();
    let inverse = inverse.ok_or_else(|| node.error(ErrorKind::InvalidModel, "does not permute its axes"))?;
    let dx = tape.transpose(dy, &inverse);
    tape.add(&x, dx);
    Ok(())
}
