//! When requests of an open loop are to start: at equal distances, or as a Poisson process.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How the starts are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Distribution {
    /// At equal distances.
    #[default]
    Constant,
    /// Independently of each other: distances are exponential.
    Poisson,
}

/// The intended starts, counted from the beginning; without an end.
#[derive(Debug)]
pub struct Arrivals {
    /// Seconds between two, in the mean.
    distance: f64,
    /// Where the next one lies in units of `distance`.
    at: f64,
    random: Option<StdRng>,
}

impl Arrivals {
    /// Starts at `rate` a second; those of a Poisson process follow from `seed`.
    pub fn new(rate: f64, distribution: Distribution, seed: u64) -> Self {
        let random = match distribution {
            Distribution::Constant => None,
            Distribution::Poisson => Some(StdRng::seed_from_u64(seed)),
        };
        Self { distance: 1.0 / rate, at: 0.0, random }
    }

    /// The same starts, shifted by a share of a distance, so that several of them do not coincide.
    #[must_use]
    pub fn shifted(mut self, share: f64) -> Self {
        self.at += share;
        self
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = match &mut self.random {
            None => {
                let now = self.at;
                self.at += 1.0;
                now
            }
            Some(random) => {
                // Inverse of the exponential distribution; `random` is within 0..1, so the logarithm is finite.
                self.at -= (1.0 - random.random::<f64>()).ln();
                self.at
            }
        };
        Some(Duration::from_secs_f64(now * self.distance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_starts_lie_at_equal_distances() {
        let starts: Vec<_> = Arrivals::new(200.0, Distribution::Constant, 7).take(4).collect();
        assert_eq!(starts, [0, 5, 10, 15].map(Duration::from_millis));
        let late = Arrivals::new(200.0, Distribution::Constant, 7).shifted(0.5).next().unwrap();
        assert_eq!(late, Duration::from_micros(2500));
    }

    #[test]
    fn distances_of_a_poisson_process_are_exponential() {
        let starts: Vec<f64> =
            Arrivals::new(100.0, Distribution::Poisson, 1).take(100_000).map(|s| s.as_secs_f64()).collect();
        let distances: Vec<f64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let n = distances.len() as f64;
        let mean = distances.iter().sum::<f64>() / n;
        let deviation = (distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n).sqrt();
        let beyond_mean = distances.iter().filter(|&&d| d > mean).count() as f64 / n;
        // Mean and deviation are both 1 / rate, and 1 / e of the distances are longer; 4 standard errors.
        assert!((mean - 0.01).abs() < 0.00013, "{mean}");
        assert!((deviation - 0.01).abs() < 0.0002, "{deviation}");
        assert!((beyond_mean - (-1f64).exp()).abs() < 0.006, "{beyond_mean}");
    }

    #[test]
    fn a_seed_repeats_its_starts() {
        let of = |seed| -> Vec<_> { Arrivals::new(10.0, Distribution::Poisson, seed).take(20).collect() };
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
    }
}
