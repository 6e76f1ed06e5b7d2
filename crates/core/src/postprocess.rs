//! From a row of scores to ranked labels.

use crate::{PostprocessSpec, Result};

/// A class with its probability.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The class's index in the model's output.
    pub index: usize,
    /// The class's name; its index in decimal where the model has no labels.
    pub label: String,
    /// 0..=1.
    pub confidence: f32,
}

/// Checks a spec: `top_k` at least 1, `temperature` finite and above 0.
///
/// # Errors
/// `InvalidConfig`.
pub fn validate(_spec: &PostprocessSpec) -> Result<()> {
    todo!()
}

/// Probabilities of one row of scores, in place.
pub fn activate(_spec: &PostprocessSpec, _scores: &mut [f32]) {
    todo!()
}

/// The `k` most probable classes, best first; equal ones by index.
pub fn top_k(_probabilities: &[f32], _k: usize) -> Vec<(usize, f32)> {
    todo!()
}
