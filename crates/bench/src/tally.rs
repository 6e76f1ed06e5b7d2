//! What workers count, and where: a [`Recorder`] for each thread, emptied whenever a window closes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::driver::Stages;
use crate::latency::Latencies;

/// Kinds of errors that are told apart; later ones count together.
const MOST_ERRORS: usize = 20;

/// What was counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Of the requests that succeeded.
    pub latencies: Latencies,
    /// Where their time went, in all.
    pub stages: Stages,
    /// How often each error was seen.
    pub errors: BTreeMap<String, u64>,
    /// Requests of an open loop that started late.
    pub delayed: u64,
    /// Each request that succeeded, where they are kept.
    pub exchanges: Vec<Exchange>,
}

/// A request that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// From when its latency counts: in an open loop, when it was to start.
    pub began: Instant,
    /// When its answer had come.
    pub ended: Instant,
}

/// Whether each request is kept, with its times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// Only figures.
    #[default]
    Figures,
    /// Each: some thirty bytes.
    Exchanges,
}

impl Tally {
    /// Counts what `other` has too.
    pub fn merge(&mut self, other: &Self) {
        self.latencies.merge(&other.latencies);
        self.stages += other.stages;
        for (error, count) in &other.errors {
            self.count_error(error, *count);
        }
        self.delayed += other.delayed;
        self.exchanges.extend_from_slice(&other.exchanges);
    }

    /// Requests that failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    fn count_error(&mut self, error: &str, count: u64) {
        if let Some(known) = self.errors.get_mut(error) {
            *known += count;
        } else {
            let name = if self.errors.len() < MOST_ERRORS { error } else { "other errors" };
            *self.errors.entry(name.to_owned()).or_default() += count;
        }
    }
}

/// Where the workers of one thread count.
#[derive(Debug)]
pub struct Recorder {
    tally: Mutex<Tally>,
    progress: Arc<Progress>,
    keep: Keep,
}

impl Recorder {
    /// One that counted nothing yet, and keeps figures.
    pub fn new(progress: Arc<Progress>) -> Self {
        Self { tally: Mutex::default(), progress, keep: Keep::Figures }
    }

    /// The same, keeping what `keep` says.
    #[must_use]
    pub fn keeping(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// Which requests were begun and done, on all threads.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(crate) fn succeeded(&self, latency: Duration, stages: Stages) {
        let exchange = (self.keep == Keep::Exchanges).then(|| {
            let ended = Instant::now();
            Exchange { began: ended.checked_sub(latency).unwrap_or(ended), ended }
        });
        self.with(|tally| {
            tally.latencies.record(latency);
            tally.stages += stages;
            tally.exchanges.extend(exchange);
        });
        self.progress.finish_one();
    }

    pub(crate) fn failed(&self, error: &str) {
        self.with(|tally| tally.count_error(error, 1));
        self.progress.failed.fetch_add(1, Ordering::Relaxed);
        self.progress.finish_one();
    }

    pub(crate) fn delayed(&self) {
        self.with(|tally| tally.delayed += 1);
    }

    fn with<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        // Nothing here can panic half way.
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What all `recorders` counted since they were emptied; they are empty then.
pub(crate) fn take(recorders: &[Arc<Recorder>]) -> Tally {
    let mut all = Tally::default();
    for recorder in recorders {
        all.merge(&recorder.with(std::mem::take));
    }
    all
}

/// Which requests were begun and done, on all threads.
#[derive(Debug)]
pub struct Progress {
    begun: AtomicU64,
    /// How many may begin.
    most: u64,
    done: AtomicU64,
    /// How many of these failed; recorders are emptied, this is not.
    failed: AtomicU64,
    /// How many were due and never begun, also where no more may begin.
    overdue: AtomicU64,
    /// How many to be done somebody waits for.
    awaited: AtomicU64,
    reached: Notify,
}

impl Progress {
    /// At most `most` requests may begin.
    pub fn new(most: Option<u64>) -> Self {
        Self {
            begun: AtomicU64::new(0),
            most: most.unwrap_or(u64::MAX),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            overdue: AtomicU64::new(0),
            awaited: AtomicU64::new(u64::MAX),
            reached: Notify::new(),
        }
    }

    /// The number of a request that may begin; `None` when all have.
    pub(crate) fn begin(&self) -> Option<u64> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        (number < self.most).then_some(number)
    }

    /// How many are done, successful or not.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// How many failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Counts `count` that were due at the end and never begun.
    pub(crate) fn overdue(&self, count: u64) {
        self.overdue.fetch_add(count, Ordering::Relaxed);
    }

    /// How many were due, might have begun, and did not.
    pub(crate) fn unsent(&self) -> u64 {
        let left = self.most.saturating_sub(self.begun.load(Ordering::Relaxed));
        self.overdue.load(Ordering::Relaxed).min(left)
    }

    /// How many were begun and are not done.
    pub(crate) fn under_way(&self) -> u64 {
        self.begun.load(Ordering::Relaxed).min(self.most).saturating_sub(self.done())
    }

    /// Waits until `count` are done. For one caller at a time.
    pub(crate) async fn until(&self, count: u64) {
        self.awaited.store(count, Ordering::SeqCst);
        while self.done.load(Ordering::SeqCst) < count {
            // `notify_one` keeps a permit where nobody waits yet.
            self.reached.notified().await;
        }
        self.awaited.store(u64::MAX, Ordering::SeqCst);
    }

    fn finish_one(&self) {
        let done = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        if done >= self.awaited.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_errors_are_bounded_and_none_is_lost() {
        let mut tally = Tally::default();
        for i in 0..1000 {
            tally.count_error(&format!("error {i}"), 1);
        }
        assert_eq!(tally.failed(), 1000);
        assert_eq!(tally.errors.len(), MOST_ERRORS + 1);
    }
}
