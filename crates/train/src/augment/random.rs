//! Randomness by place: what is drawn for an image follows from seed, epoch and index, in whatever order it is asked for.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What is drawn for; two streams of one moment have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// The order of an epoch's rows.
    Order,
    /// Changes to one image.
    Image,
    /// Mixing one batch.
    Batch,
    /// The rows over which running statistics are taken anew.
    Statistics,
}

/// A seed and an epoch, in which everything has a generator of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    pub seed: u64,
    /// From 1.
    pub epoch: usize,
}

impl Moment {
    /// The generator of one image or batch.
    pub fn generator(self, stream: Stream, index: usize) -> StdRng {
        let words = [self.seed, self.epoch as u64, stream as u64, index as u64];
        StdRng::seed_from_u64(words.into_iter().fold(0, |state, word| scramble(state ^ word)))
    }
}

/// SplitMix64's step (Steele, Lea and Flood 2014): neighbouring words become unrelated ones.
fn scramble(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Whether something of this probability happens; nothing is drawn for what never does.
pub(super) fn chance(rng: &mut StdRng, probability: f64) -> bool {
    probability > 0.0 && rng.random::<f64>() < probability
}

/// A number from `from` up to `to`.
pub(super) fn uniform(rng: &mut StdRng, [from, to]: [f64; 2]) -> f64 {
    from + (to - from) * rng.random::<f64>()
}

/// A number of the Beta distribution with both parameters `alpha` above 0: the share of one of two equal gammas.
pub(super) fn beta(rng: &mut StdRng, alpha: f64) -> f64 {
    let (x, y) = (log_gamma_variate(rng, alpha), log_gamma_variate(rng, alpha));
    // In logarithms, because both may be too small for a float.
    1.0 / (1.0 + (y - x).exp())
}

/// The logarithm of a number of the gamma distribution (Marsaglia and Tsang 2000), for an `alpha` below 1 by their
/// boost `gamma(a) = gamma(a + 1) · u^(1/a)`.
fn log_gamma_variate(rng: &mut StdRng, alpha: f64) -> f64 {
    let boost = if alpha < 1.0 { (1.0 - rng.random::<f64>()).ln() / alpha } else { 0.0 };
    let d = if alpha < 1.0 { alpha + 1.0 } else { alpha } - 1.0 / 3.0;
    loop {
        let x = normal(rng);
        let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
        if v > 0.0 {
            let u = 1.0 - rng.random::<f64>();
            if u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return (d * v).ln() + boost;
            }
        }
    }
}

/// Box and Muller 1958.
fn normal(rng: &mut StdRng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Moment = Moment { seed: 1, epoch: 2 };

    #[test]
    fn every_place_has_numbers_of_its_own() {
        let first = |moment: Moment, stream, index| moment.generator(stream, index).random::<u64>();
        let one = first(MOMENT, Stream::Image, 3);
        assert_eq!(one, first(MOMENT, Stream::Image, 3));
        for other in [
            first(MOMENT, Stream::Batch, 3),
            first(MOMENT, Stream::Image, 4),
            first(Moment { epoch: 3, ..MOMENT }, Stream::Image, 2),
            first(Moment { seed: 2, epoch: 1 }, Stream::Image, 3),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn beta_has_its_mean_and_variance() {
        let mut rng = MOMENT.generator(Stream::Batch, 0);
        for alpha in [0.2, 1.0, 4.0] {
            let drawn: Vec<f64> = (0..20_000).map(|_| beta(&mut rng, alpha)).collect();
            let mean = drawn.iter().sum::<f64>() / 20_000.0;
            let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
            // Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)); five standard errors.
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 5.0 * (expected / 20_000.0).sqrt(), "{alpha}: mean {mean}");
            assert!((variance / expected - 1.0).abs() < 0.05, "{alpha}: variance {variance}, not {expected}");
            assert!(drawn.iter().all(|x| (0.0..=1.0).contains(x)));
        }
    }
}
