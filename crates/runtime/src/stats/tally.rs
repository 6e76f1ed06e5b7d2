//! Counts in Triton's groups: what its statistics extension answers. [`super::exposition`] writes them as metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tintype_core::ErrorKind;
use tintype_core::triton::{LatencyMetrics, ModelConfig};

use super::first_response::FirstResponse;
use super::nanos;
use super::summary::{Series, Summaries};
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
    pub(super) const ALL: [(Self, &str); 4] = [
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
    /// Answers not found in the cache, with the time to look.
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
    first_response: Option<FirstResponse>,
}

impl Counters {
    pub(crate) fn new(latencies: &LatencyMetrics, config: &ModelConfig, now: Instant) -> Self {
        let summaries = latencies.summaries.then(|| Summaries::new(&latencies.quantiles, now));
        let first_response = latencies.histograms.then(|| FirstResponse::new(config));
        Self { summaries, first_response, ..Self::default() }
    }

    pub(super) fn summaries(&self) -> Option<&Summaries> {
        self.summaries.as_ref()
    }

    pub(super) fn first_response(&self) -> Option<&FirstResponse> {
        self.first_response.as_ref()
    }

    pub(super) fn failed_by(&self, failure: Failure) -> u64 {
        self.failures[failure as usize].read().count
    }

    /// How long loading took, the last time.
    pub(super) fn load_time(&self) -> Duration {
        Duration::from_nanos(self.load.load(Ordering::Relaxed))
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
        if let Some(histogram) = &self.first_response {
            histogram.observe(total);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_inference.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
