//! `optim.schedule`: how the learning rate goes over the epochs.

use serde::{Deserialize, Serialize};
use tintype_core::Result;

use super::check;

/// A learning rate over time; times are in epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The curve.
    pub name: ScheduleName,
    /// Whether the rate changes with every epoch or every step.
    pub unit: Unit,
    /// Epochs over which the rate first rises from `warmup_lr` in a straight line.
    pub warmup_epochs: f64,
    /// The rate at the beginning of the warm-up.
    pub warmup_lr: f64,
    /// Whether the curve begins behind the warm-up; else the warm-up takes the place of the curve's first epochs, as
    /// timm's does by default.
    pub warmup_prefix: bool,
    /// `cosine`, `linear`, `plateau`: the rate is never below this.
    pub min_lr: f64,
    /// `step`: epochs from one drop to the next.
    pub step_size: usize,
    /// `multistep`: the epochs before which the rate drops.
    pub milestones: Vec<usize>,
    /// `step`, `multistep`, `plateau`: what a drop multiplies the rate with.
    pub gamma: f64,
    /// `plateau`: epochs without a lower validation loss that are still let pass.
    pub patience: usize,
    /// `plateau`: the share by which a loss must be lower to count.
    pub threshold: f64,
    /// `plateau`: epochs after a drop that do not count.
    pub cooldown: usize,
}

/// The curve of a learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleName {
    /// Always the same.
    Constant,
    /// `gamma` times less every `step_size` epochs: PyTorch's `StepLR`.
    Step,
    /// `gamma` times less at each of `milestones`: PyTorch's `MultiStepLR`.
    Multistep,
    /// Half a cosine down to `min_lr`: timm's, and PyTorch's `CosineAnnealingLR`.
    Cosine,
    /// A straight line down to `min_lr`.
    Linear,
    /// `gamma` times less when the validation loss no longer falls: PyTorch's `ReduceLROnPlateau`.
    Plateau,
}

/// When a learning rate changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Before each epoch.
    Epoch,
    /// Before each step.
    Step,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            name: ScheduleName::Constant,
            unit: Unit::Epoch,
            warmup_epochs: 0.0,
            warmup_lr: 0.0,
            warmup_prefix: false,
            min_lr: 0.0,
            step_size: 30,
            milestones: Vec::new(),
            gamma: 0.1,
            patience: 10,
            threshold: 1e-4,
            cooldown: 0,
        }
    }
}

impl ScheduleConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub(super) fn validate(&self) -> Result<()> {
        for (key, number) in [
            ("optim.schedule.warmup_epochs", self.warmup_epochs),
            ("optim.schedule.warmup_lr", self.warmup_lr),
            ("optim.schedule.min_lr", self.min_lr),
            ("optim.schedule.threshold", self.threshold),
        ] {
            check(key, "a number of at least 0", number, |x| x >= 0.0 && x.is_finite())?;
        }
        check("optim.schedule.step_size", "at least 1", self.step_size, |n| n >= 1)?;
        check("optim.schedule.gamma", "a number above 0 and at most 1", self.gamma, |x| x > 0.0 && x <= 1.0)
    }
}
