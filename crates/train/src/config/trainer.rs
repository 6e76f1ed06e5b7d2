//! `trainer`: the loop over the data.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_core::Result;

use super::check;

/// The loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainerConfig {
    /// Passes over the training images, at least 1.
    pub epochs: usize,
    /// Images a step, at least 1; fewer where the data has fewer.
    pub batch_size: usize,
    /// Cores to use; 0 means all.
    pub threads: usize,
    /// Batches whose gradients are averaged before weights move.
    pub accumulate: usize,
    /// Epochs without a better one after which training ends; 0 means never.
    pub patience: usize,
    /// The first epochs in which the last layer learns alone (`scope=all`).
    pub head_epochs: usize,
    /// What stays as it is: parameters whose names begin so (`scope=all`).
    pub freeze: Vec<String>,
    /// Whether batch norms learn.
    pub batch_norm: BatchNorm,
    /// Batches over which the running statistics of batch norms are taken anew before each validation, as PyTorch's
    /// `update_bn`: a number, or `auto` for 32 where a training is too short for them to follow.
    pub update_bn: UpdateBn,
    /// The share of the truth that is spread over all classes.
    pub label_smoothing: f64,
    /// How much each class counts: `none`, `balanced`, or a number a class.
    pub class_weights: ClassWeights,
    /// A slow average of the weights.
    pub ema: EmaConfig,
    /// The numbers that a GPU computes with.
    pub precision: Precision,
}

/// The numbers that a GPU computes with, in Lightning's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// Single precision.
    #[serde(rename = "32-true")]
    Single,
    /// Convolutions and products, and what only passes their results on, in IEEE's half precision, with the loss scaled;
    /// norms, softmax, losses and the weights in single.
    #[serde(rename = "16-mixed")]
    Float16,
    /// Matrix products, and what only passes their results on, in bfloat16; convolutions, norms, softmax, losses and the
    /// weights in single.
    #[serde(rename = "bf16-mixed")]
    Bfloat16,
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Single => "32-true",
            Self::Float16 => "16-mixed",
            Self::Bfloat16 => "bf16-mixed",
        })
    }
}

/// What batch norms do in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchNorm {
    /// They normalise by the batch, learn, and keep running statistics.
    Train,
    /// They stay as in inference.
    Frozen,
}

/// When running statistics are taken anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum UpdateBn {
    /// When a training is too short for them to follow.
    Auto,
    /// Over so many batches; 0 means never.
    Batches(usize),
}

impl TryFrom<Value> for UpdateBn {
    type Error = String;

    fn try_from(value: Value) -> std::result::Result<Self, String> {
        match (value.as_str(), value.as_u64()) {
            (Some("auto"), _) => Ok(Self::Auto),
            (_, Some(batches)) => Ok(Self::Batches(batches as usize)),
            _ => Err(format!("expected `auto` or a whole number of at least 0, found `{value}`")),
        }
    }
}

impl From<UpdateBn> for Value {
    fn from(value: UpdateBn) -> Self {
        match value {
            UpdateBn::Auto => "auto".into(),
            UpdateBn::Batches(batches) => batches.into(),
        }
    }
}

/// How much each class counts in the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum ClassWeights {
    /// Every image counts alike.
    None,
    /// Every class counts alike: `images / (classes · images of the class)`, as scikit-learn's `balanced`.
    Balanced,
    /// A number a class, in the order of the classes' names.
    Given(Vec<f64>),
}

impl TryFrom<Value> for ClassWeights {
    type Error = String;

    fn try_from(value: Value) -> std::result::Result<Self, String> {
        let given = |values: &Vec<Value>| values.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
        match (value.as_str(), value.as_array().and_then(given)) {
            (Some("none"), _) => Ok(Self::None),
            (Some("balanced"), _) => Ok(Self::Balanced),
            (_, Some(weights)) => Ok(Self::Given(weights)),
            _ => Err(format!("expected `none`, `balanced` or a list of numbers, found `{value}`")),
        }
    }
}

impl From<ClassWeights> for Value {
    fn from(value: ClassWeights) -> Self {
        match value {
            ClassWeights::None => "none".into(),
            ClassWeights::Balanced => "balanced".into(),
            ClassWeights::Given(weights) => weights.into(),
        }
    }
}

/// A slow average of the weights, validated beside them: timm's `ModelEmaV2`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmaConfig {
    /// What of the average a step keeps; 0 means that there is no average.
    pub decay: f64,
    /// Whether the average keeps less at first, as timm's `ModelEmaV3` with `use_warmup`.
    pub warmup: bool,
}

impl Default for EmaConfig {
    fn default() -> Self {
        Self { decay: 0.0, warmup: true }
    }
}

impl Default for TrainerConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch_size: 32,
            threads: 0,
            accumulate: 1,
            patience: 0,
            head_epochs: 0,
            freeze: Vec::new(),
            batch_norm: BatchNorm::Train,
            update_bn: UpdateBn::Auto,
            label_smoothing: 0.0,
            class_weights: ClassWeights::None,
            ema: EmaConfig::default(),
            precision: Precision::Single,
        }
    }
}

impl TrainerConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub(super) fn validate(&self) -> Result<()> {
        check("trainer.epochs", "at least 1", self.epochs, |n| n >= 1)?;
        check("trainer.batch_size", "at least 1", self.batch_size, |n| n >= 1)?;
        check("trainer.accumulate", "at least 1", self.accumulate, |n| n >= 1)?;
        let below_one = |x: f64| (0.0..1.0).contains(&x);
        check(
            "trainer.label_smoothing",
            "a number of at least 0 and below 1",
            self.label_smoothing,
            below_one,
        )?;
        check("trainer.ema.decay", "a number of at least 0 and below 1", self.ema.decay, below_one)?;
        if let ClassWeights::Given(weights) = &self.class_weights {
            for &weight in weights {
                check("trainer.class_weights", "numbers above 0", weight, |x| x > 0.0 && x.is_finite())?;
            }
        }
        Ok(())
    }
}
