//! A histogram that a request touches without a lock. `prometheus_client`'s own has one, and each request is observed at six
//! stages.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// How often whole numbers between given bounds were observed. A clone is the same histogram.
#[derive(Debug, Clone)]
pub(super) struct Histogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Upper bounds as they are told, ascending.
    told: Vec<f64>,
    /// The same in the numbers that are observed.
    bounds: Vec<u64>,
    /// Values up to each bound and above the one before; the last are above all.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
    /// How many of the numbers are one of the unit in which it is told.
    scale: f64,
}

impl Histogram {
    /// With upper bounds, ascending, in the unit in which they are told; one of it is `scale` of the numbers that are observed.
    pub(super) fn new(told: Vec<f64>, scale: f64) -> Self {
        let bounds = told.iter().map(|bound| (bound * scale).round() as u64).collect();
        let counts = (0..=told.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Inner { told, bounds, counts, sum: AtomicU64::new(0), scale }))
    }

    /// `value` was seen `times` times.
    pub(super) fn observe(&self, value: u64, times: u64) {
        let Inner { bounds, counts, sum, .. } = &*self.0;
        let place = bounds.partition_point(|&bound| bound < value);
        counts[place].fetch_add(times, Ordering::Relaxed);
        sum.fetch_add(value.saturating_mul(times), Ordering::Relaxed);
    }

    /// How many values were seen.
    pub(super) fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Their sum.
    pub(super) fn sum(&self) -> u64 {
        self.0.sum.load(Ordering::Relaxed)
    }

    /// The sum in the unit in which it is told.
    pub(super) fn told_sum(&self) -> f64 {
        self.sum() as f64 / self.0.scale
    }

    /// Upper bounds as they are told, the last without end, each with how many values lie between it and the one before.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let Inner { told, counts, .. } = &*self.0;
        let bounds = told.iter().copied().chain([f64::INFINITY]);
        bounds.zip(counts.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        // The encoder's word for no bound.
        let told = |(bound, count): (f64, u64)| (if bound.is_finite() { bound } else { f64::MAX }, count);
        let buckets: Vec<(f64, u64)> = self.buckets().map(told).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(self.told_sum(), count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_up_to_their_bounds() {
        let histogram = Histogram::new(vec![1.0, 10.0], 10.0);
        for (value, times) in [(0, 1), (10, 2), (11, 1), (1000, 3)] {
            histogram.clone().observe(value, times);
        }
        assert_eq!((histogram.count(), histogram.sum()), (7, 3031));
        assert_eq!(histogram.buckets().collect::<Vec<_>>(), [(1.0, 3), (10.0, 1), (f64::INFINITY, 3)]);
        assert_eq!(histogram.told_sum(), 303.1);
    }

    #[test]
    fn bounds_are_told_as_they_were_given() {
        // In binary, 1.001 times a million is a little less than 1,001,000.
        let histogram = Histogram::new(vec![1.001], 1e6);
        histogram.observe(1_001_000, 1);
        assert_eq!(histogram.buckets().collect::<Vec<_>>(), [(1.001, 1), (f64::INFINITY, 0)]);
    }
}
