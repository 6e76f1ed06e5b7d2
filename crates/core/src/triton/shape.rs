//! Shapes as configurations write them: sizes of 1 and more, -1 for any size.

use crate::{Error, ErrorKind, Result};

/// As Triton prints a shape in messages: `[-1,3,224,224]`.
pub fn show<T: ToString>(dims: &[T]) -> String {
    format!("[{}]", dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

/// Whether a shape of a request fits.
pub fn fits(dims: &[i64], shape: &[usize]) -> bool {
    dims.len() == shape.len()
        && dims.iter().zip(shape).all(|(&dim, &size)| dim == -1 || usize::try_from(dim) == Ok(size))
}

/// `target` with its -1 replaced, in their order, by the sizes that `shape` has where `dims` has -1: how `reshape` is done
/// and undone.
pub fn reshape(dims: &[i64], shape: &[usize], target: &[i64]) -> Vec<usize> {
    let mut variable = dims.iter().zip(shape).filter(|(dim, _)| **dim == -1).map(|(_, &size)| size);
    target.iter().map(|&dim| usize::try_from(dim).ok().or_else(|| variable.next()).unwrap_or(1)).collect()
}

/// Checks an input's or output's `dims` and `reshape.shape`.
pub(super) fn check(
    what: &str,
    name: &str,
    (dims, reshape): (&[i64], Option<&[i64]>),
    max_batch_size: i32,
) -> Result<()> {
    if name.is_empty() {
        return Err(invalid(format!("{what} must specify 'name'")));
    }
    let about = format!("{what} '{name}'");
    if dims.is_empty() {
        return Err(invalid(format!("{about} must specify 'dims'")));
    }
    let wrong = |dims: &[i64]| dims.iter().any(|&dim| dim < 1 && dim != -1);
    const RULE: &str = "must be integer >= 1, or -1 to indicate a variable-size dimension";
    if wrong(dims) {
        return Err(invalid(format!("{about} dimension {RULE}: found {}", show(dims))));
    }
    let Some(reshape) = reshape else { return Ok(()) };
    if reshape.is_empty() && max_batch_size == 0 {
        return Err(invalid(format!(
            "{about} cannot have empty reshape for non-batching model as scalar tensors are not supported"
        )));
    }
    if wrong(reshape) {
        return Err(invalid(format!("{about} reshape dimensions {RULE}: found {}", show(reshape))));
    }
    let (from, to) = (pieces(dims), pieces(reshape));
    let found = format!("found {} and {}", show(dims), show(reshape));
    if from.len() != to.len() {
        return Err(invalid(format!(
            "{about} has different number of variable-size dimensions for dims and reshape: {found}"
        )));
    }
    if from != to {
        return Err(invalid(format!("{about} has different size for dims and reshape: {found}")));
    }
    Ok(())
}

/// The numbers of elements between the variable sizes; these, not the sizes, must agree.
fn pieces(dims: &[i64]) -> Vec<u128> {
    let mut pieces = vec![1];
    for &dim in dims {
        match (u128::try_from(dim), pieces.last_mut()) {
            (Ok(dim), Some(piece)) => *piece = u128::saturating_mul(*piece, dim),
            _ => pieces.push(1),
        }
    }
    pieces
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}
