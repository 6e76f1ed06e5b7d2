//! What is read of a server beside its answers: its own statistics, and what its processes take.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::AddAssign;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tintype_api::kserve::{ModelStatistics, StatisticsReply};

use crate::metrics::Gpus;

/// Reads a server at the borders of windows.
pub trait Probe {
    /// Reads it.
    fn read(&mut self) -> impl Future<Output = Reading>;

    /// Looks at it now and then; never resolves.
    fn sample(&mut self) -> impl Future<Output = ()>;

    /// What happened between two readings.
    fn between(&mut self, before: &Reading, after: &Reading) -> Between;
}

/// What was read at one time.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The server's statistics, where it has any.
    pub statistics: Option<StatisticsReply>,
    /// CPU time of the server's processes, where they are known.
    pub cpu: Option<Duration>,
    /// CPU time of this process.
    pub own_cpu: Duration,
    /// The GPUs since the reading before, where metrics are read.
    pub gpus: Option<Gpus>,
}

/// What happened in a time.
#[derive(Debug, Clone, Default)]
pub struct Between {
    /// By the server's statistics.
    pub split: Option<Split>,
    /// By the system's.
    pub usage: Option<Usage>,
    /// CPU time of this process.
    pub own_cpu: Duration,
    /// By the server's metrics.
    pub gpus: Option<Gpus>,
}

impl Between {
    /// What happened from `before` to `after`. Memory is for whoever looked meanwhile to add.
    pub fn new(before: &Reading, after: &Reading) -> Self {
        let split = before.statistics.as_ref().zip(after.statistics.as_ref());
        let cpu = before.cpu.zip(after.cpu).map(|(before, after)| after.saturating_sub(before));
        Self {
            split: split.map(|(before, after)| Split::between(before, after)),
            usage: cpu.map(|cpu| Usage { cpu, ..Usage::default() }),
            own_cpu: after.own_cpu.saturating_sub(before.own_cpu),
            gpus: after.gpus.clone(),
        }
    }

    /// Adds another time.
    pub fn merge(&mut self, other: &Self) {
        merge(&mut self.split, other.split.as_ref(), |a, b| *a += b);
        merge(&mut self.usage, other.usage.as_ref(), |a, b| *a += b);
        merge(&mut self.gpus, other.gpus.as_ref(), |a, b| *a += b);
        self.own_cpu += other.own_cpu;
    }
}

fn merge<T: Clone>(all: &mut Option<T>, more: Option<&T>, add: impl FnOnce(&mut T, &T)) {
    match (all.as_mut(), more) {
        (Some(all), Some(more)) => add(all, more),
        (None, Some(more)) => *all = Some(more.clone()),
        (_, None) => {}
    }
}

/// Where requests spent their time in the server; nanoseconds are sums over requests, or over batches' rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Rows computed.
    pub inferences: u64,
    /// Batches computed.
    pub executions: u64,
    /// Requests that succeeded.
    pub requests: u64,
    /// From a request to its answer.
    pub request_ns: u64,
    /// Waiting for an instance.
    pub queue_ns: u64,
    /// Preparing inputs.
    pub input_ns: u64,
    /// Running the model.
    pub infer_ns: u64,
    /// Extracting outputs.
    pub output_ns: u64,
    /// Answers from the cache.
    pub cache_hits: u64,
    /// Looking there, with success.
    pub cache_hit_ns: u64,
    /// Looking there in vain.
    pub cache_miss_ns: u64,
    /// Batches by their size.
    pub batches: BTreeMap<u64, u64>,
}

impl Split {
    /// What all models did from `before` to `after`; one that was loaded in between starts from nothing.
    pub fn between(before: &StatisticsReply, after: &StatisticsReply) -> Self {
        let mut split = Self::default();
        for model in &after.model_stats {
            let was = before.model_stats.iter().find(|m| m.name == model.name && m.version == model.version);
            split += &Self::of(model, was.unwrap_or(&ModelStatistics::default()));
        }
        split
    }

    fn of(now: &ModelStatistics, was: &ModelStatistics) -> Self {
        let (n, w) = (&now.inference_stats, &was.inference_stats);
        let since = u64::saturating_sub;
        let batch = |size: u64| was.batch_stats.iter().find(|b| b.batch_size == size);
        let batches = now.batch_stats.iter().filter_map(|b| {
            let count =
                since(b.compute_infer.count, batch(b.batch_size).map_or(0, |b| b.compute_infer.count));
            (count > 0).then_some((b.batch_size, count))
        });
        Self {
            inferences: since(now.inference_count, was.inference_count),
            executions: since(now.execution_count, was.execution_count),
            requests: since(n.success.count, w.success.count),
            request_ns: since(n.success.ns, w.success.ns),
            queue_ns: since(n.queue.ns, w.queue.ns),
            input_ns: since(n.compute_input.ns, w.compute_input.ns),
            infer_ns: since(n.compute_infer.ns, w.compute_infer.ns),
            output_ns: since(n.compute_output.ns, w.compute_output.ns),
            cache_hits: since(n.cache_hit.count, w.cache_hit.count),
            cache_hit_ns: since(n.cache_hit.ns, w.cache_hit.ns),
            cache_miss_ns: since(n.cache_miss.ns, w.cache_miss.ns),
            batches: batches.collect(),
        }
    }

    /// Microseconds a request, of a sum of nanoseconds over all.
    pub fn us(&self, sum_ns: u64) -> u64 {
        sum_ns / 1000 / self.requests.max(1)
    }

    /// What is left of a request's time, in microseconds.
    pub fn overhead_us(&self) -> u64 {
        let known = self.queue_ns + self.input_ns + self.infer_ns + self.output_ns;
        self.us(self.request_ns.saturating_sub(known + self.cache_hit_ns + self.cache_miss_ns))
    }
}

impl AddAssign<&Split> for Split {
    fn add_assign(&mut self, other: &Split) {
        self.inferences += other.inferences;
        self.executions += other.executions;
        self.requests += other.requests;
        self.request_ns += other.request_ns;
        self.queue_ns += other.queue_ns;
        self.input_ns += other.input_ns;
        self.infer_ns += other.infer_ns;
        self.output_ns += other.output_ns;
        self.cache_hits += other.cache_hits;
        self.cache_hit_ns += other.cache_hit_ns;
        self.cache_miss_ns += other.cache_miss_ns;
        for (&size, &count) in &other.batches {
            *self.batches.entry(size).or_default() += count;
        }
    }
}

/// What processes took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time.
    pub cpu: Duration,
    /// Resident memory in bytes: the sum over samples, how many there were, and the largest.
    pub rss_sum: u64,
    /// See `rss_sum`.
    pub samples: u64,
    /// See `rss_sum`.
    pub rss_peak: u64,
}

impl AddAssign<&Usage> for Usage {
    fn add_assign(&mut self, other: &Usage) {
        self.cpu += other.cpu;
        self.rss_sum += other.rss_sum;
        self.samples += other.samples;
        self.rss_peak = self.rss_peak.max(other.rss_peak);
    }
}
