//! A model that serves: what the outside knows of it, its door, and what does its work.

use std::sync::Arc;
use std::time::Duration;

use tintype_core::triton::ModelConfig;
use tintype_core::{Ensemble, Error, ErrorKind, ImageClassifier, Result, Signature};

use crate::admission::Admission;
use crate::pipeline::{Pipeline, RESTARTING};
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
    /// It answers what it accepted, and accepts no more.
    Unloading,
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

/// What a served model is, for those who would call it.
#[derive(Debug, Clone)]
pub struct Description {
    /// The name that requests use.
    pub name: String,
    /// The version that was asked for, or the highest that is ready.
    pub version: u64,
    /// Every version that is ready.
    pub versions: Vec<u64>,
    /// The configuration, complete.
    pub config: Arc<ModelConfig>,
    model: Arc<Model>,
}

impl Description {
    pub(crate) fn new(model: Arc<Model>, versions: Vec<u64>) -> Self {
        let config = model.config().clone();
        Self { name: model.name.to_string(), version: model.number, versions, config, model }
    }

    /// Whether its images may come as files.
    pub fn takes_images(&self) -> bool {
        self.model.signature().classifier().is_some()
    }

    /// The class names of an output, by index; empty where it has none.
    pub fn labels(&self, output: &str) -> &[String] {
        self.model.signature().labels(output)
    }
}

/// A served version of a model.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: Arc<str>,
    /// As its package says it.
    pub(crate) version: String,
    /// As KServe counts it.
    pub(crate) number: u64,
    /// Which loading this is: no two of a process are the same.
    pub(crate) loading: u64,
    /// The names of its classes.
    pub(crate) classes: Arc<[String]>,
    pub(crate) admission: Admission,
    pub(crate) stats: Arc<ModelStats>,
    pub(crate) work: Work,
}

/// What does a model's work.
#[derive(Debug)]
pub(crate) enum Work {
    Pipeline(Arc<Pipeline>),
    Ensemble(Box<Ensemble>),
}

impl Model {
    /// What it takes and gives.
    pub(crate) fn signature(&self) -> &Signature {
        match &self.work {
            Work::Pipeline(pipeline) => &pipeline.signature,
            Work::Ensemble(ensemble) => ensemble.signature(),
        }
    }

    /// The configuration, complete.
    pub(crate) fn config(&self) -> &Arc<ModelConfig> {
        self.signature().config()
    }

    /// Whether it asks for its answers to be cached.
    pub(crate) fn caches(&self) -> bool {
        self.config().response_cache.as_ref().is_some_and(|cache| cache.enable)
    }

    /// The pipeline of a model that is not an ensemble.
    ///
    /// # Errors
    /// `Unsupported` for an ensemble.
    pub(crate) fn pipeline(&self) -> Result<&Arc<Pipeline>> {
        match &self.work {
            Work::Pipeline(pipeline) => Ok(pipeline),
            Work::Ensemble(_) => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "model `{}` is an ensemble, which takes tensors through `/v2/models/{}/infer`",
                    self.name, self.name
                ),
            )),
        }
    }

    pub(crate) fn state(&self) -> ModelState {
        match self.check_ready() {
            Ok(()) => ModelState::Ready,
            Err(_) => ModelState::NotReady { reason: RESTARTING.to_owned() },
        }
    }

    pub(crate) fn status(&self) -> ModelStatus {
        let queued = match &self.work {
            Work::Pipeline(pipeline) => pipeline.queue.len(),
            Work::Ensemble(_) => 0,
        };
        ModelStatus {
            name: self.name.to_string(),
            version: self.version.clone(),
            state: self.state(),
            classes: self.classes.clone(),
            stats: Some(self.stats.snapshot(queued)),
        }
    }

    /// # Errors
    /// `NotReady` with the reason when no instance can run.
    pub(crate) fn check_ready(&self) -> Result<()> {
        match &self.work {
            Work::Pipeline(pipeline) => pipeline.check_ready(),
            // Its steps are looked up, and may be missing, when it runs.
            Work::Ensemble(_) => Ok(()),
        }
    }
}

/// The names of a model's classes.
pub(crate) fn classes_of(classifier: Option<&ImageClassifier>) -> Arc<[String]> {
    let count = classifier.and_then(ImageClassifier::classes).unwrap_or(0);
    classifier.iter().flat_map(|classifier| (0..count).map(|index| classifier.label(index))).collect()
}

/// A model that cannot answer now.
pub(crate) fn not_ready(name: &str, reason: &str) -> Error {
    Error::new(ErrorKind::NotReady, format!("model `{name}` is not ready: {reason}"))
        .with_retry_after(RETRY_AFTER)
}
