//! `trainer`: the loop.

use serde::{Deserialize, Serialize};
use tintype_core::Result;

use super::check;

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

impl TrainerConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub(super) fn validate(&self) -> Result<()> {
        check("trainer.epochs", "at least 1", self.epochs, |n| n >= 1)?;
        check("trainer.batch_size", "at least 1", self.batch_size, |n| n >= 1)
    }
}
