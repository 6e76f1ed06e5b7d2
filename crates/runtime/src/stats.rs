//! What happened, counted: Prometheus metrics, and a snapshot of them for logs.
//!
//! A model's handles are looked up once, when it is loaded; a request only touches them.

mod exposition;
mod first_response;
mod gpu;
mod histogram;
mod machine;
mod summary;
mod tally;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::{Registry, Unit};
use tintype_core::ErrorKind;
use tintype_core::triton::{LatencyMetrics, ModelConfig};

pub(crate) use exposition::{Exposed, write as write_triton};
pub(crate) use gpu::Gpus;
use histogram::Histogram;
pub(crate) use machine::Machine;
pub(crate) use tally::Counters;
pub use tally::{BatchTally, ModelStatistics, Tally};

/// A part of a request's way. The first five add up to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// From the door to a prepare thread: reading the body and waiting.
    Admission,
    /// Decoding and preprocessing.
    Prepare,
    /// From prepared to running.
    Queue,
    /// Gathering the batch, running the model, scattering the result.
    Infer,
    /// From scores to ranked labels.
    Post,
    /// All of it.
    Total,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Stage; 6] =
        [Self::Admission, Self::Prepare, Self::Queue, Self::Infer, Self::Post, Self::Total];

    /// The stage's label, e.g. `queue`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::Prepare => "prepare",
            Self::Queue => "queue",
            Self::Infer => "infer",
            Self::Post => "post",
            Self::Total => "total",
        }
    }
}

impl EncodeLabelValue for Stage {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByModel {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStage {
    model: String,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    model: String,
    outcome: &'static str,
}

/// The metrics of all models.
#[derive(Debug)]
pub(crate) struct Stats {
    registry: Registry,
    requests: Family<ByOutcome, Counter>,
    in_flight: Family<ByModel, Gauge>,
    stages: Family<ByStage, Histogram, fn() -> Histogram>,
    batch_rows: Family<ByModel, Histogram, fn() -> Histogram>,
    instances: Family<ByModel, Gauge>,
    restarts: Family<ByModel, Counter>,
    /// By name and version; they outlive a reload, as counters must.
    counters: Mutex<BTreeMap<(String, u64), Arc<Counters>>>,
    /// What the counters keep beside themselves.
    latencies: LatencyMetrics,
}

impl Stats {
    pub(crate) fn new(told: &LatencyMetrics) -> Self {
        let mut registry = Registry::with_prefix("tintype");
        let stats = Self {
            requests: Family::default(),
            in_flight: Family::default(),
            stages: Family::new_with_constructor(latencies),
            batch_rows: Family::new_with_constructor(batch_sizes),
            instances: Family::default(),
            restarts: Family::default(),
            counters: Mutex::default(),
            latencies: told.clone(),
            registry: Registry::default(),
        };
        registry.register(
            "requests",
            "Requests by outcome: ok, or the kind of the error",
            stats.requests.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests admitted and not yet gone",
            stats.in_flight.clone(),
        );
        let help = "How long requests spent in each stage";
        registry.register_with_unit("stage", help, Unit::Seconds, stats.stages.clone());
        registry.register("batch_rows", "Rows in a run of the model", stats.batch_rows.clone());
        registry.register("instances_ready", "Instances that can run", stats.instances.clone());
        registry.register(
            "instance_restarts",
            "Instances restarted after a failure or a panic",
            stats.restarts.clone(),
        );
        Self { registry, ..stats }
    }

    /// One model version's handles.
    pub(crate) fn for_model(&self, name: &str, version: u64, config: &ModelConfig) -> ModelStats {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = counters.entry((name.to_owned(), version));
        let counters =
            counters.or_insert_with(|| Counters::new(&self.latencies, config, Instant::now()).into()).clone();
        let model = ByModel { model: name.to_owned() };
        let stage = |stage| self.stages.get_or_create_owned(&ByStage { model: name.to_owned(), stage });
        let ok = ByOutcome { model: name.to_owned(), outcome: "ok" };
        ModelStats {
            stages: Stage::ALL.map(stage),
            batch_rows: self.batch_rows.get_or_create_owned(&model),
            ok: self.requests.get_or_create_owned(&ok),
            in_flight: self.in_flight.get_or_create_owned(&model),
            instances: self.instances.get_or_create_owned(&model),
            restarts: self.restarts.get_or_create_owned(&model),
            outcomes: self.requests.clone(),
            counters,
            model: name.to_owned(),
        }
    }

