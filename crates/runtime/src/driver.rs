//! The shell around the [`Batcher`]: a lock, a clock and a condition variable.
//!
//! There is no scheduler thread: an instance that is free polls the batcher itself, so a job crosses one lock between
//! preparing and running, and a batch forms exactly when somebody can run it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::batcher::{BatchPolicy, Batcher, Decision, Next};
use crate::job::Job;

/// One model's prepared jobs.
#[derive(Debug)]
pub(crate) struct ReadyQueue {
    state: Mutex<State>,
    /// Instances wait here, and nobody else: `notify_one` must reach one of them.
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    batcher: Batcher<Job>,
    /// Instances that wait for work.
    idle: usize,
    closed: bool,
}

impl ReadyQueue {
    pub(crate) fn new(policy: BatchPolicy) -> Self {
        let state = State { batcher: Batcher::new(policy), idle: 0, closed: false };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Jobs waiting.
    pub(crate) fn len(&self) -> usize {
        self.lock().batcher.len()
    }

    /// Adds a job; hands it back when the queue is closed.
    pub(crate) fn push(&self, job: Job) -> Result<(), Box<Job>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Box::new(job));
        }
        state.batcher.push(job.ready, job);
        let wake = state.idle > 0;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
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
            if let Next::Run(batch) = next {
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
        // Nothing under this lock panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bury(dead: Vec<Job>) {
    dead.into_iter().for_each(|job| job.ticket.bury());
}
