//! `nv_inference_first_response_histogram_ms`: how long requests took to their first answer, which here is the only one.
//! Only where the operator asks for histograms.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tintype_core::triton::ModelConfig;
use tintype_core::triton::proto::model_metrics::metric_control::MetricOptions;

use super::head;

const NAME: &str = "nv_inference_first_response_histogram_ms";
const HELP: &str = "Duration from request to first response in milliseconds";

/// Triton's upper bounds, in milliseconds.
const BOUNDS: [f64; 4] = [100.0, 500.0, 2000.0, 5000.0];

/// The times of one model version's successful requests.
#[derive(Debug)]
pub(crate) struct FirstResponse {
    /// Upper bounds in milliseconds, ascending.
    bounds: Vec<f64>,
    /// Times up to each bound and above the one before; the last are above all.
    counts: Vec<AtomicU64>,
    /// Microseconds in sum.
    sum: AtomicU64,
}

impl FirstResponse {
    /// With the bounds that `config` gives in `model_metrics`, or Triton's.
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let controls = config.model_metrics.as_ref().map_or(&[][..], |metrics| &metrics.metric_control);
        let own = controls.iter().filter(|control| {
            control.metric_identifier.as_ref().is_some_and(|identifier| identifier.family == NAME)
        });
        let mut buckets = own.filter_map(|control| {
            let MetricOptions::HistogramOptions(options) = control.metric_options.as_ref()?;
            Some(options.buckets.clone())
        });
        let mut bounds = buckets.next_back().unwrap_or_else(|| BOUNDS.to_vec());
        bounds.retain(|bound| bound.is_finite());
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    pub(crate) fn observe(&self, time: Duration) {
        let ms = time.as_secs_f64() * 1e3;
        let place = self.bounds.partition_point(|&bound| bound < ms);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }
}

/// Writes the histograms in Prometheus' text format, each with its labels; nothing where there is none.
pub(crate) fn write(models: &[(&str, &FirstResponse)], out: &mut String) -> std::fmt::Result {
    if models.is_empty() {
        return Ok(());
    }
    head(out, NAME, HELP, "histogram")?;
    for (labels, model) in models {
        let mut count = 0;
        let bounds = model.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (bound, in_place) in bounds.zip(&model.counts) {
            count += in_place.load(Ordering::Relaxed);
            writeln!(out, "{NAME}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
        }
        let sum = model.sum.load(Ordering::Relaxed) as f64 / 1e3;
        write!(out, "{NAME}_sum{{{labels}}} {sum}\n{NAME}_count{{{labels}}} {count}\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn times_are_counted_up_to_their_bounds() {
        let histogram = FirstResponse::new(&ModelConfig::default());
        for time in [MS * 3, MS * 100, MS * 101, MS * 9000] {
            histogram.observe(time);
        }
        let mut text = String::new();
        write(&[("model=\"m\"", &histogram)], &mut text).unwrap();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "nv_inference_first_response_histogram_ms_bucket{model=\"m\",le=\"100\"} 2",
                "nv_inference_first_response_histogram_ms_bucket{model=\"m\",le=\"500\"} 3",
                "nv_inference_first_response_histogram_ms_bucket{model=\"m\",le=\"2000\"} 3",
                "nv_inference_first_response_histogram_ms_bucket{model=\"m\",le=\"5000\"} 3",
                "nv_inference_first_response_histogram_ms_bucket{model=\"m\",le=\"+Inf\"} 4",
                "nv_inference_first_response_histogram_ms_sum{model=\"m\"} 9204",
                "nv_inference_first_response_histogram_ms_count{model=\"m\"} 4",
            ]
        );
    }

    #[test]
    fn a_model_may_have_bounds_of_its_own() {
        let text = format!(
            "model_metrics {{ metric_control {{ metric_identifier {{ family: '{NAME}' }} \
             histogram_options {{ buckets: [5, 1] }} }} metric_control {{ metric_identifier \
             {{ family: 'another' }} histogram_options {{ buckets: [7] }} }} }}"
        );
        let histogram = FirstResponse::new(&tintype_core::triton::parse(&text).unwrap());
        assert_eq!(histogram.bounds, [1.0, 5.0]);
    }
}
