//! The prepare pool: threads that decode and preprocess before a request is queued for the model.
//!
//! By then every image has the model's shape, so pictures of any size share batches, and a bad one has failed alone.
//! The pool serves all models; which request is next is decided in [`lanes`](crate::lanes).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tintype_core::{Error, ErrorKind, Result, Scratch};

use crate::job::{Job, Ticket};
use crate::lanes::{LaneId, Lanes};
use crate::model::Model;
use crate::stats::Stage;

/// A request whose image is still encoded.
#[derive(Debug)]
pub(crate) struct PrepareJob {
    pub(crate) model: Arc<Model>,
    pub(crate) image: Bytes,
    pub(crate) ticket: Ticket,
    pub(crate) accepted: Instant,
}

/// The requests that wait to be prepared.
#[derive(Debug)]
pub(crate) struct PrepareQueue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    lanes: Lanes<PrepareJob>,
    /// Threads that wait for work.
    idle: usize,
    closed: bool,
}

/// A place among a model's prepared jobs; given back on drop.
#[derive(Debug)]
pub(crate) struct Place {
    queue: Arc<PrepareQueue>,
    lane: LaneId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.change(|state| state.lanes.release(self.lane));
    }
}

impl PrepareQueue {
    pub(crate) fn new() -> Self {
        let state = State { lanes: Lanes::new(), idle: 0, closed: false };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Opens a model's lane with `places` places.
    pub(crate) fn open(&self, lane: LaneId, places: usize) {
        self.change(|state| state.lanes.open(lane, places));
    }

    /// Adds a request to its model's lane; hands it back when the lane is closed.
    pub(crate) fn push(&self, job: PrepareJob) -> Result<(), Box<PrepareJob>> {
        let lane = job.model.lane;
        self.change(|state| state.lanes.push(lane, job)).map_err(Box::new)
    }

    /// Closes every lane and sends the threads home; what still waited comes back.
    pub(crate) fn close(&self) -> Vec<PrepareJob> {
        let left = self.change(|state| {
            state.closed = true;
            state.lanes.close_all()
        });
        self.wake.notify_all();
        left
    }

    /// What one thread of the pool does until the queue is closed.
    pub(crate) fn work(self: &Arc<Self>) {
        let mut scratch = Scratch::default();
        while let Some((place, job)) = self.next() {
            prepare(job, place, &mut scratch);
        }
    }

    fn next(self: &Arc<Self>) -> Option<(Place, PrepareJob)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some((lane, job)) = state.lanes.pop() {
                return Some((Place { queue: self.clone(), lane }, job));
            }
            state.idle += 1;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Changes the lanes and wakes a thread that may now have work.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let wake = state.idle > 0;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prepares one request and queues it for its model, or answers it with the reason why not.
fn prepare(job: PrepareJob, place: Place, scratch: &mut Scratch) {
    let PrepareJob { model, image, ticket, accepted } = job;
    let started = Instant::now();
    if ticket.is_dead(started) {
        return ticket.bury();
    }
    model.stats.observe(Stage::Admission, started - accepted);
    let prepared = guarded(|| model.classifier.prepare(&image, scratch)).unwrap_or_else(|panic| {
        // A half-used scratch may be in any state.
        *scratch = Scratch::default();
        tracing::error!(model = %model.name, bytes = image.len(), panic, "preparing an image panicked");
        Err(Error::new(ErrorKind::Internal, format!("preparing the image panicked: {panic}")))
    });
    // The encoded image is not needed any more, and the queue may be long.
    drop(image);
    let ready = Instant::now();
    model.stats.observe(Stage::Prepare, ready - started);
    match prepared {
        Ok(tensor) => {
            let rows = tensor.shape().first().copied().unwrap_or(1);
            let job = Job { inputs: vec![tensor], rows, ticket, ready, place: Some(place) };
            if let Err(job) = model.queue.push(job) {
                job.ticket.answer(Err(model.not_ready("it is being unloaded")));
            }
        }
        Err(error) => ticket.answer(Err(error)),
    }
}

/// Runs `work`; a panic becomes its message.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
    })
}
