//! What a training is told: typed groups with defaults that depend on the scope.
//!
//! [`overrides`] turns `key=value` words into a [`TrainConfig`]; [`keys`] is the one list of keys that it, the usage
//! text and the tests read. Reading data or models named here is not this module's business.

mod keys;
mod overrides;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tintype_core::{Error, ErrorKind, Preset, Result};

pub use overrides::{resolve, usage};

/// A whole, resolved training configuration; what `config.toml` of a run holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Which weights are trained.
    pub scope: Scope,
    /// The model's name: of its directory, its archive and the run.
    pub name: String,
    /// Seeds split, initialisation, order and dropout; equal seeds give equal runs on one machine.
    pub seed: u64,
    /// The model to begin with, a package (directory, `.mar`, run directory) or a bare `.onnx` file; `scope=all` may do
    /// without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone: Option<PathBuf>,
    /// `scope=all` without a backbone: the architecture trained from scratch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// A preset for a model without preprocessing of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocess: Option<Preset>,
    /// A `tintype.toml` whose `[preprocess]` is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<PathBuf>,
    /// Where results go; `runs/<name>/<time>` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_dir: Option<PathBuf>,
    /// The images.
    pub data: DataConfig,
    /// The optimizer.
    pub optim: OptimConfig,
    /// The loop.
    pub trainer: TrainerConfig,
    /// `scope=all` without a backbone: the architecture's sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelConfig>,
    /// `scope=all`: random changes to training images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<AugmentConfig>,
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

/// An architecture that can be trained from scratch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arch {
    /// Four blocks of convolution, batch norm, relu and pool, then two linear layers.
    SmallCnn,
}

/// The images and how they are split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// A folder with one folder of images per class.
    pub path: PathBuf,
    /// The share of each class held out for validation, above 0 and below 1.
    pub val_fraction: f64,
}

/// The optimizer, in PyTorch's words and with its formulas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimConfig {
    /// The update rule.
    pub name: OptimName,
    /// The learning rate, above 0.
    pub lr: f64,
    /// L2 penalty (`sgd`, `adam`) or decoupled decay (`adamw`), at least 0.
    pub weight_decay: f64,
    /// `sgd` alone: momentum, at least 0 and below 1.
    pub momentum: f64,
}

/// An update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimName {
    /// Kingma and Ba 2014.
    Adam,
    /// Loshchilov and Hutter 2017.
    Adamw,
    /// Gradient descent with momentum.
    Sgd,
}

/// The loop over the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerConfig {
    /// Passes over the training images, at least 1.
    pub epochs: usize,
    /// Images a step, at least 1; fewer where the data has fewer.
    pub batch_size: usize,
    /// Cores to use; 0 means all.
    pub threads: usize,
}

/// The sizes of [`Arch::SmallCnn`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Height and width of the input, a multiple of 16.
    pub image: usize,
    /// Channels of the four blocks.
    pub widths: [usize; 4],
    /// Units of the hidden linear layer.
    pub hidden: usize,
    /// The share of hidden units dropped in training, at least 0 and below 1.
    pub dropout: f64,
}

/// Random changes to training images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentConfig {
    /// Mirror half of the images left to right.
    pub flip: bool,
}

impl TrainConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub fn validate(&self) -> Result<()> {
        let share = |x: f64| x > 0.0 && x < 1.0;
        let below_one = |x: f64| (0.0..1.0).contains(&x);
        let optim = &self.optim;
        check("data.val_fraction", "a number above 0 and below 1", self.data.val_fraction, share)?;
        check("optim.lr", "a number above 0", optim.lr, |x| x > 0.0 && x.is_finite())?;
        check("optim.weight_decay", "a number of at least 0", optim.weight_decay, |x| {
            x >= 0.0 && x.is_finite()
        })?;
        check("optim.momentum", "a number of at least 0 and below 1", optim.momentum, below_one)?;
        check("trainer.epochs", "at least 1", self.trainer.epochs, |n| n >= 1)?;
        check("trainer.batch_size", "at least 1", self.trainer.batch_size, |n| n >= 1)?;
        if let Some(model) = &self.model {
            check("model.image", "a multiple of 16, at most 1024", model.image, |n| {
                n > 0 && n % 16 == 0 && n <= 1024
            })?;
            check("model.hidden", "at least 1", model.hidden, |n| n >= 1)?;
            for width in model.widths {
                check("model.widths", "four widths of at least 1", width, |n| n >= 1)?;
            }
            check("model.dropout", "a number of at least 0 and below 1", model.dropout, below_one)?;
        }
        if self.preprocess.is_some() && self.spec.is_some() {
            return Err(Error::new(ErrorKind::InvalidConfig, "`preprocess` and `spec` exclude each other"));
        }
        Ok(())
    }

    /// The config as TOML.
    ///
    /// # Errors
    /// `Internal` when a value cannot be written, e.g. a path that is not UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))
    }

    /// The number of cores to use: the configured one, or all.
    pub fn threads(&self) -> usize {
        match self.trainer.threads {
            0 => tintype_core::cores(),
            n => n,
        }
    }
}

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
