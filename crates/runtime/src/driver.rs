//! The shell around the [`Batcher`]: a lock, a clock and a condition variable.
//!
//! There is no scheduler thread: an instance that is free polls the batcher itself, so a job crosses one lock between
//! preparing and running, and a batch forms exactly when somebody can run it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tintype_core::Result;

use crate::batcher::{BatchPolicy, Batcher, Decision, Next};
use crate::job::{Job, Ran, Ticket};
use crate::sequencer::Sequencer;

/// A job that ran, and what came of it.
type Finished = (Ticket, Result<Ran>);

/// One model's prepared jobs.
#[derive(Debug)]
pub(crate) struct ReadyQueue {
    state: Mutex<State>,
    /// Where answers keep the order of requests.
    order: Option<Mutex<Sequencer<Finished>>>,
    /// Instances wait here, and nobody else: `notify_one` must reach one of them.
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    batcher: Batcher<Job>,
    /// Instances that wait for work.
    idle: usize,
    /// Whether somebody will call [`ReadyQueue::wake`].
    waking: bool,
    closed: bool,
}

/// What is left to do for a job that was pushed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Nothing: an instance will see it.
    Seen,
    /// To call [`ReadyQueue::wake`].
    Wake,
}

impl ReadyQueue {
    pub(crate) fn new(policy: BatchPolicy, preserve_ordering: bool) -> Self {
        let state = State { batcher: Batcher::new(policy), idle: 0, waking: false, closed: false };
        let order = preserve_ordering.then(|| Mutex::new(Sequencer::new()));
        Self { state: Mutex::new(state), order, wake: Condvar::new() }
    }

    /// Jobs waiting.
    pub(crate) fn len(&self) -> usize {
        self.lock().batcher.len()
    }

    /// Adds a job; hands it back when the queue is closed. No instance is woken yet.
    pub(crate) fn push(&self, job: Job) -> Result<Pushed, Box<Job>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Box::new(job));
        }
        state.batcher.push(job.ready, job);
        if state.idle == 0 || std::mem::replace(&mut state.waking, true) {
            return Ok(Pushed::Seen);
        }
        Ok(Pushed::Wake)
    }

    /// Wakes an instance for what was pushed.
    pub(crate) fn wake(&self) {
        let mut state = self.lock();
        state.waking = false;
        let wake = state.idle > 0;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Blocks until there is a batch; `None` once the queue is closed.
    pub(crate) fn next_batch(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            let idle = state.idle + 1;
            let Decision { dead, next } = state.batcher.poll(Instant::now(), idle);
            if let Next::Run(mut batch) = next {
                if let Some(order) = &self.order {
                    // Under both locks: turns are given in the order in which jobs leave the queue.
                    let mut order = lock(order);
                    batch.iter_mut().for_each(|job| job.turn = Some(order.begin()));
                }
                let wake_another = state.idle > 0 && !state.batcher.is_empty();
                drop(state);
                if wake_another {
                    self.wake.notify_one();
                }
                bury(dead);
                return Some(batch);
            }
            if !dead.is_empty() {
                // Burying gives back places and permits, under locks that are not ours: outside of this one.
                drop(state);
                bury(dead);
                state = self.lock();
                continue;
            }
            state.idle += 1;
            state = match next {
                Next::WaitUntil(time) => {
                    let timeout = time.saturating_duration_since(Instant::now());
                    self.wake.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0
                }
                _ => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.idle -= 1;
        }
    }

    /// Answers a job that ran, now or when those before it have been answered.
    pub(crate) fn answer(&self, ticket: Ticket, turn: Option<u64>, result: Result<Ran>) {
        match (&self.order, turn) {
            (Some(order), Some(turn)) => {
                let ready = lock(order).finish(turn, (ticket, result));
                ready.into_iter().for_each(|(ticket, result)| ticket.answer(result));
            }
            _ => ticket.answer(result),
        }
    }

    /// Learns that a batch of `rows` rows took `time`.
    pub(crate) fn took(&self, rows: usize, time: Duration) {
        self.lock().batcher.took(rows, time);
    }

    /// Takes no more jobs and sends the instances home; what still waited comes back.
    pub(crate) fn close(&self) -> Vec<Job> {
        let mut state = self.lock();
        state.closed = true;
        let left = state.batcher.take_all();
        drop(state);
        self.wake.notify_all();
        left
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bury(dead: Vec<Job>) {
    dead.into_iter().for_each(|job| job.ticket.bury());
}