    /// Writes all metrics in OpenMetrics text, without the closing `# EOF`.
    pub(crate) fn write(&self, out: &mut String) -> fmt::Result {
        prometheus_client::encoding::text::encode_registry(out, &self.registry)
    }
}

/// What Prometheus' text format puts before the samples of a metric.
fn head(out: &mut String, name: &str, help: &str, kind: &str) -> fmt::Result {
    write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
}

/// A time in nanoseconds.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Of nanoseconds, told in seconds: from 100 µs, about twice as much each.
fn latencies() -> Histogram {
    let bounds = [
        1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ];
    Histogram::new(bounds.to_vec(), 1e9)
}

fn batch_sizes() -> Histogram {
    Histogram::new(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0], 1.0)
}

/// One model's metrics.
#[derive(Debug)]
pub(crate) struct ModelStats {
    /// In nanoseconds.
    stages: [Histogram; 6],
    batch_rows: Histogram,
    ok: Counter,
    outcomes: Family<ByOutcome, Counter>,
    /// The same in Triton's groups.
    pub(crate) counters: Arc<Counters>,
    model: String,
    pub(crate) in_flight: Gauge,
    pub(crate) instances: Gauge,
    pub(crate) restarts: Counter,
}

impl ModelStats {
    pub(crate) fn observe(&self, stage: Stage, time: Duration) {
        self.observe_all(stage, time, 1);
    }

    /// Each of so many `requests` passed `stage` in `time`.
    pub(crate) fn observe_all(&self, stage: Stage, time: Duration, requests: usize) {
        self.stages[stage as usize].observe(nanos(time), requests as u64);
    }

    pub(crate) fn batch(&self, rows: usize) {
        self.batch_rows.observe(rows as u64, 1);
        self.counters.executed();
    }

    pub(crate) fn succeeded(&self) {
        self.ok.inc();
    }

    /// A request failed, `total` after it came.
    pub(crate) fn failed(&self, kind: ErrorKind, total: Duration) {
        self.outcome(kind).inc();
        self.counters.failed(kind, total);
    }

    /// The numbers so far, with `queued` jobs waiting.
    pub(crate) fn snapshot(&self, queued: usize) -> Snapshot {
        Snapshot {
            ok: self.ok.get(),
            overloaded: self.outcome(ErrorKind::Overloaded).get(),
            cancelled: self.outcome(ErrorKind::Cancelled).get(),
            expired: self.outcome(ErrorKind::DeadlineExceeded).get(),
            restarts: self.restarts.get(),
            in_flight: u64::try_from(self.in_flight.get()).unwrap_or(0),
            queued: queued as u64,
            batches: self.batch_rows.count(),
            rows: self.batch_rows.sum(),
            stages: Stage::ALL.map(|stage| {
                let histogram = &self.stages[stage as usize];
                let sum = Duration::from_nanos(histogram.sum());
                StageTimes { stage, count: histogram.count(), sum }
            }),
        }
    }

    fn outcome(&self, kind: ErrorKind) -> Counter {
        let labels = ByOutcome { model: self.model.clone(), outcome: kind.as_str() };
        self.outcomes.get_or_create_owned(&labels)
    }
}

/// A model's numbers at one moment, since the process began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Requests answered.
    pub ok: u64,
    /// Requests refused for want of capacity.
    pub overloaded: u64,
    /// Requests whose caller went away.
    pub cancelled: u64,
    /// Requests whose deadline passed.
    pub expired: u64,
    /// Instances restarted.
    pub restarts: u64,
    /// Requests admitted and not yet gone.
    pub in_flight: u64,
    /// Requests prepared and waiting for an instance.
    pub queued: u64,
    /// Runs of the model.
    pub batches: u64,
    /// Rows in all runs.
    pub rows: u64,
    /// How often and how long each stage was passed.
    pub stages: [StageTimes; 6],
}

/// A stage's times so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageTimes {
    /// Which stage.
    pub stage: Stage,
    /// How many requests passed it.
    pub count: u64,
    /// How long they took in sum.
    pub sum: Duration,
}
