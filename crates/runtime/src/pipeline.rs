//! What an engine's model is made of: the signature, the prepared jobs and the instances that run them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// Instances that can run, now.
    instances_up: AtomicUsize,
}

impl Pipeline {
    pub(crate) fn new(
        name: &str,
        signature: Signature,
        lane: LaneId,
        scheduling: Scheduling,
        stats: Arc<ModelStats>,
    ) -> Self {
        let Scheduling { batch, levels, preserve_ordering, .. } = scheduling;
        let places = levels.policies.iter().map(|policy| policy.max_queue_size);
        Self {
            name: name.to_owned(),
            signature,
            lane,
            queue: ReadyQueue::new(batch, preserve_ordering),
            places: places.map(|size| size.map(|size| Arc::new(Semaphore::new(size)))).collect(),
            levels,
            stats,
            instances_up: AtomicUsize::new(0),
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
