//! Triton's metrics in Prometheus' text format, out of what was counted.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use tintype_core::triton::LatencyMetrics;

use super::summary::{self, Summarised};
use super::tally::{Counters, Failure, ModelStatistics};
use super::{first_response, head};

/// One model version, for [`write`].
pub(crate) struct Exposed<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: u64,
    /// `metric_tags` of its configuration.
    pub(crate) tags: &'a BTreeMap<String, String>,
    pub(crate) counters: &'a Counters,
    /// Requests that wait or run.
    pub(crate) pending: u64,
    /// Whether its answers are cached.
    pub(crate) cached: bool,
}

/// Writes Triton's metrics in Prometheus' text format: its names have no `_total`, which OpenMetrics would demand.
pub(crate) fn write(
    models: &[Exposed<'_>],
    latencies: &LatencyMetrics,
    out: &mut String,
) -> std::fmt::Result {
    type Read = fn(&ModelStatistics) -> u64;
    /// So many of these are no latencies; Triton counts its cache's among those that are.
    const COUNTS: usize = 3;
    const METRICS: [(&str, &str, Read); 12] = [
        ("nv_inference_request_success", "Number of successful inference requests, all batch sizes", |s| {
            s.success.count
        }),
        ("nv_inference_count", "Number of inferences performed (does not include cached requests)", |s| {
            s.inference_count
        }),
        (
            "nv_inference_exec_count",
            "Number of model executions performed (does not include cached requests)",
            |s| s.execution_count,
        ),
        (
            "nv_inference_request_duration_us",
            "Cumulative inference request duration in microseconds (includes cached requests)",
            |s| s.success.ns / 1000,
        ),
        (
            "nv_inference_queue_duration_us",
            "Cumulative inference queuing duration in microseconds (includes cached requests)",
            |s| s.queue.ns / 1000,
        ),
        (
            "nv_inference_compute_input_duration_us",
            "Cumulative compute input duration in microseconds (does not include cached requests)",
            |s| s.compute_input.ns / 1000,
        ),
        (
            "nv_inference_compute_infer_duration_us",
            "Cumulative compute inference duration in microseconds (does not include cached requests)",
            |s| s.compute_infer.ns / 1000,
        ),
        (
            "nv_inference_compute_output_duration_us",
            "Cumulative inference compute output duration in microseconds (does not include cached requests)",
            |s| s.compute_output.ns / 1000,
        ),
        ("nv_cache_num_hits_per_model", "Number of cache hits per model", |s| s.cache_hit.count),
        ("nv_cache_num_misses_per_model", "Number of cache misses per model", |s| s.cache_miss.count),
        ("nv_cache_hit_duration_per_model", "Total cache hit duration per model, in microseconds", |s| {
            s.cache_hit.ns / 1000
        }),
        ("nv_cache_miss_duration_per_model", "Total cache miss duration per model, in microseconds", |s| {
            s.cache_miss.ns / 1000
        }),
    ];
    let labels: Vec<String> = models.iter().map(labels).collect();
    let read: Vec<ModelStatistics> = models.iter().map(|m| m.counters.read(m.name, m.version)).collect();
    let shown = if latencies.counters { &METRICS[..] } else { &METRICS[..COUNTS] };
    for (name, help, value) in shown {
        head(out, name, help, "counter")?;
        for (labels, model) in labels.iter().zip(&read) {
            writeln!(out, "{name}{{{labels}}} {}", value(model))?;
        }
    }
    let name = "nv_inference_request_failure";
    head(out, name, "Number of failed inference requests, all batch sizes", "counter")?;
    for (labels, model) in labels.iter().zip(models) {
        for (failure, reason) in Failure::ALL {
            let count = model.counters.failed_by(failure);
            writeln!(out, "{name}{{{labels},reason=\"{reason}\"}} {count}")?;
        }
    }
    let name = "nv_inference_pending_request_count";
    head(out, name, "Instantaneous number of pending requests awaiting execution per-model.", "gauge")?;
    for (labels, model) in labels.iter().zip(models) {
        writeln!(out, "{name}{{{labels}}} {}", model.pending)?;
    }
    let name = "nv_model_load_duration_secs";
    head(out, name, "Model load time in seconds", "gauge")?;
    for (labels, model) in labels.iter().zip(models) {
        let seconds = model.counters.load_time().as_secs_f64();
        writeln!(out, "{name}{{{labels}}} {seconds}")?;
    }
    let summarised: Vec<Summarised<'_>> = labels
        .iter()
        .zip(models)
        .filter_map(|(labels, model)| {
            let summaries = model.counters.summaries()?;
            Some(Summarised { labels, summaries, cached: model.cached })
        })
        .collect();
    summary::write(&summarised, Instant::now(), out)?;
    let timed = labels
        .iter()
        .zip(models)
        .filter_map(|(labels, model)| Some((labels.as_str(), model.counters.first_response()?)));
    first_response::write(&timed.collect::<Vec<_>>(), out)
}

/// The name needs no escapes: `check_name` admits neither quotes nor backslashes. Tags may say anything.
fn labels(model: &Exposed<'_>) -> String {
    let mut labels = format!("model=\"{}\",version=\"{}\"", model.name, model.version);
    for (name, value) in model.tags {
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "_");
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        labels.push_str(&format!(",_{name}=\"{value}\""));
    }
    labels
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tintype_core::ErrorKind;

    use super::*;
    use crate::job::Times;
    use crate::stats::Tally;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn every_group_is_counted_and_written() {
        let counters = Counters::default();
        let times = Times { queue: MS, input: MS * 2, infer: MS * 3, batch: 4 };
        counters.executed();
        counters.succeeded(2, MS * 9, times, MS * 4);
        counters.failed(ErrorKind::Overloaded, MS);
        counters.failed(ErrorKind::Engine, MS);
        counters.missed(MS);
        counters.hit(MS, MS);
        let read = counters.read("m", 3);
        assert_eq!((read.success, read.fail.count), (Tally { count: 2, ns: 10_000_000 }, 2));
        assert_eq!((read.inference_count, read.execution_count), (2, 1));
        assert_eq!(read.batches[&4].compute_infer, Tally { count: 1, ns: 3_000_000 });
        assert!(read.last_inference > 1_600_000_000_000);

        let mut text = String::new();
        let none = BTreeMap::new();
        let tags = BTreeMap::from([("cost center".to_owned(), "a \"b\"".to_owned())]);
        let exposed =
            |name, tags| Exposed { name, version: 3, tags, counters: &counters, pending: 7, cached: false };
        let latencies = LatencyMetrics::default();
        write(&[exposed("m", &none), exposed("n", &tags)], &latencies, &mut text).unwrap();
        for line in [
            "nv_inference_request_success{model=\"m\",version=\"3\"} 2",
            "nv_inference_queue_duration_us{model=\"m\",version=\"3\"} 1000",
            "nv_inference_compute_output_duration_us{model=\"m\",version=\"3\"} 4000",
            "nv_inference_request_failure{model=\"m\",version=\"3\",reason=\"REJECTED\"} 1",
            "nv_inference_request_failure{model=\"m\",version=\"3\",reason=\"BACKEND\"} 1",
            "nv_inference_request_failure{model=\"m\",version=\"3\",reason=\"CANCELED\"} 0",
            "nv_cache_num_hits_per_model{model=\"m\",version=\"3\"} 1",
            "nv_inference_pending_request_count{model=\"m\",version=\"3\"} 7",
            "nv_inference_count{model=\"n\",version=\"3\",_cost_center=\"a \\\"b\\\"\"} 2",
            "# TYPE nv_inference_count counter",
        ] {
            assert!(text.lines().any(|found| found == line), "`{line}` is not in\n{text}");
        }
    }
}
