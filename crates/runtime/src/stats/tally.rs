//! Counts in Triton's groups: what its statistics extension answers, and what its `nv_inference_*` metrics say.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tintype_core::ErrorKind;
use tintype_core::triton::LatencyMetrics;

use super::summary::{self, Series, Summaries, Summarised};
use crate::job::Times;

/// How often and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many requests, or batches.
    pub count: u64,
    /// How long they took in sum, in nanoseconds.
    pub ns: u64,
}

/// The batches of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchTally {
    /// Preparing and gathering their inputs.
    pub compute_input: Tally,
    /// Inside the engine.
    pub compute_infer: Tally,
    /// Making answers of the outputs.
    pub compute_output: Tally,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Rejected,
    Canceled,
    Backend,
    Other,
}

impl Failure {
    const ALL: [(Self, &str); 4] = [
        (Self::Rejected, "REJECTED"),
        (Self::Canceled, "CANCELED"),
        (Self::Backend, "BACKEND"),
        (Self::Other, "OTHER"),
    ];

    fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Overloaded | ErrorKind::QueueTimeout | ErrorKind::DeadlineExceeded => Self::Rejected,
            ErrorKind::Cancelled => Self::Canceled,
            ErrorKind::Engine => Self::Backend,
            _ => Self::Other,
        }
    }
}

/// A model version's statistics since the process began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelStatistics {
    /// The model.
    pub name: String,
    /// The version.
    pub version: u64,
    /// When the last request succeeded, in milliseconds since 1970; 0 for never.
    pub last_inference: u64,
    /// Rows answered; an answer out of the cache counts none.
    pub inference_count: u64,
    /// Runs of the model.
    pub execution_count: u64,
    /// Requests answered.
    pub success: Tally,
    /// Requests that failed.
    pub fail: Tally,
    /// Waiting.
    pub queue: Tally,
    /// Preparing and gathering inputs.
    pub compute_input: Tally,
    /// Inside the engine.
    pub compute_infer: Tally,
    /// Making answers of the outputs.
    pub compute_output: Tally,
    /// Answers found in the cache, with the time to find them.
    pub cache_hit: Tally,
    /// Answers not found in the cache, with the time to look and to keep them.
    pub cache_miss: Tally,
    /// Batches by their rows.
    pub batches: BTreeMap<usize, BatchTally>,
}

#[derive(Debug, Default)]
struct Counter {
    count: AtomicU64,
    ns: AtomicU64,
}

impl Counter {
    fn add(&self, time: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.ns.fetch_add(nanos(time), Ordering::Relaxed);
    }

    fn read(&self) -> Tally {
        Tally { count: self.count.load(Ordering::Relaxed), ns: self.ns.load(Ordering::Relaxed) }
    }
}

/// The counters behind [`ModelStatistics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    last_inference: AtomicU64,
    inferences: AtomicU64,
    executions: AtomicU64,
    success: Counter,
    failures: [Counter; 4],
    queue: Counter,
    input: Counter,
    infer: Counter,
    output: Counter,
    cache_hit: Counter,
    cache_miss: Counter,
    batches: Mutex<BTreeMap<usize, BatchTally>>,
    /// Nanoseconds that loading took, the last time.
    load: AtomicU64,
    /// Where the operator asks for them.
    summaries: Option<Summaries>,
}

impl Counters {
    pub(crate) fn new(latencies: &LatencyMetrics, now: Instant) -> Self {
        let summaries = latencies.summaries.then(|| Summaries::new(&latencies.quantiles, now));
        Self { summaries, ..Self::default() }
    }

    /// A request of `rows` rows was answered after `total`; `output` went into the answer.
    pub(crate) fn succeeded(&self, rows: usize, total: Duration, times: Times, output: Duration) {
        self.answered(total);
        self.inferences.fetch_add(rows as u64, Ordering::Relaxed);
        self.queue.add(times.queue);
        self.input.add(times.input);
        self.infer.add(times.infer);
        self.output.add(output);
        self.summarise([
            (Series::Request, total),
            (Series::Queue, times.queue),
            (Series::ComputeInput, times.input),
            (Series::ComputeInfer, times.infer),
            (Series::ComputeOutput, output),
        ]);
        if times.batch > 0 {
            let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
            let batch = batches.entry(times.batch).or_default();
            let parts = [
                (&mut batch.compute_input, times.input),
                (&mut batch.compute_infer, times.infer),
                (&mut batch.compute_output, output),
            ];
            for (tally, time) in parts {
                tally.count += 1;
                tally.ns += nanos(time);
            }
        }
    }

    /// A request was answered out of the cache.
    pub(crate) fn hit(&self, total: Duration, lookup: Duration) {
        self.answered(total);
        self.cache_hit.add(lookup);
        let waited = Duration::ZERO;
        self.summarise([(Series::Request, total), (Series::Queue, waited), (Series::CacheHit, lookup)]);
    }

    /// An answer was not in the cache.
    pub(crate) fn missed(&self, lookup: Duration) {
        self.cache_miss.add(lookup);
        self.summarise([(Series::CacheMiss, lookup)]);
    }

    pub(crate) fn failed(&self, kind: ErrorKind, total: Duration) {
        self.failures[Failure::of(kind) as usize].add(total);
    }

    pub(crate) fn executed(&self) {
        self.executions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn loaded(&self, time: Duration) {
        self.load.store(nanos(time), Ordering::Relaxed);
    }

    pub(crate) fn read(&self, name: &str, version: u64) -> ModelStatistics {
        let fail = self.failures.iter().map(Counter::read);
        ModelStatistics {
            name: name.to_owned(),
            version,
            last_inference: self.last_inference.load(Ordering::Relaxed),
            inference_count: self.inferences.load(Ordering::Relaxed),
            execution_count: self.executions.load(Ordering::Relaxed),
            success: self.success.read(),
            fail: fail.fold(Tally::default(), |a, b| Tally { count: a.count + b.count, ns: a.ns + b.ns }),
            queue: self.queue.read(),
            compute_input: self.input.read(),
            compute_infer: self.infer.read(),
            compute_output: self.output.read(),
            cache_hit: self.cache_hit.read(),
            cache_miss: self.cache_miss.read(),
            batches: self.batches.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn summarise<const N: usize>(&self, times: [(Series, Duration); N]) {
        let Some(summaries) = &self.summaries else { return };
        let now = Instant::now();
        for (series, time) in times {
            summaries.observe(series, time, now);
        }
    }

    fn answered(&self, total: Duration) {
        self.success.add(total);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_inference.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

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
            let count = model.counters.failures[failure as usize].read().count;
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
        let seconds = Duration::from_nanos(model.counters.load.load(Ordering::Relaxed)).as_secs_f64();
        writeln!(out, "{name}{{{labels}}} {seconds}")?;
    }
    let summarised: Vec<Summarised<'_>> = labels
        .iter()
        .zip(models)
        .filter_map(|(labels, model)| {
            let summaries = model.counters.summaries.as_ref()?;
            Some(Summarised { labels, summaries, cached: model.cached })
        })
        .collect();
    summary::write(&summarised, Instant::now(), out)
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) -> std::fmt::Result {
    write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
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

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
