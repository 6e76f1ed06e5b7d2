//! What a training is told: typed groups, composed in Hydra's manner.
//!
//! ```text
//! words, conf/*.yaml ── compose ──▸ a tree ── typed ──▸ TrainConfig ── validate ──▸ run
//! ```
//!
//! The structs here are the schema: a key is a field of one, and a commented line in a file under `conf/`, which holds
//! the defaults and is where the usage text comes from. [`compose`] knows files and words but no key; reading data or
//! models named here is not this module's business.

mod augment;
mod calibration;
mod compose;
mod data;
mod device;
mod model;
mod optim;
mod schedule;
mod trainer;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tintype_core::{Error, ErrorKind, Preset, Result};

pub use augment::{AugmentConfig, Crop};
pub use calibration::CalibrationConfig;
pub use compose::{Composer, Resolved, Search, usage};
pub use data::DataConfig;
pub use device::Device;
pub use model::ModelConfig;
pub(crate) use model::ONNX;
pub use optim::{OptimConfig, OptimName};
pub use schedule::{ScheduleConfig, ScheduleName, Unit};
pub use trainer::{BatchNorm, ClassWeights, EmaConfig, Precision, TrainerConfig, UpdateBn};

/// A whole, resolved training configuration; what `config.yaml` of a run holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Which weights are trained.
    pub scope: Scope,
    /// The model's name: of its directory, its archive and the run.
    pub name: String,
    /// Seeds split, initialisation, order and dropout; equal seeds give equal runs on one machine.
    pub seed: u64,
    /// Where to compute.
    #[serde(default)]
    pub device: Device,
    /// A preset for a model without preprocessing of its own.
    #[serde(default)]
    pub preprocess: Option<Preset>,
    /// A `tintype.toml` whose `[preprocess]` is used.
    #[serde(default)]
    pub spec: Option<PathBuf>,
    /// Where results go; `runs/<name>/<time>` where absent.
    #[serde(default)]
    pub run_dir: Option<PathBuf>,
    /// The run that is gone on with, from its last checkpoint.
    #[serde(default, skip_serializing)]
    pub resume: Option<PathBuf>,
    /// The model to begin with.
    pub model: ModelConfig,
    /// The images.
    pub data: DataConfig,
    /// The optimizer.
    pub optim: OptimConfig,
    /// `scope=all`: random changes to training images.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// The loop.
    pub trainer: TrainerConfig,
    /// What is fitted to the held-out images after it.
    #[serde(default)]
    pub calibration: CalibrationConfig,
}

/// Which weights a training changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The last linear layer, over features that everything before it computes once.
    Head,
    /// Every weight, through the differentiated graph.
    All,
}

/// Resolves words such as `optim.lr=0.01` into a configuration, with the files of `conf/` in the working directory.
///
/// # Errors
/// Those of [`Composer::resolve`].
pub fn resolve(words: &[String]) -> Result<TrainConfig> {
    Ok(Composer::default().resolve(words)?.config)
}

impl TrainConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.data.validate()?;
        self.optim.validate()?;
        self.augment.validate()?;
        self.trainer.validate()?;
        self.calibration.validate()?;
        let exclude = |what: &str| Err(Error::new(ErrorKind::InvalidConfig, what));
        if self.preprocess.is_some() && self.spec.is_some() {
            return exclude("`preprocess` and `spec` exclude each other");
        }
        if self.scope == Scope::Head && !self.augment.is_none() {
            return exclude("`augment` needs `scope=all`: with `scope=head` the features are computed once");
        }
        if self.scope == Scope::Head && (self.trainer.head_epochs > 0 || !self.trainer.freeze.is_empty()) {
            return exclude("`trainer.head_epochs` and `trainer.freeze` need `scope=all`");
        }
        Ok(())
    }

    /// The model to begin with, where it is a file.
    pub fn backbone(&self) -> Option<&PathBuf> {
        self.model.path.as_ref()
    }

    /// What a training begins with, in words: the model's file, or the architecture's name.
    pub(crate) fn start(&self) -> String {
        self.backbone().map_or_else(|| self.model.name.clone(), |path| path.display().to_string())
    }

    /// The configuration as YAML, but for its place: a run that is repeated has one of its own.
    ///
    /// # Errors
    /// `Internal` when a value cannot be written, e.g. a path that is not UTF-8.
    pub fn to_yaml(&self) -> Result<String> {
        let placeless = Self { run_dir: None, ..self.clone() };
        serde_saphyr::to_string(&placeless).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))
    }

    /// The number of cores to use: the configured one, or all.
    pub fn threads(&self) -> usize {
        crate::pass::threads(self.trainer.threads)
    }
}

/// A range that a value must lie in, which its type cannot say.
fn check<T: Copy + std::fmt::Display>(
    key: &str,
    expected: &str,
    found: T,
    holds: impl Fn(T) -> bool,
) -> Result<()> {
    if holds(found) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidConfig, format!("`{key}`: expected {expected}, found `{found}`")))
}
