//! Matrix products; Einstein sums in [`einsum`].

pub(crate) mod einsum;

use tintype_core::{ErrorKind, Result};

use super::tape::{Tape, plain, transposed};
use crate::proto::NodeProto;

/// `y = alpha · a' · b' + beta · c`, where `'` is a transposition or nothing.
pub(super) fn gemm(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let flag = |name: &str| node.int(name).unwrap_or(0) != 0;
    let (a, b) = (&node.input[0], &node.input[1]);
    tape.shape(node, a)?;
    tape.shape(node, b)?;
    let scaled = tape.scaled(dy, node.float("alpha").unwrap_or(1.0));
    if tape.wants(node, 0).is_some() {
        // With a' = a: da = dy · b'ᵀ, and its transpose with a' = aᵀ.
        let da = match (flag("transA"), flag("transB")) {
            (false, false) => tape.product(plain(&scaled), transposed(b)),
            (false, true) => tape.product(plain(&scaled), plain(b)),
            (true, false) => tape.product(plain(b), transposed(&scaled)),
            (true, true) => tape.product(transposed(b), transposed(&scaled)),
        };
        tape.add(a, da);
    }
    if tape.wants(node, 1).is_some() {
        let db = match (flag("transA"), flag("transB")) {
            (false, false) => tape.product(transposed(a), plain(&scaled)),
            (true, false) => tape.product(plain(a), plain(&scaled)),
            (false, true) => tape.product(transposed(&scaled), plain(a)),
            (true, true) => tape.product(transposed(&scaled), transposed(a)),
        };
        tape.add(b, db);
    }
    if let Some(c) = tape.wants(node, 2) {
        let scaled = tape.scaled(dy, node.float("beta").unwrap_or(1.0));
        let shape = tape.shape(node, &c)?;
        let columns = tape.own(&scaled)[1];
        // A bias of a layer: ONNX Runtime's ReduceSum over rows is slower than ours.
        let dc = if shape == [columns] {
            tape.sum_to_channels(&scaled)
        } else {
            tape.unbroadcast(&scaled, &shape)
        };
        tape.add(&c, dc);
    }
    Ok(())
}

/// `y = a · b` over the last two axes, the others broadcast.
pub(super) fn matmul(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let (a, b) = (&node.input[0], &node.input[1]);
    let (shape_a, shape_b) = (tape.shape(node, a)?, tape.shape(node, b)?);
    let (&[.., k], &[.., n]) = (shape_a.as_slice(), shape_b.as_slice()) else {
        return Err(node.error(ErrorKind::Unsupported, "has no gradient for a number"));
    };
    if tape.wants(node, 0).is_some() {
        let da = tape.product(plain(dy), transposed(b));
        let da = tape.unbroadcast(&da, &shape_a);
        tape.add(a, da);
    }
    if tape.wants(node, 1).is_some() {
        let db = if shape_b.len() == 2 {
            // One product over all rows instead of one an image and a sum over them.
            let rows = shape_a[..shape_a.len() - 1].iter().product();
            let (x, dy) = (tape.reshape(a, &[rows, k]), tape.reshape(dy, &[rows, n]));
            tape.product(transposed(&x), plain(&dy))
        } else {
            let db = tape.product(transposed(a), plain(dy));
            tape.unbroadcast(&db, &shape_b)
        };
        tape.add(b, db);
    }
    Ok(())
}
