//! Latencies: a high dynamic range histogram for quantiles, and exact moments.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Quantiles are within a thousandth of the truth.
const DIGITS: u8 = 3;
/// Longer ones count as this long.
const LONGEST: Duration = Duration::from_secs(3600);

/// Latencies of requests.
#[derive(Debug, Clone)]
pub struct Latencies {
    /// In nanoseconds.
    histogram: Histogram<u64>,
    /// Seconds, and their squares.
    sum: f64,
    squares: f64,
}

impl Latencies {
    /// None yet.
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, DIGITS);
        let histogram = histogram.expect("the bounds are constants that fit");
        Self { histogram, sum: 0.0, squares: 0.0 }
    }

    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(nanos);
        let seconds = latency.as_secs_f64();
        self.sum += seconds;
        self.squares += seconds * seconds;
    }

    /// Counts those of `other` too.
    pub fn merge(&mut self, other: &Self) {
        self.histogram += &other.histogram;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Their mean; zero where there are none.
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.sum / self.count().max(1) as f64)
    }

    /// Below which `percent` of them lie.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.histogram.value_at_percentile(percent))
    }

    /// The figures of a report, the `chosen` percentile among them.
    pub fn summary(&self, chosen: Option<f64>) -> LatencySummary {
        let n = self.count() as f64;
        let mean = self.sum / n.max(1.0);
        // Of a sample, as perf_analyzer has it.
        let variance = (self.squares - n * mean * mean).max(0.0) / (n - 1.0).max(1.0);
        let us = |d: Duration| d.as_secs_f64() * 1e6;
        let mut percentiles = PERCENTILES.to_vec();
        percentiles.extend(chosen.filter(|p| !PERCENTILES.contains(p)));
        percentiles.sort_by(f64::total_cmp);
        LatencySummary {
            avg_us: mean * 1e6,
            std_us: variance.sqrt() * 1e6,
            min_us: us(Duration::from_nanos(self.histogram.min())),
            max_us: us(Duration::from_nanos(self.histogram.max())),
            percentiles: percentiles
                .into_iter()
                .map(|p| Percentile { p, us: us(self.percentile(p)) })
                .collect(),
        }
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

/// The percentiles of every report.
const PERCENTILES: &[f64] = &[
    1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9,
    99.99,
];

/// Latencies in figures, in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// The mean.
    pub avg_us: f64,
    /// The standard deviation.
    pub std_us: f64,
    /// The shortest.
    pub min_us: f64,
    /// The longest.
    pub max_us: f64,
    /// Ascending.
    pub percentiles: Vec<Percentile>,
}

/// A percentile of latencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Percentile {
    /// In percent.
    pub p: f64,
    /// In microseconds.
    pub us: f64,
}

impl LatencySummary {
    /// The latency in microseconds below which `p` percent lie; 0 where that was not kept.
    pub fn at(&self, p: f64) -> f64 {
        self.percentiles.iter().find(|found| found.p == p).map_or(0.0, |found| found.us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl Iterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new();
        millis.for_each(|ms| latencies.record(Duration::from_millis(ms)));
        latencies
    }

    #[test]
    fn figures_are_those_of_the_sorted_latencies() {
        let summary = of(1..=1000).summary(None);
        let close =
            |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-3, "{found} {expected}");
        close(summary.avg_us, 500_500.0);
        close(summary.std_us, 288_819.4); // numpy.std(range(1, 1001), ddof=1)
        close(summary.at(50.0), 500_000.0);
        close(summary.at(99.0), 990_000.0);
        close(summary.min_us, 1000.0);
        close(summary.max_us, 1_000_000.0);
    }

    #[test]
    fn the_chosen_percentile_is_among_them() {
        let summary = of(1..=1000).summary(Some(97.0));
        assert!((summary.at(97.0) / 970_000.0 - 1.0).abs() < 1e-3, "{}", summary.at(97.0));
        assert!(summary.percentiles.is_sorted_by(|a, b| a.p < b.p && a.us <= b.us));
        assert_eq!(of(1..=10).summary(Some(99.0)), of(1..=10).summary(None), "none is there twice");
    }

    #[test]
    fn merged_histograms_are_the_histogram_of_all() {
        let mut merged = of((1..=1000).step_by(2));
        merged.merge(&of((2..=1000).step_by(2)));
        let (merged, all) = (merged.summary(None), of(1..=1000).summary(None));
        assert_eq!(merged.percentiles, all.percentiles);
        assert!((merged.std_us - all.std_us).abs() < 1e-3);
    }

    #[test]
    fn nothing_has_figures_too() {
        let summary = Latencies::new().summary(None);
        assert_eq!((summary.avg_us, summary.std_us, summary.at(99.0)), (0.0, 0.0, 0.0));
        let mut endless = Latencies::new();
        endless.record(Duration::MAX);
        assert_eq!(endless.count(), 1, "what is longer than the longest is counted");
    }
}
