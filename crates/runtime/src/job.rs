//! A request on its way through the queues.

use std::time::Instant;

use tintype_core::{Error, ErrorKind, Result, Tensor};
use tokio::sync::oneshot;

use crate::admission::Permit;
use crate::batcher::Queued;
use crate::prepare::Place;

/// The caller's end of a request: who waits, until when, and the place it holds.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Closed when the caller's future was dropped: the one sign of cancellation.
    reply: oneshot::Sender<Result<Vec<Tensor>>>,
    deadline: Option<Instant>,
    /// Given back when the ticket is answered or dropped.
    permit: Permit,
}

impl Ticket {
    pub(crate) fn new(
        reply: oneshot::Sender<Result<Vec<Tensor>>>,
        deadline: Option<Instant>,
        permit: Permit,
    ) -> Self {
        Self { reply, deadline, permit }
    }

    /// Whether nobody would use an answer any more.
    pub(crate) fn is_dead(&self, now: Instant) -> bool {
        self.reply.is_closed() || self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Answers a caller that may still wait.
    pub(crate) fn answer(self, result: Result<Vec<Tensor>>) {
        // In this order, so that a caller who has its answer is seen to have left.
        drop(self.permit);
        // The caller may have gone; its own future has counted that.
        let _ = self.reply.send(result);
    }

    /// Answers a dead request: it expired, or the caller has gone and does not hear it.
    pub(crate) fn bury(self) {
        self.answer(Err(expired()));
    }
}

/// The deadline passed.
pub(crate) fn expired() -> Error {
    Error::new(ErrorKind::DeadlineExceeded, "the deadline passed before the answer was computed")
}

/// A request with its input tensors, ready to run.
#[derive(Debug)]
pub(crate) struct Job {
    /// One tensor for each input of the model, all with `rows` rows.
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) rows: usize,
    pub(crate) ticket: Ticket,
    /// When it was ready.
    pub(crate) ready: Instant,
    /// Its place among the prepared, given back when it runs.
    pub(crate) place: Option<Place>,
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

    fn deadline(&self) -> Option<Instant> {
        self.ticket.deadline
    }

    fn is_cancelled(&self) -> bool {
        self.ticket.reply.is_closed()
    }
}
