//! How far probabilities can be believed, and what makes them more believable: pure functions over scores.
//!
//! [`temperature`] is Guo et al. 2017, [`thresholds`] are the confidences from which on a class's answers are right as
//! often as wished. Both are fitted on held-out images and stored in the package.

use serde::{Deserialize, Serialize};

/// Bins of the reliability diagram, as in Guo et al. 2017.
pub(crate) const BINS: usize = 15;

/// How confidence and accuracy agree.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error: the mean distance of confidence and accuracy over the bins, weighted by answers; 0..=1.
    pub ece: f64,
    /// Mean negative log-likelihood of the true class, in nats.
    pub nll: f64,
    /// 15 bins of equal width of the best class's confidence, from 0 to 1.
    pub bins: Vec<Bin>,
}

/// The answers whose confidence lies in one bin.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Bin {
    /// How many.
    pub count: u64,
    /// Their mean confidence; 0 where there are none.
    pub confidence: f64,
    /// The share of them that is right; 0 where there are none.
    pub accuracy: f64,
}

/// The calibration of `probabilities` (a row an image, one a class) against the true classes.
pub(crate) fn measure(probabilities: &[Vec<f32>], truths: &[usize]) -> Calibration {
    let (mut bins, mut nll) = (vec![Bin::default(); BINS], 0.0);
    for (row, &truth) in probabilities.iter().zip(truths) {
        let (best, confidence) = best_of(row);
        // A bin holds its upper end, and the first 0 as well.
        let bin = ((f64::from(confidence) * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        bins[bin].count += 1;
        bins[bin].confidence += f64::from(confidence);
        bins[bin].accuracy += f64::from(u8::from(best == truth));
        // A probability that was rounded to 0 counts as the least that is not.
        nll -= f64::from(row[truth].max(f32::MIN_POSITIVE)).ln();
    }
    let n = truths.len().max(1) as f64;
    let mut ece = 0.0;
    for bin in &mut bins {
        let count = bin.count.max(1) as f64;
        bin.confidence /= count;
        bin.accuracy /= count;
        ece += bin.count as f64 / n * (bin.confidence - bin.accuracy).abs();
    }
    Calibration { ece, nll: nll / n, bins }
}

/// Temperatures out of this range are a fit to nothing.
const TEMPERATURES: [f64; 2] = [0.05, 20.0];

/// The temperature `t` at which `softmax(scores / t)` gives the true classes the highest likelihood; none where the answers do
/// not determine it, as when all are right.
///
/// The likelihood is concave in `1 / t`: Newton's method within a bracket that each step narrows.
pub(crate) fn temperature(scores: &[Vec<f32>], truths: &[usize]) -> Option<f64> {
    let [least, most] = TEMPERATURES;
    let (mut low, mut high) = (1.0 / most, 1.0 / least);
    if scores.is_empty() || slope(scores, truths, low).0 >= 0.0 || slope(scores, truths, high).0 <= 0.0 {
        return None;
    }
    let mut at = 1.0;
    for _ in 0..100 {
        let (first, second) = slope(scores, truths, at);
        if first > 0.0 {
            high = at;
        } else {
            low = at;
        }
        let newton = at - first / second;
        let next = if newton > low && newton < high { newton } else { (low * high).sqrt() };
        if (next - at).abs() < 1e-10 * at {
            break;
        }
        at = next;
    }
    Some(1.0 / at)
}

/// First and second derivative of the mean negative log-likelihood of `softmax(inverse · scores)`.
fn slope(scores: &[Vec<f32>], truths: &[usize], inverse: f64) -> (f64, f64) {
    let (mut first, mut second) = (0.0, 0.0);
    for (row, &truth) in scores.iter().zip(truths) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (mut total, mut mean, mut square) = (0.0, 0.0, 0.0);
        for &score in row {
            let below = f64::from(score) - f64::from(largest);
            let weight = (inverse * below).exp();
            total += weight;
            mean += weight * below;
            square += weight * below * below;
        }
        (mean, square) = (mean / total, square / total);
        first += mean - (f64::from(row[truth]) - f64::from(largest));
        second += square - mean * mean;
    }
    let n = scores.len().max(1) as f64;
    (first / n, second / n)
}

/// For each class the least confidence from which on at least `precision` of the answers with that class are right: 0 for
/// a class that was never answered, 1 where no confidence is enough.
pub(crate) fn thresholds(
    probabilities: &[Vec<f32>],
    truths: &[usize],
    classes: usize,
    precision: f64,
) -> Vec<f32> {
    let mut answers: Vec<Vec<(f32, bool)>> = vec![Vec::new(); classes];
    for (row, &truth) in probabilities.iter().zip(truths) {
        let (best, confidence) = best_of(row);
        answers[best].push((confidence, best == truth));
    }
    let threshold = |mut answers: Vec<(f32, bool)>| {
        if answers.is_empty() {
            return 0.0;
        }
        answers.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut right, mut least) = (0, 1.0);
        for (i, &(confidence, is_right)) in answers.iter().enumerate() {
            right += usize::from(is_right);
            // Equal confidences are taken together or not at all.
            let last = answers.get(i + 1).is_none_or(|next| next.0 < confidence);
            if last && right as f64 >= precision * (i + 1) as f64 {
                least = confidence;
            }
        }
        // Short in the file, and never above what it was fitted to.
        (least * 1e4).floor() / 1e4
    };
    answers.into_iter().map(threshold).collect()
}

