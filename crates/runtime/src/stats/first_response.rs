//! `nv_inference_first_response_histogram_ms`: how long requests took to their first answer, which here is the only one.
//! Only where the operator asks for histograms.

use std::fmt::Write;
use std::time::Duration;

use tintype_core::triton::ModelConfig;
use tintype_core::triton::proto::model_metrics::metric_control::MetricOptions;

use super::histogram::Histogram;
use super::{head, nanos};

const NAME: &str = "nv_inference_first_response_histogram_ms";
const HELP: &str = "Duration from request to first response in milliseconds";

/// In a millisecond.
const NANOS: f64 = 1e6;

/// Triton's upper bounds, in milliseconds.
const BOUNDS: [f64; 4] = [100.0, 500.0, 2000.0, 5000.0];

/// The times of one model version's successful requests: in nanoseconds, told in milliseconds.
#[derive(Debug)]
pub(crate) struct FirstResponse(Histogram);

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
        Self(Histogram::new(bounds, NANOS))
    }

    pub(crate) fn observe(&self, time: Duration) {
        self.0.observe(nanos(time), 1);
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
        for (bound, in_place) in model.0.buckets() {
            count += in_place;
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            writeln!(out, "{NAME}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
        }
        let sum = model.0.told_sum();
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
        let bounds: Vec<f64> = histogram.0.buckets().map(|(bound, _)| bound).collect();
        assert_eq!(bounds, [1.0, 5.0, f64::INFINITY]);
    }
}
