//! `optim`: the optimizer.

use serde::{Deserialize, Serialize};
use tintype_core::Result;

use super::check;

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

impl OptimConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub(super) fn validate(&self) -> Result<()> {
        check("optim.lr", "a number above 0", self.lr, |x| x > 0.0 && x.is_finite())?;
        check("optim.weight_decay", "a number of at least 0", self.weight_decay, |x| {
            x >= 0.0 && x.is_finite()
        })?;
        check("optim.momentum", "a number of at least 0 and below 1", self.momentum, |x| {
            (0.0..1.0).contains(&x)
        })
    }
}
