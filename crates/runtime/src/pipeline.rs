//! What an engine's model is made of: the signature, the prepared jobs and the instances that run them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tintype_core::{Error, ErrorKind, ImageClassifier, Result, Signature};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::driver::ReadyQueue;
use crate::lanes::LaneId;
use crate::model::not_ready;
use crate::policy::{Levels, Scheduling};
use crate::stats::ModelStats;

/// What a model's requests, its instances and the prepare pool share.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) name: String,
    pub(crate) signature: Signature,
    pub(crate) lane: LaneId,
    /// Prepared jobs, which the instances take.
    pub(crate) queue: ReadyQueue,
    pub(crate) levels: Levels,
    /// Places of those who may wait, for each level that bounds them.
    places: Vec<Option<Arc<Semaphore>>>,
    pub(crate) stats: Arc<ModelStats>,
    instances: usize,
    /// Instances that can run, now.
    instances_up: AtomicUsize,
    /// Moving mean of what one request costs an instance, in microseconds.
    pace: AtomicU64,
}

impl Pipeline {
    pub(crate) fn new(
        name: &str,
        signature: Signature,
        lane: LaneId,
        scheduling: Scheduling,
        stats: Arc<ModelStats>,
    ) -> Self {
        let Scheduling { batch, levels, preserve_ordering, devices } = scheduling;
        let places = levels.policies.iter().map(|policy| policy.max_queue_size);
        Self {
            name: name.to_owned(),
            signature,
            lane,
            queue: ReadyQueue::new(batch, preserve_ordering),
            places: places.map(|size| size.map(|size| Arc::new(Semaphore::new(size)))).collect(),
            levels,
            stats,
            instances: devices.len(),
            instances_up: AtomicUsize::new(0),
            pace: AtomicU64::new(0),
        }
    }

    /// What makes tensors of images.
    ///
    /// # Errors
    /// `Unsupported` when the model takes tensors only.
    pub(crate) fn classifier(&self) -> Result<&ImageClassifier> {
        self.signature.classifier().ok_or_else(|| {
            let message = format!("model `{}` takes tensors, not images", self.name);
            Error::new(ErrorKind::Unsupported, message).with_hint("add `[preprocess]` to its `tintype.toml`")
        })
    }

    /// A place in the queue of `level`, where that is bounded.
    ///
    /// # Errors
    /// `Overloaded` when it is full.
    pub(crate) fn enqueue(&self, level: usize) -> Result<Option<OwnedSemaphorePermit>> {
        let Some(Some(places)) = self.places.get(level) else { return Ok(None) };
        match places.clone().try_acquire_owned() {
            Ok(place) => Ok(Some(place)),
            Err(_) => Err(Error::new(ErrorKind::Overloaded, "Exceeds maximum queue size")),
        }
    }

    /// Refuses a request that cannot be answered by its deadline, `ahead` others being before it.
    ///
    /// # Errors
    /// `DeadlineExceeded`, saying how long it would take.
    pub(crate) fn check_deadline(&self, deadline: Option<Instant>, ahead: usize) -> Result<()> {
        let Some(deadline) = deadline else { return Ok(()) };
        let pace = Duration::from_micros(self.pace.load(Ordering::Relaxed));
        let turns = ahead / self.instances.max(1) + 1;
        let needed = pace.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX));
        let left = deadline.saturating_duration_since(Instant::now());
        if needed <= left {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::DeadlineExceeded,
            format!("the deadline is {left:.0?} away, and an answer would take about {needed:.0?}"),
        ))
    }

    /// Learns what one request of a batch cost an instance.
    pub(crate) fn observe_pace(&self, infer: Duration, requests: usize) {
        let new = u64::try_from(infer.as_micros()).unwrap_or(u64::MAX) / requests.max(1) as u64;
        let old = self.pace.load(Ordering::Relaxed);
        // Two instances may both read `old`; an estimate can bear to lose one of them.
        self.pace.store(if old == 0 { new } else { old - old / 8 + new / 8 }, Ordering::Relaxed);
    }

    /// # Errors
    /// `NotReady` with the reason when no instance can run.
    pub(crate) fn check_ready(&self) -> Result<()> {
        match self.instances_up.load(Ordering::Relaxed) {
            0 => Err(self.not_ready(RESTARTING)),
            _ => Ok(()),
        }
    }

    pub(crate) fn not_ready(&self, reason: &str) -> Error {
        not_ready(&self.name, reason)
    }

    pub(crate) fn instance_up(&self) {
        self.instances_up.fetch_add(1, Ordering::Relaxed);
        self.stats.instances.inc();
    }

    pub(crate) fn instance_down(&self) {
        self.instances_up.fetch_sub(1, Ordering::Relaxed);
        self.stats.instances.dec();
    }
}

pub(crate) const RESTARTING: &str = "its instances are restarting after a failure";
