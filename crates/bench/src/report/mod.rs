//! What was measured, in figures, and its forms: text as perf_analyzer prints it, CSV, JSON, and a page.

mod chart;
mod compare;
mod csv;
mod figures;
mod page;
mod text;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::arrivals::Distribution;
use crate::generator::Ending;
use crate::latency::LatencySummary;
use crate::measure::{Measured, WindowRule};
use crate::profile::{Loads, Profile};
use crate::reading::{Split, Usage};

pub use compare::compare;
pub use csv::{Columns, to_csv};
pub use figures::{GpuFigures, MetricsFigures, ProcessFigures};
pub use page::to_html;
pub use text::{head, level, summary};

/// A measurement, load by load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The program and its version.
    pub tool: String,
    /// What was measured: an address, or a model's path.
    pub target: String,
    /// The model; empty where none was named.
    pub model: String,
    /// The kind of server, in capitals as perf_analyzer has it.
    pub service: String,
    /// How it was asked: `HTTP`, `gRPC`, or `in-process`.
    pub protocol: String,
    /// Whether tensors went through system shared memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared_memory: bool,
    /// How it was measured.
    pub settings: Settings,
    /// Seconds from the start of the server to its first good answer, where it was started for this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_up_s: Option<f64>,
    /// Each load, in the order of measuring.
    pub levels: Vec<Level>,
    /// Whether it was ended before its time.
    pub interrupted: bool,
}

/// How loads were measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// What a load is.
    pub load: LoadKind,
    /// The highest load that was to be measured.
    pub limit: f64,
    /// Rows of a request.
    pub batch_size: usize,
    /// Milliseconds of a window, where windows are of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// Requests of a window, where they are of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_requests: Option<u64>,
    /// Whether there is one window with all requests.
    pub one_window: bool,
    /// The percentile that is looked at, instead of the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentile: Option<f64>,
    /// By how many percent windows may differ.
    pub stability_percent: f64,
    /// The highest latency that is wanted, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold_ms: Option<f64>,
    /// Threads that sent.
    pub threads: usize,
}

/// What a load is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadKind {
    /// Requests under way.
    Concurrency,
    /// Starts a second, at equal distances.
    ConstantRate,
    /// Starts a second, as a Poisson process.
    PoissonRate,
    /// Starts a second in the mean, at recorded distances.
    Recorded,
}

impl LoadKind {
    /// What a load is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::Concurrency => "Concurrency",
            Self::ConstantRate | Self::PoissonRate | Self::Recorded => "Request Rate",
        }
    }

    /// The same in a sentence, with the distribution.
    fn described(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::ConstantRate => "constant request rate",
            Self::PoissonRate => "poisson request rate",
            Self::Recorded => "request rate with recorded intervals",
        }
    }
}

impl Settings {
    /// Those of `profile`.
    pub fn new(profile: &Profile) -> Self {
        let load = match profile.loads {
            Loads::Concurrency(_) => LoadKind::Concurrency,
            Loads::Rate { distribution: Distribution::Constant, .. } => LoadKind::ConstantRate,
            Loads::Rate { distribution: Distribution::Poisson, .. } => LoadKind::PoissonRate,
            Loads::Replay { .. } => LoadKind::Recorded,
        };
        let (window_ms, window_requests, one_window) = match profile.rules.window {
            WindowRule::Time(time) => (u64::try_from(time.as_millis()).ok(), None, false),
            WindowRule::Count(count) => (None, Some(count), false),
            WindowRule::All(count) => (None, Some(count), true),
        };
        Self {
            load,
            limit: profile.loads.range().end,
            batch_size: profile.batch_size,
            window_ms,
            window_requests,
            one_window,
            percentile: profile.rules.metric.percentile(),
            stability_percent: profile.rules.stability_percent,
            threshold_ms: profile.rules.threshold.map(|most| most.as_secs_f64() * 1e3),
            threads: profile.threads,
        }
    }
}

