//! `optim`: the update rule, in PyTorch's words and with its formulas.

use serde::{Deserialize, Serialize};
use tintype_core::Result;

use super::check;
use super::schedule::ScheduleConfig;

/// The optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimConfig {
    /// The update rule.
    pub name: OptimName,
    /// The learning rate, above 0.
    pub lr: f64,
    /// L2 penalty (`sgd`, `adam`) or decoupled decay (`adamw`), at least 0.
    pub weight_decay: f64,
    /// `sgd`: momentum, at least 0 and below 1.
    pub momentum: f64,
    /// `sgd`: Nesterov's momentum.
    pub nesterov: bool,
    /// `adam`, `adamw`: the decay of the two moments, at least 0 and below 1.
    pub betas: [f64; 2],
    /// `adam`, `adamw`: added to the divisor.
    pub eps: f64,
    /// Whether biases, norms' weights and other parameters of one axis do without weight decay, as in timm.
    pub filter_bias_and_bn: bool,
    /// Each layer learns this much slower than the one after it; 1 means all alike.
    pub layer_decay: f64,
    /// Gradients are scaled down to this norm over all parameters; 0 means never.
    pub clip_norm: f64,
    /// Each element of a gradient is brought to at most this size; 0 means never.
    pub clip_value: f64,
    /// How the rate goes over the epochs.
    pub schedule: ScheduleConfig,
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

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            name: OptimName::Adam,
            lr: 1e-3,
            weight_decay: 0.0,
            momentum: 0.9,
            nesterov: false,
            betas: [0.9, 0.999],
            eps: 1e-8,
            filter_bias_and_bn: false,
            layer_decay: 1.0,
            clip_norm: 0.0,
            clip_value: 0.0,
            schedule: ScheduleConfig::default(),
        }
    }
}

impl OptimConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub(super) fn validate(&self) -> Result<()> {
        let below_one = |x: f64| (0.0..1.0).contains(&x);
        check("optim.lr", "a number above 0", self.lr, |x| x > 0.0 && x.is_finite())?;
        check("optim.momentum", "a number of at least 0 and below 1", self.momentum, below_one)?;
        for beta in self.betas {
            check("optim.betas", "two numbers of at least 0 and below 1", beta, below_one)?;
        }
        check("optim.eps", "a number above 0", self.eps, |x| x > 0.0 && x.is_finite())?;
        check("optim.layer_decay", "a number above 0 and at most 1", self.layer_decay, |x| {
            x > 0.0 && x <= 1.0
        })?;
        for (key, number) in [
            ("optim.weight_decay", self.weight_decay),
            ("optim.clip_norm", self.clip_norm),
            ("optim.clip_value", self.clip_value),
        ] {
            check(key, "a number of at least 0", number, |x| x >= 0.0 && x.is_finite())?;
        }
        let both = self.clip_norm > 0.0 && self.clip_value > 0.0;
        check("optim.clip_value", "0 beside `optim.clip_norm`", self.clip_value, |_| !both)?;
        let nesterov = !self.nesterov || self.momentum > 0.0;
        check("optim.nesterov", "`false` without momentum", self.nesterov, |_| nesterov)?;
        self.schedule.validate()
    }
}
