//! Every request of a measurement with its times, in the JSON of perf_analyzer's `--profile-export-file`.
//!
//! Inputs and outputs are left out: they would be the same ones thousands of times. So are requests that failed, which
//! readers of this format take for answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tintype_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::report::{LoadKind, Report};
use crate::tally::Exchange;

/// What was seen of one load, request by request.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Those that were answered, by the end of their answers within a thread.
    pub requests: Vec<Exchange>,
    /// Where a window begins, and where it ends and the next begins.
    pub boundaries: Vec<Instant>,
}

/// What is exported, load by load.
#[derive(Debug, Clone)]
pub struct ProfileExport {
    experiments: Vec<Experiment>,
    clock: Clock,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    experiments: &'a [Experiment],
    version: &'a str,
    service_kind: String,
    /// Of servers that speak OpenAI's protocol; others have none there.
    endpoint: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Experiment {
    experiment: Mode,
    requests: Vec<Request>,
    window_boundaries: Vec<u64>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "mode", content = "value", rename_all = "snake_case")]
enum Mode {
    Concurrency(u64),
    RequestRate(f64),
}

/// Times are nanoseconds since 1970.
#[derive(Debug, Clone, Serialize)]
struct Request {
    timestamp: u64,
    request_inputs: Nothing,
    response_timestamps: [u64; 1],
    response_outputs: [Nothing; 1],
}

/// An object without members.
#[derive(Debug, Clone, Copy, Serialize)]
struct Nothing {}

impl ProfileExport {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { experiments: Vec::new(), clock: Clock::now() }
    }

    /// The document; `report` says of what program and kind of server.
    ///
    /// # Errors
    /// `Internal` when it is no JSON.
    pub fn to_json(&self, report: &Report) -> Result<String> {
        let document = Document {
            experiments: &self.experiments,
            version: &report.tool,
            service_kind: report.service.to_lowercase(),
            endpoint: "",
        };
        serde_json::to_string(&document).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))
    }

    /// Adds the load `load` of `report`.
    pub fn add(&mut self, report: &Report, load: f64, history: &History) {
        let experiment = match report.settings.load {
            LoadKind::Concurrency => Mode::Concurrency(load as u64),
            LoadKind::ConstantRate | LoadKind::PoissonRate | LoadKind::Recorded => Mode::RequestRate(load),
        };
        let request = |exchange: &Exchange| Request {
            timestamp: self.clock.nanos(exchange.began),
            request_inputs: Nothing {},
            response_timestamps: [self.clock.nanos(exchange.ended)],
            response_outputs: [Nothing {}],
        };
        let mut requests: Vec<Request> = history.requests.iter().map(request).collect();
        requests.sort_by_key(|request| request.timestamp);
        let window_boundaries = history.boundaries.iter().map(|&at| self.clock.nanos(at)).collect();
        self.experiments.push(Experiment { experiment, requests, window_boundaries });
    }
}

impl Default for ProfileExport {
    fn default() -> Self {
        Self::new()
    }
}

/// Two clocks at one time: the one that never jumps, and the calendar's.
#[derive(Debug, Clone, Copy)]
struct Clock {
    at: Instant,
    since_1970: Duration,
}

impl Clock {
    fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: Instant::now(), since_1970 }
    }

    fn nanos(&self, at: Instant) -> u64 {
        let earlier = self.at.saturating_duration_since(at);
        let time = (self.since_1970 + at.saturating_duration_since(self.at)).saturating_sub(earlier);
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_perf_analyzers() {
        let mut report = crate::report::tests::plain();
        let mut export = ProfileExport::new();
        let at = export.clock.at;
        export.clock.since_1970 = Duration::from_secs(1_700_000_000);
        let ms = |ms: u64| at + Duration::from_millis(ms);
        let exchange = |began, ended| Exchange { began: ms(began), ended: ms(ended) };
        let requests = vec![exchange(2, 4), exchange(1, 5)];
        export.add(&report, 2.0, &History { requests, boundaries: vec![ms(0), ms(10)] });
        report.settings.load = LoadKind::PoissonRate;
        export.add(&report, 2.5, &History::default());
        let expected = serde_json::json!({
            "experiments": [
                {
                    "experiment": {"mode": "concurrency", "value": 2},
                    "requests": [
                        {
                            "timestamp": 1_700_000_000_001_000_000u64,
                            "request_inputs": {},
                            "response_timestamps": [1_700_000_000_005_000_000u64],
                            "response_outputs": [{}]
                        },
                        {
                            "timestamp": 1_700_000_000_002_000_000u64,
                            "request_inputs": {},
                            "response_timestamps": [1_700_000_000_004_000_000u64],
                            "response_outputs": [{}]
                        }
                    ],
                    "window_boundaries": [1_700_000_000_000_000_000u64, 1_700_000_000_010_000_000u64]
                },
                {
                    "experiment": {"mode": "request_rate", "value": 2.5},
                    "requests": [],
                    "window_boundaries": []
                }
            ],
            "version": "tintype 0",
            "service_kind": "triton",
            "endpoint": ""
        });
        let document: serde_json::Value = serde_json::from_str(&export.to_json(&report).unwrap()).unwrap();
        assert_eq!(document, expected);
    }

    #[test]
    fn times_before_the_clock_was_read_are_earlier() {
        let clock = Clock { at: Instant::now(), since_1970: Duration::from_secs(10) };
        assert_eq!(clock.nanos(clock.at - Duration::from_secs(1)), 9_000_000_000);
        assert_eq!(clock.nanos(clock.at + Duration::from_secs(1)), 11_000_000_000);
    }
}