/// What was seen of one load: the last windows in one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// The load.
    pub load: f64,
    /// Whether the last windows agreed.
    pub stable: bool,
    /// Whether the latency was within the threshold; so without one.
    pub within: bool,
    /// How many windows were measured.
    pub windows: usize,
    /// Seconds that the figures are of.
    pub seconds: f64,
    /// Requests that succeeded.
    pub requests: u64,
    /// Inferences a second.
    pub throughput: f64,
    /// Their latency; in an open loop from the intended start on.
    pub latency: LatencySummary,
    /// The mean of handing requests over, in microseconds.
    pub send_us: f64,
    /// The mean of waiting for the beginning of the answer.
    pub wait_us: f64,
    /// The mean from there to its end.
    pub receive_us: f64,
    /// Requests that failed in those windows, by what was said.
    pub errors: BTreeMap<String, u64>,
    /// Requests of an open loop that started more than a millisecond late.
    pub delayed: u64,
    /// Requests of an open loop that were due during the whole load and never sent.
    pub unsent: u64,
    /// Requests without an answer at the end of the load.
    pub unanswered: u64,
    /// Requests that failed at any time of the load, also before the windows that the figures are of.
    #[serde(default)]
    pub failed_ever: u64,
    /// What the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Split>,
    /// What the server's processes took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessFigures>,
    /// What the server's metrics say, where they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsFigures>,
    /// Of this program: percent of one core.
    pub client_cpu_percent: f64,
}

impl Level {
    /// The figures of `measured`.
    pub fn new(load: f64, measured: &Measured, ending: Ending, profile: &Profile) -> Self {
        let window = &measured.result;
        let (tally, seconds) = (&window.tally, window.time.as_secs_f64());
        let requests = tally.latencies.count();
        let mean_us = |time: Duration| time.as_secs_f64() * 1e6 / requests.max(1) as f64;
        let share = |cpu: Duration| 100.0 * cpu.as_secs_f64() / seconds.max(1e-9);
        let figures = |usage: Usage| ProcessFigures {
            cpu_percent: share(usage.cpu),
            cpu_ms_per_request: mean_us(usage.cpu) / 1e3,
            rss_mib: usage.rss_sum as f64 / usage.samples.max(1) as f64 / f64::from(1 << 20),
            rss_peak_mib: usage.rss_peak as f64 / f64::from(1 << 20),
        };
        Self {
            load,
            stable: measured.stable,
            within: measured.is_within(&profile.rules),
            windows: measured.windows,
            seconds,
            requests,
            throughput: window.rate() * profile.batch_size as f64,
            latency: tally.latencies.summary(profile.rules.metric.percentile()),
            send_us: mean_us(tally.stages.send),
            wait_us: mean_us(tally.stages.wait),
            receive_us: mean_us(tally.stages.receive),
            errors: tally.errors.clone(),
            delayed: tally.delayed,
            unsent: ending.unsent,
            unanswered: ending.unanswered,
            failed_ever: ending.failed,
            // A server that counted nothing counts something else.
            server: window.server.split.clone().filter(|split| split.requests > 0),
            process: window.server.usage.map(figures),
            metrics: window.server.gpus.as_ref().map(MetricsFigures::from),
            client_cpu_percent: share(window.server.own_cpu),
        }
    }

    /// Whether every request of the whole load was answered well, and there were any.
    pub fn all_answered(&self) -> bool {
        self.requests > 0 && self.failed_ever == 0 && self.failed() == 0
    }

    /// Whether the last windows disagreed; a single one with all requests has nothing to agree with.
    pub fn unsettled(&self, settings: &Settings) -> bool {
        !self.stable && !settings.one_window
    }

    /// Requests that failed in the windows that the figures are of, and those without an answer at the end.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum::<u64>() + self.unanswered
    }

    /// The latency that `settings` look at, in microseconds.
    pub fn latency_us(&self, settings: &Settings) -> f64 {
        settings.percentile.map_or(self.latency.avg_us, |p| self.latency.at(p))
    }

    /// What is neither the server's nor the client's own time of a request, in microseconds.
    fn network_us(&self, split: &Split) -> f64 {
        let inside = split.queue_ns + split.input_ns + split.infer_ns + split.output_ns;
        let cache = split.cache_hit_ns + split.cache_miss_ns;
        (self.latency.avg_us - self.send_us - self.receive_us - split.us(inside + cache) as f64).max(0.0)
    }
}
