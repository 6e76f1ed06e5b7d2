//! A loaded model: what its requests, its instances and the prepare pool share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tintype_core::{Error, ErrorKind, ImageClassifier, Result};

use crate::admission::Admission;
use crate::driver::ReadyQueue;
use crate::lanes::LaneId;
use crate::stats::{ModelStats, Snapshot};

/// When to ask again for a model that is not ready: instances come back within seconds.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Whether a model can answer, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelState {
    /// Sessions are being loaded and warmed up.
    Loading,
    /// It answers.
    Ready,
    /// It does not answer.
    NotReady {
        /// Why, in words that may be shown to a client.
        reason: String,
    },
}

/// What is known of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelStatus {
    /// The name that requests use.
    pub name: String,
    /// The version.
    pub version: String,
    /// Whether it can answer.
    pub state: ModelState,
    /// The class names by index, their indices where it has no names; empty until it was loaded, and where nothing says
    /// how many there are.
    pub classes: Arc<[String]>,
    /// Its numbers; `None` until it was loaded.
    pub stats: Option<Snapshot>,
}

/// A loaded model.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) classifier: ImageClassifier,
    pub(crate) classes: Arc<[String]>,
    pub(crate) lane: LaneId,
    /// Prepared jobs, which the instances take.
    pub(crate) queue: ReadyQueue,
    pub(crate) admission: Admission,
    pub(crate) stats: ModelStats,
    /// Instances that can run, now.
    pub(crate) instances_up: AtomicUsize,
}

impl Model {
    pub(crate) fn state(&self) -> ModelState {
        match self.ready() {
            Ok(()) => ModelState::Ready,
            Err(reason) => ModelState::NotReady { reason: reason.to_owned() },
        }
    }

    pub(crate) fn status(&self) -> ModelStatus {
        ModelStatus {
            name: self.name.clone(),
            version: self.version.clone(),
            state: self.state(),
            classes: self.classes.clone(),
            stats: Some(self.stats.snapshot(self.queue.len())),
        }
    }

    /// # Errors
    /// `NotReady` with the reason when no instance can run.
    pub(crate) fn check_ready(&self) -> Result<()> {
        self.ready().map_err(|reason| self.not_ready(reason))
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

    fn ready(&self) -> Result<(), &'static str> {
        match self.instances_up.load(Ordering::Relaxed) {
            0 => Err("its instances are restarting after a failure"),
            _ => Ok(()),
        }
    }
}

/// The names of a model's classes.
pub(crate) fn classes_of(classifier: &ImageClassifier) -> Arc<[String]> {
    (0..classifier.classes().unwrap_or(0)).map(|index| classifier.label(index)).collect()
}

/// A model that cannot answer now.
pub(crate) fn not_ready(name: &str, reason: &str) -> Error {
    Error::new(ErrorKind::NotReady, format!("model `{name}` is not ready: {reason}"))
        .with_retry_after(RETRY_AFTER)
}
