//! The prepare pool: threads that decode and preprocess before a request is queued for the model.
//!
//! By then every image has the model's shape, so pictures of any size share batches, and a bad one has failed alone.
//! The pool serves all models; which request is next is decided in [`lanes`](crate::lanes). A request of many images is
//! one thread's, and threads that are idle help it ([`Parts`]).

mod parts;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use parts::Parts;
use tintype_core::{Error, ErrorKind, Result, Scratch, Tensor};

use crate::driver::Pushed;
use crate::job::{Job, Ticket, Times};
use crate::lanes::{LaneId, Lanes};
use crate::pipeline::Pipeline;
use crate::stats::Stage;
use crate::trace::Activity;

/// A request whose images are still encoded.
#[derive(Debug)]
pub(crate) struct PrepareJob {
    pub(crate) pipeline: Arc<Pipeline>,
    /// One for each row; at least one.
    pub(crate) images: Vec<Bytes>,
    /// Its priority level, counted from 0.
    pub(crate) level: usize,
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
    lanes: Lanes<Box<PrepareJob>>,
    /// Requests of many images, on which threads work.
    shared: Vec<Arc<Parts>>,
    /// Threads that wait for work.
    idle: usize,
    closed: bool,
}

/// What a thread does next.
#[derive(Debug)]
enum Work {
    Prepare(Place, Box<PrepareJob>),
    Help(Arc<Parts>),
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
        let state = State { lanes: Lanes::new(), shared: Vec::new(), idle: 0, closed: false };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Opens a model's lane with `places` places.
    pub(crate) fn open(&self, lane: LaneId, places: usize) {
        self.change(|state| state.lanes.open(lane, places));
    }

    /// Adds a request to its model's lane; hands it back when the lane is closed.
    pub(crate) fn push(&self, job: PrepareJob) -> Result<(), Box<PrepareJob>> {
        let lane = job.pipeline.lane;
        self.change(|state| state.lanes.push(lane, Box::new(job)))
    }

    /// Closes a model's lane; what still waited in it comes back.
    pub(crate) fn close_lane(&self, lane: LaneId) -> Vec<PrepareJob> {
        unboxed(self.change(|state| state.lanes.close(lane)))
    }

    /// Closes every lane and sends the threads home; what still waited comes back.
    pub(crate) fn close(&self) -> Vec<PrepareJob> {
        let left = self.change(|state| {
            state.closed = true;
            state.lanes.close_all()
        });
        self.wake.notify_all();
        unboxed(left)
    }

    /// What one thread of the pool does until the queue is closed.
    pub(crate) fn work(self: &Arc<Self>) {
        let mut scratch = Scratch::default();
        while let Some(work) = self.next() {
            match work {
                Work::Prepare(place, job) => self.prepare(*job, place, &mut scratch),
                Work::Help(parts) => parts.help(&mut scratch),
            }
        }
    }

    fn next(self: &Arc<Self>) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            // What was begun comes first: somebody waits for it already.
            if let Some(parts) = state.shared.iter().find(|parts| !parts.is_taken()) {
                // Under the lock under which its own thread takes it away, so that it knows who helps.
                parts.join();
                return Some(Work::Help(parts.clone()));
            }
            if let Some((lane, job)) = state.lanes.pop() {
                return Some(Work::Prepare(Place { queue: self.clone(), lane }, job));
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

fn unboxed(jobs: impl IntoIterator<Item = Box<PrepareJob>>) -> Vec<PrepareJob> {
    jobs.into_iter().map(|job| *job).collect()
}

impl PrepareQueue {
    /// Prepares one request and queues it for its model, or answers it with the reason why not.
    fn prepare(&self, job: PrepareJob, place: Place, scratch: &mut Scratch) {
        let PrepareJob { pipeline, images, level, ticket, accepted } = job;
        let started = Instant::now();
        if ticket.is_dead(started) {
            return ticket.bury();
        }
        pipeline.stats.observe(Stage::Admission, started - accepted);
        let rows = images.len();
        // The encoded images are dropped on the way: they are not needed any more, and the queue may be long.
        let prepared = self.rows(&pipeline, images, scratch);
        let ready = Instant::now();
        pipeline.stats.observe(Stage::Prepare, ready - started);
        ticket.stamp(Activity::PrepareStart, started);
        ticket.stamp(Activity::PrepareEnd, ready);
        match prepared {
            Ok(tensor) => {
                let times = Times { queue: started - accepted, input: ready - started, ..Times::default() };
                let place = Some(place);
                let job = Job { inputs: vec![tensor], rows, level, ticket, ready, times, place, turn: None };
                match pipeline.queue.push(job) {
                    Ok(Pushed::Wake) => pipeline.queue.wake(),
                    Ok(Pushed::Seen) => {}
                    Err(job) => job.ticket.answer(Err(pipeline.not_ready("it is being unloaded"))),
                }
            }
            Err(error) => ticket.answer(Err(error)),
        }
    }

    /// `[rows, …]`, one row for each image.
    fn rows(&self, pipeline: &Arc<Pipeline>, images: Vec<Bytes>, scratch: &mut Scratch) -> Result<Tensor> {
        if let [image] = images.as_slice() {
            return decode(pipeline, image, scratch);
        }
        let of = pipeline.clone();
        let parts = Parts::new(images.len(), move |index, scratch| decode(&of, &images[index], scratch));
        let parts = Arc::new(parts);
        self.share(&parts);
        parts.work(scratch);
        self.change(|state| state.shared.retain(|shared| !Arc::ptr_eq(shared, &parts)));
        Tensor::concat(&parts.finish()?.iter().collect::<Vec<_>>())
    }

    /// Lets idle threads help.
    fn share(&self, parts: &Arc<Parts>) {
        let mut state = self.lock();
        state.shared.push(parts.clone());
        let helpers = parts.wanted().min(state.idle);
        drop(state);
        (0..helpers).for_each(|_| self.wake.notify_one());
    }
}

/// `[1, …]`
fn decode(pipeline: &Pipeline, image: &[u8], scratch: &mut Scratch) -> Result<Tensor> {
    guarded(|| pipeline.classifier()?.prepare(image, scratch)).unwrap_or_else(|panic| {
        // A half-used scratch may be in any state.
        *scratch = Scratch::default();
        tracing::error!(model = %pipeline.name, panic, "preparing an image panicked");
        Err(Error::new(ErrorKind::Internal, format!("preparing the image panicked: {panic}")))
    })
}

/// Runs `work`; a panic becomes its message.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
    })
}
