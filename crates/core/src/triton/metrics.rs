//! Triton's `--metrics-config`: as which kinds of metrics latencies are told.
//!
//! Only what is asked for is here; the metrics themselves are `tintype-runtime`'s.

use crate::{Error, ErrorKind, Result};

const EXPECTED: &str = "expected `counter_latencies=<bool>`, `histogram_latencies=<bool>`, `summary_latencies=<bool>` or \
                        `summary_quantiles=<quantile>:<error>,…`";

/// The kinds of metrics that tell latencies.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyMetrics {
    /// Sums since the start: `nv_inference_*_duration_us` and `nv_cache_*`.
    pub counters: bool,
    /// `nv_inference_first_response_histogram_ms`.
    pub histograms: bool,
    /// Quantiles of the last minute: `nv_inference_*_summary_us` and `nv_cache_*_summary_per_model`.
    pub summaries: bool,
    /// Which quantiles, each from 0 to 1.
    pub quantiles: Vec<f64>,
}

impl Default for LatencyMetrics {
    /// Counters alone, and Triton's quantiles.
    fn default() -> Self {
        let quantiles = vec![0.5, 0.9, 0.95, 0.99, 0.999];
        Self { counters: true, histograms: false, summaries: false, quantiles }
    }
}

/// Reads the values of `--metrics-config`, in their order; of one key the last counts.
///
/// A quantile's error is its tolerance in rank. It is checked and not kept: ranks are counted, not estimated.
///
/// # Errors
/// `InvalidArgument` for an unknown key, or a value that its key does not take.
pub fn parse_metrics_config<'a>(options: impl IntoIterator<Item = &'a str>) -> Result<LatencyMetrics> {
    let mut metrics = LatencyMetrics::default();
    for option in options {
        let wrong = || {
            let message = format!("`--metrics-config {option}`: {EXPECTED}");
            Error::new(ErrorKind::InvalidArgument, message)
        };
        let (key, value) = option.split_once('=').ok_or_else(wrong)?;
        let switch = || value.parse::<bool>().map_err(|_| wrong());
        match key {
            "counter_latencies" => metrics.counters = switch()?,
            "histogram_latencies" => metrics.histograms = switch()?,
            "summary_latencies" => metrics.summaries = switch()?,
            "summary_quantiles" => {
                let quantiles: Option<Vec<f64>> = value.split(',').map(quantile).collect();
                metrics.quantiles = quantiles.ok_or_else(wrong)?;
            }
            _ => return Err(wrong()),
        }
    }
    Ok(metrics)
}

/// The quantile in `0.9:0.01`.
fn quantile(pair: &str) -> Option<f64> {
    let (quantile, error) = pair.split_once(':')?;
    let share = |text: &str| text.trim().parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share(error)?;
    share(quantile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_triton_documents_is_read() {
        assert_eq!(parse_metrics_config([]).unwrap(), LatencyMetrics::default());
        let options = [
            "summary_latencies=true",
            "counter_latencies=false",
            "histogram_latencies=true",
            "summary_quantiles=0.5:0.05,0.9:0.01",
        ];
        let expected =
            LatencyMetrics { counters: false, histograms: true, summaries: true, quantiles: vec![0.5, 0.9] };
        assert_eq!(parse_metrics_config(options).unwrap(), expected);
    }

    #[test]
    fn what_it_does_not_is_refused_with_what_there_is() {
        for wrong in [
            "summary_latencies",
            "summary_latencies=yes",
            "summary_latency=true",
            "summary_quantiles=",
            "summary_quantiles=0.5",
            "summary_quantiles=1.5:0.1",
            "summary_quantiles=0.5:0.1,NaN:0.1",
            "summary_quantiles=0.5:x",
        ] {
            let error = parse_metrics_config([wrong]).expect_err(wrong);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            for part in [wrong, "counter_latencies", "histogram_latencies", "summary_latencies"] {
                assert!(error.message().contains(part), "{error}");
            }
        }
    }
}
