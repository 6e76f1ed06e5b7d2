//! The shapes of a graph's values, once the batch is fixed.
//!
//! What can be inferred is; a value whose shape does not follow is left out, and only who asks for it gets an error:
//! an unknown operator does not matter where no gradient passes. [`integers`] follows the arithmetic on sizes that
//! exporters leave in a graph, [`recorded`] is what the file itself says of a value.

mod integers;
mod recorded;
mod rules;
mod sliced;

use std::collections::HashMap;

use tintype_core::{Error, ErrorKind, Result};

use crate::model::Model;
use crate::proto::{NodeProto, TensorProto};
use crate::wiring::Wiring;

pub(crate) use sliced::sliced;

/// The shape of every value that has a known one.
#[derive(Debug, Clone, Default)]
pub struct Shapes {
    known: HashMap<String, Vec<usize>>,
    /// The short lists of integers that the model stores or computes from sizes.
    integers: HashMap<String, Vec<i64>>,
    /// The short lists of floats that the model stores or computes from sizes.
    floats: HashMap<String, Vec<f32>>,
}

impl Shapes {
    /// Infers shapes with the first axis of every input being `batch`.
    ///
    /// # Errors
    /// `InvalidModel` when shapes contradict each other, naming the node; `Unsupported` when an input has another
    /// dynamic axis than its first.
    pub fn infer(model: &Model, batch: usize) -> Result<Self> {
        let mut shapes = Self::default();
        // For its error alone: what follows counts on the order of the nodes.
        Wiring::new(model.graph())?;
        for tensor in &model.graph().initializer {
            shapes.insert(&tensor.name, tensor.shape()?);
            shapes.store(&tensor.name, tensor);
        }
        for input in model.inputs()? {
            let mut axes = input.shape.clone();
            if let Some(first) = axes.first_mut() {
                *first = Some(batch);
            }
            let fixed: Option<Vec<usize>> = axes.into_iter().collect();
            let fixed = fixed.ok_or_else(|| {
                Error::new(
                    ErrorKind::Unsupported,
                    format!("input `{input}` has dynamic axes, expected none but the first"),
                )
            })?;
            if elements(&fixed).is_none() {
                return Err(Error::new(ErrorKind::InvalidModel, format!("input `{input}` is too large")));
            }
            shapes.insert(&input.name, fixed);
        }
        let recorded = recorded::Recorded::new(model.graph(), batch);
        for node in &model.graph().node {
            if let (Some("Constant"), Some(name)) = (node.standard_op(), node.output_name(0))
                && let Some(tensor) = node.attribute("value").and_then(|a| a.t.as_ref())
            {
                shapes.store(name, tensor);
            }
            if let Some(values) = integers::compute(node, &shapes)
                && let Some(name) = node.output_name(0)
            {
                shapes.integers.insert(name.to_owned(), values);
            } else if let Some(values) = integers::floats(node, &shapes)
                && let Some(name) = node.output_name(0)
            {
                shapes.floats.insert(name.to_owned(), values);
            }
            let found = rules::outputs(node, &shapes)?;
            for (index, name) in node.output.iter().enumerate() {
                if let Some(shape) = found.get(index).cloned().or_else(|| recorded.shape(name)) {
                    shapes.insert(name, shape);
                }
            }
        }
        Ok(shapes)
    }

    /// The elements of a short list of integers that is stored or follows from sizes, whatever its rank.
    pub(crate) fn integers(&self, name: &str) -> Option<&[i64]> {
        self.integers.get(name).map(Vec::as_slice)
    }

    /// The elements of a short list of floats that is stored or follows from sizes.
    pub(crate) fn floats(&self, name: &str) -> Option<&[f32]> {
        self.floats.get(name).map(Vec::as_slice)
    }

    /// Keeps the elements of a short list.
    fn store(&mut self, name: &str, tensor: &TensorProto) {
        if tensor.shape().is_ok_and(|s| s.iter().product::<usize>() <= integers::LONGEST) {
            if let Ok(values) = tensor.to_i64() {
                self.integers.insert(name.to_owned(), values);
            } else if let Ok(values) = tensor.to_f32() {
                self.floats.insert(name.to_owned(), values);
            }
        }
    }

    /// The shape of a value, if it is known.
    pub fn get(&self, name: &str) -> Option<&[usize]> {
        self.known.get(name).map(Vec::as_slice)
    }

    /// The shape of a value that `node` reads or makes.
    ///
    /// # Errors
    /// `Unsupported`, naming the node, when it is not known.
    pub(crate) fn of(&self, node: &NodeProto, name: &str) -> Result<&[usize]> {
        self.get(name).ok_or_else(|| {
            node.error(
                ErrorKind::Unsupported,
                format!("has `{name}`, whose shape does not follow from the graph"),
            )
        })
    }

    pub(crate) fn insert(&mut self, name: &str, shape: Vec<usize>) {
        self.known.insert(name.to_owned(), shape);
    }
}

/// How many elements a shape has; `None` when that is beyond any memory.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |a, &d| a.checked_mul(d)).filter(|&n| isize::try_from(n).is_ok())
}

/// The shape of an operation between two tensors, as NumPy broadcasts; `None` when they do not fit.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |j| shape[j]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// An axis counted from the end where it is negative; `None` when there is no such axis.
pub(crate) fn resolve_axis(axis: i64, rank: usize) -> Option<usize> {
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(counted).ok().filter(|&a| a < rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_is_numpys() {
        assert_eq!(broadcast(&[2, 3, 4], &[3, 1]), Some(vec![2, 3, 4]));
        assert_eq!(broadcast(&[], &[5]), Some(vec![5]));
        assert_eq!(broadcast(&[2, 3], &[2]), None);
    }
}
