//! A request on its way through the queues.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tintype_core::{Error, ErrorKind, Result, Tensor};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::admission::Permit;
use crate::batcher::Queued;
use crate::policy::Patience;
use crate::prepare::Place;
use crate::trace::{Activity, Trace};

/// What a run gave one of its requests.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The request's rows of every output, in the session's order.
    pub(crate) outputs: Vec<Tensor>,
    pub(crate) times: Times,
}

/// Where a request's time went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    /// Waiting to be prepared and to be run.
    pub(crate) queue: Duration,
    /// Decoding, preprocessing, gathering.
    pub(crate) input: Duration,
    /// Inside the engine.
    pub(crate) infer: Duration,
    /// Rows in the batch that it ran in; 0 for all but the first of a batch.
    pub(crate) batch: usize,
}

/// The caller's end of a request: who waits, until when, and the places it holds.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Closed when the caller's future was dropped: the one sign of cancellation.
    reply: oneshot::Sender<Result<Ran>>,
    pub(crate) patience: Patience,
    /// Set when it runs: from then on patience has no say. `None` where it rejects at no time.
    started: Option<Arc<AtomicBool>>,
    /// Given back when it runs, or never will.
    queued: Option<OwnedSemaphorePermit>,
    /// Given back when the ticket is answered or dropped.
    permit: Permit,
    /// Where its stages are noted, if they are.
    trace: Option<Arc<Trace>>,
}

impl Ticket {
    pub(crate) fn new(
        reply: oneshot::Sender<Result<Ran>>,
        patience: Patience,
        queued: Option<OwnedSemaphorePermit>,
        permit: Permit,
        trace: Option<Arc<Trace>>,
    ) -> Self {
        let started = patience.reject.map(|_| Arc::default());
        Self { reply, patience, started, queued, permit, trace }
    }

    /// Notes when the request reached `activity`, if that is asked for.
    pub(crate) fn stamp(&self, activity: Activity, at: Instant) {
        if let Some(trace) = &self.trace {
            trace.stamp(activity, at);
        }
    }

    /// When it is rejected, and what tells then whether it runs.
    pub(crate) fn rejected(&self) -> Option<(Instant, Arc<AtomicBool>)> {
        self.patience.reject.zip(self.started.clone())
    }

    /// When nobody would use an answer any more.
    fn end(&self) -> Option<Instant> {
        self.patience.deadline.into_iter().chain(self.patience.reject).min()
    }

    /// Whether nobody would use an answer any more.
    pub(crate) fn is_dead(&self, now: Instant) -> bool {
        self.reply.is_closed() || self.end().is_some_and(|end| end <= now)
    }

    /// It leaves the queue to be run.
    pub(crate) fn start(&mut self) {
        if let Some(started) = &self.started {
            started.store(true, Ordering::Relaxed);
        }
        self.queued = None;
    }

    /// Answers a caller that may still wait.
    pub(crate) fn answer(self, result: Result<Ran>) {
        // In this order, so that a caller who has its answer is seen to have left.
        drop(self.queued);
        drop(self.permit);
        drop(self.trace);
        // The caller may have gone; its own future has counted that.
        let _ = self.reply.send(result);
    }

    /// Answers a dead request: it expired, or the caller has gone and does not hear it.
    pub(crate) fn bury(self) {
        let passed = |end: Option<Instant>| end.is_some_and(|end| end <= Instant::now());
        let rejected = !passed(self.patience.deadline) && passed(self.patience.reject);
        self.answer(Err(if rejected { timed_out() } else { expired() }));
    }
}

/// The deadline passed.
pub(crate) fn expired() -> Error {
    Error::new(ErrorKind::DeadlineExceeded, "the deadline passed before the answer was computed")
}

/// The queue's policy gave the request up; the words are Triton's.
pub(crate) fn timed_out() -> Error {
    Error::new(ErrorKind::QueueTimeout, "Request timeout expired")
}

/// A request with its input tensors, ready to run.
#[derive(Debug)]
pub(crate) struct Job {
    /// One tensor for each input of the model, all with `rows` rows where the model takes batches.
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) rows: usize,
    /// Its priority level, counted from 0.
    pub(crate) level: usize,
    pub(crate) ticket: Ticket,
    /// When it was ready.
    pub(crate) ready: Instant,
    /// What it has spent so far.
    pub(crate) times: Times,
    /// Its place among the prepared, given back when it runs.
    pub(crate) place: Option<Place>,
    /// Its turn to be answered, where answers keep the order of requests.
    pub(crate) turn: Option<u64>,
}

impl Queued for Job {
    fn rows(&self) -> usize {
        self.rows
    }

    fn fits(&self, first: &Self) -> bool {
        self.inputs.len() == first.inputs.len()
            && self
                .inputs
                .iter()
                .zip(&first.inputs)
                .all(|(a, b)| a.dtype() == b.dtype() && a.shape().get(1..) == b.shape().get(1..))
    }

    fn level(&self) -> usize {
        self.level
    }

    fn deadline(&self) -> Option<Instant> {
        self.ticket.end()
    }

    fn postponed_from(&self) -> Option<Instant> {
        self.ticket.patience.postpone
    }

    fn is_cancelled(&self) -> bool {
        self.ticket.reply.is_closed()
    }
}
