//! From a row of scores to ranked classes: pure functions over slices.
//!
//! [`ImageClassifier`](crate::ImageClassifier) adds the labels.

use crate::{Activation, Error, ErrorKind, PostprocessSpec, Result};

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

/// Checks a spec: `top_k` at least 1, `temperature` finite and above 0, and 1 with `activation = "none"`, where there
/// are no logits to divide; `thresholds` of 0..=1.
///
/// # Errors
/// `InvalidConfig`.
pub fn validate(spec: &PostprocessSpec) -> Result<()> {
    let temperature = spec.temperature;
    let problem = if spec.top_k == 0 {
        "`top_k`: expected at least 1, found 0".to_owned()
    } else if !temperature.is_finite() || temperature <= 0.0 {
        format!("`temperature`: expected a finite number above 0, found {temperature}")
    } else if spec.activation == Activation::None && temperature != 1.0 {
        format!("`temperature`: expected 1 with `activation = \"none\"`, found {temperature}")
    } else if let Some(wrong) = spec.thresholds.iter().find(|t| !(0.0..=1.0).contains(*t)) {
        format!("`thresholds`: expected probabilities of 0 to 1, found {wrong}")
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidConfig, problem))
}

/// Probabilities of one row of scores, in place.
///
/// Softmax and sigmoid divide the scores by the temperature first (Guo et al. 2017) and do not overflow: softmax
/// subtracts the largest score, and sums in `f64`. Infinite scores give the limits (a row with several `+∞` shares
/// between them); a NaN makes a softmax row NaN.
pub fn activate(spec: &PostprocessSpec, scores: &mut [f32]) {
    let temperature = spec.temperature;
    match spec.activation {
        Activation::None => {}
        Activation::Sigmoid => {
            for score in scores {
                *score = (1.0 / (1.0 + (-f64::from(*score) / temperature).exp())) as f32;
            }
        }
        Activation::Softmax => {
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let weight = |score: f32| {
                // An infinite score less itself would be NaN.
                if score == largest {
                    1.0
                } else {
                    ((f64::from(score) - f64::from(largest)) / temperature).exp()
                }
            };
            let total: f64 = scores.iter().map(|&score| weight(score)).sum();
            for score in scores {
                *score = (weight(*score) / total) as f32;
            }
        }
    }
}

/// The `k` most probable classes, best first; equal ones by index, NaN last. All of them where `k` is larger.
pub fn top_k(probabilities: &[f32], k: usize) -> Vec<(usize, f32)> {
    let mut ranked: Vec<(usize, f32)> = probabilities.iter().copied().enumerate().collect();
    // Adding 0 makes -0 equal to 0, which `total_cmp` would tell apart; NaN of either sign goes below everything.
    let rank = |p: f32| if p.is_nan() { (false, 0.0) } else { (true, p + 0.0) };
    let order = |a: &(usize, f32), b: &(usize, f32)| {
        let ((known_a, a_value), (known_b, b_value)) = (rank(a.1), rank(b.1));
        known_b.cmp(&known_a).then(b_value.total_cmp(&a_value)).then(a.0.cmp(&b.0))
    };
    if k < ranked.len() {
        if k == 0 {
            return Vec::new();
        }
        ranked.select_nth_unstable_by(k - 1, order);
        ranked.truncate(k);
    }
    ranked.sort_unstable_by(order);
    ranked
}

#[cfg(test)]
mod tests {
    use tintype_testkit::assert_close;

    use super::*;

    fn spec(activation: Activation, temperature: f64) -> PostprocessSpec {
        PostprocessSpec { activation, temperature, ..PostprocessSpec::default() }
    }

    /// `torch.softmax(torch.tensor([1., 2., 3., -4.]) / T, 0)` for T = 1 and 2, and `torch.sigmoid`.
    #[test]
    fn activations_equal_pytorch() {
        let cases = [
            (spec(Activation::Softmax, 1.0), [0.089_975_99, 0.244_580_1, 0.664_837_66, 0.000_606_253_45]),
            (spec(Activation::Softmax, 2.0), [0.183_516_95, 0.302_568_32, 0.498_850_8, 0.015_063_989]),
            (spec(Activation::Sigmoid, 1.0), [0.731_058_6, 0.880_797_1, 0.952_574_13, 0.017_986_21]),
            (spec(Activation::None, 1.0), [1.0, 2.0, 3.0, -4.0]),
        ];
        for (spec, expected) in cases {
            let mut scores = [1.0, 2.0, 3.0, -4.0];
            activate(&spec, &mut scores);
            assert_close(&scores, &expected, 1e-6);
        }
    }

    #[test]
    fn huge_and_infinite_logits_do_not_overflow() {
        let mut scores = [1e30, 1e30, -1e30, f32::NEG_INFINITY];
        activate(&spec(Activation::Softmax, 1.0), &mut scores);
        assert_eq!(scores, [0.5, 0.5, 0.0, 0.0]);
        let mut scores = [f32::INFINITY, 0.0];
        activate(&spec(Activation::Softmax, 1.0), &mut scores);
        assert_eq!(scores, [1.0, 0.0]);
        let mut scores = [1e30, -1e30];
        activate(&spec(Activation::Sigmoid, 1.0), &mut scores);
        assert_eq!(scores, [1.0, 0.0]);
    }

    #[test]
    fn ties_go_by_index_and_nan_goes_last() {
        let found = top_k(&[0.2, f32::NAN, 0.5, 0.5, 0.0, -0.0], 9);
        assert_eq!(found.iter().map(|p| p.0).collect::<Vec<_>>(), [2, 3, 0, 4, 5, 1]);
        assert_eq!(top_k(&[0.1, 0.3, 0.3, 0.2], 2), [(1, 0.3), (2, 0.3)]);
        assert!(top_k(&[0.1], 0).is_empty());
    }

    #[test]
    fn wrong_specs_name_the_key() {
        for (spec, key) in [
            (PostprocessSpec { top_k: 0, ..PostprocessSpec::default() }, "`top_k`"),
            (spec(Activation::Softmax, 0.0), "`temperature`"),
            (spec(Activation::Softmax, f64::NAN), "`temperature`"),
            (spec(Activation::None, 2.0), "`temperature`"),
            (PostprocessSpec { thresholds: vec![0.5, 1.5], ..PostprocessSpec::default() }, "`thresholds`"),
        ] {
            let error = validate(&spec).unwrap_err();
            assert!(error.message().starts_with(key), "{error}");
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        }
    }
}
