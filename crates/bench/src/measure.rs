//! One load, measured: windows until they agree, and what the last of them say together.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::export::History;
use crate::latency::Latencies;
use crate::reading::{Between, Probe, Reading};
use crate::stability::{Figures, Trials, Verdict, WINDOWS};
use crate::stop::Stop;
use crate::tally::{Progress, Recorder, Tally, take};

/// A window of a count of requests ends when nothing was answered for so long.
const STALLED: Duration = Duration::from_secs(30);

/// How a load is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// When a window ends.
    pub window: WindowRule,
    /// Requests that are sent before and not counted.
    pub warm_up: u64,
    /// By how many percent figures of windows may differ.
    pub stability_percent: f64,
    /// The latency that is looked at.
    pub metric: Metric,
    /// No more windows than these.
    pub max_trials: usize,
    /// The highest latency that is wanted.
    pub threshold: Option<Duration>,
}

/// When a window ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowRule {
    /// After a time.
    Time(Duration),
    /// After so many requests.
    Count(u64),
    /// After all requests, of which there are so many; there is one window.
    All(u64),
}

/// The latency that is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// The mean.
    Mean,
    /// A percentile.
    Percentile(f64),
}

impl Metric {
    /// Which percentile it is.
    pub fn percentile(self) -> Option<f64> {
        match self {
            Self::Mean => None,
            Self::Percentile(percent) => Some(percent),
        }
    }

    /// Its value.
    pub fn of(self, latencies: &Latencies) -> Duration {
        match self {
            Self::Mean => latencies.mean(),
            Self::Percentile(percent) => latencies.percentile(percent),
        }
    }
}

/// What was seen in a time.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// How long it was.
    pub time: Duration,
    /// What the client counted.
    pub tally: Tally,
    /// What was read of the server.
    pub server: Between,
}

impl Window {
    /// Successful requests a second.
    pub fn rate(&self) -> f64 {
        self.tally.latencies.count() as f64 / self.time.as_secs_f64().max(1e-9)
    }

    fn merge(&mut self, other: &Self) {
        self.time += other.time;
        self.tally.merge(&other.tally);
        self.server.merge(&other.server);
    }
}

/// What was seen of one load.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// The last windows in one.
    pub result: Window,
    /// How many windows there were.
    pub windows: usize,
    /// Whether the last ones agreed.
    pub stable: bool,
    /// All windows, request by request, where requests are kept.
    pub history: History,
}

impl Measured {
    /// Whether the load was carried within the threshold, where there is one: something was answered, nothing was
    /// refused (a refusal is quick, and has no latency), and the latency is not above it.
    pub fn is_within(&self, rules: &Rules) -> bool {
        let tally = &self.result.tally;
        let latencies = &tally.latencies;
        rules.threshold.is_none_or(|most| {
            tally.failed() == 0 && latencies.count() > 0 && rules.metric.of(latencies) <= most
        })
    }
}

/// Where the workers of a load count.
#[derive(Debug, Clone, Copy)]
pub struct Counts<'a> {
    /// A recorder for each thread.
    pub recorders: &'a [Arc<Recorder>],
    /// What was begun and done, on all threads.
    pub progress: &'a Progress,
}

/// The time right before the first request of a load, and what the server said then.
#[derive(Debug)]
pub struct Beginning {
    at: Instant,
    reading: Reading,
}

impl Beginning {
    /// Now.
    pub async fn now(probe: &mut impl Probe) -> Self {
        let reading = probe.read().await;
        Self { at: Instant::now(), reading }
    }
}

/// Measures what is counted from `beginning` on until the windows agree, there were enough, or `stop`.
pub async fn measure(
    Counts { recorders, progress }: Counts<'_>,
    beginning: Beginning,
    probe: &mut impl Probe,
    rules: &Rules,
    stop: &Stop,
) -> Measured {
    let Beginning { at: mut began, mut reading } = beginning;
    if rules.warm_up > 0 {
        tokio::select! {
            () = answered(progress, rules.warm_up) => {}
            () = stop.requested() => {}
        }
        take(recorders);
        began = Instant::now();
        reading = probe.read().await;
    }
    let mut trials = Trials::new(rules.stability_percent, rules.max_trials, rules.threshold);
    let mut windows: Vec<Window> = Vec::new();
    let mut history = History { requests: Vec::new(), boundaries: vec![began] };
    let mut stable = false;
    loop {
        let over = async {
            match rules.window {
                WindowRule::Time(time) => tokio::time::sleep_until(began + time).await,
                WindowRule::Count(count) => answered(progress, progress.done() + count).await,
                // Some may have been answered before anybody looked.
                WindowRule::All(count) => answered(progress, rules.warm_up + count).await,
            }
        };
        let mut ended_early = false;
        tokio::select! {
            () = probe.sample() => {}
            () = over => {}
            () = stop.requested() => ended_early = true,
        }
        let (mut tally, now) = (take(recorders), Instant::now());
        history.requests.append(&mut tally.exchanges);
        history.boundaries.push(now);
        let after = probe.read().await;
        let window = Window { time: now - began, tally, server: probe.between(&reading, &after) };
        (began, reading) = (now, after);
        let figures =
            Figures { throughput: window.rate(), latency: rules.metric.of(&window.tally.latencies) };
        let in_vain = window.tally.latencies.count() == 0 && window.tally.failed() > 0;
        windows.push(window);
        if ended_early || in_vain || matches!(rules.window, WindowRule::All(_)) {
            break;
        }
        match trials.push(figures) {
            Verdict::Continue => {}
            verdict => {
                stable = verdict == Verdict::Stable;
                break;
            }
        }
    }
    let count = windows.len();
    let last = windows.split_off(count.saturating_sub(WINDOWS));
    let mut result = Window::default();
    last.iter().for_each(|window| result.merge(window));
    Measured { result, windows: count, stable, history }
}

/// Resolves when `count` requests are done, or nothing was for long.
async fn answered(progress: &Progress, count: u64) {
    loop {
        let before = progress.done();
        tokio::select! {
            () = progress.until(count) => return,
            () = tokio::time::sleep(STALLED) => if progress.done() == before {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