/// The most probable class, of equal ones the first, and its probability; 0 where none is a number.
pub(crate) fn best_of(row: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, &p) in row.iter().enumerate() {
        if p > best.1 {
            best = (class, p);
        }
    }
    if best.1.is_finite() { best } else { (best.0, 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `tests/data/calibration.py`.
    #[derive(Deserialize)]
    struct Case {
        scores: Vec<Vec<f32>>,
        truth: Vec<usize>,
        temperature: f64,
        nll: [f64; 2],
        ece: [f64; 2],
    }

    fn softmax(scores: &[Vec<f32>], t: f64) -> Vec<Vec<f32>> {
        let spec = tintype_core::PostprocessSpec { temperature: t, ..Default::default() };
        let mut rows = scores.to_vec();
        rows.iter_mut().for_each(|row| tintype_core::activate(&spec, row));
        rows
    }

    #[test]
    fn temperature_and_errors_are_those_of_torch_and_torchmetrics() {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../tests/data/calibration.json")).unwrap();
        for case in cases {
            let t = temperature(&case.scores, &case.truth).unwrap();
            assert!((t / case.temperature - 1.0).abs() < 1e-4, "found {t}, expected {}", case.temperature);
            for (i, t) in [1.0, case.temperature].into_iter().enumerate() {
                let found = measure(&softmax(&case.scores, t), &case.truth);
                assert!((found.nll - case.nll[i]).abs() < 1e-5, "{} against {}", found.nll, case.nll[i]);
                assert!((found.ece - case.ece[i]).abs() < 1e-5, "{} against {}", found.ece, case.ece[i]);
                assert_eq!(found.bins.iter().map(|b| b.count).sum::<u64>(), case.truth.len() as u64);
            }
        }
    }

    #[test]
    fn answers_that_determine_no_temperature_give_none() {
        let right = [vec![2.0, 0.0], vec![0.0, 1.0]];
        assert_eq!(temperature(&right, &[0, 1]), None);
        assert_eq!(temperature(&right, &[1, 0]), None);
        assert_eq!(temperature(&[], &[]), None);
        assert_eq!(temperature(&[vec![1.0, 1.0]], &[0]), None);
    }

    #[test]
    fn a_threshold_leaves_the_wished_share_right() {
        let rows =
            |confidences: &[f32]| confidences.iter().map(|&p| vec![p, 1.0 - p, 0.0]).collect::<Vec<_>>();
        let found = thresholds(&rows(&[0.9, 0.8, 0.7, 0.6]), &[0, 0, 1, 0], 3, 0.75);
        assert_eq!(found, [0.6, 0.0, 0.0]);
        let found = thresholds(&rows(&[0.9, 0.8, 0.7, 0.6]), &[0, 0, 1, 0], 3, 0.9);
        assert_eq!(found, [0.8, 0.0, 0.0]);
        assert_eq!(thresholds(&rows(&[0.9, 0.9]), &[0, 1], 3, 0.9), [1.0, 0.0, 0.0]);
    }
}
