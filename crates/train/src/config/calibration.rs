//! `calibration`: what is fitted to the held-out images after training.

use serde::{Deserialize, Serialize};
use tintype_core::Result;

use super::check;

/// What is fitted to the held-out images, for the package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationConfig {
    /// Whether scores get a temperature (Guo et al. 2017).
    pub temperature: bool,
    /// The share of a class's answers that its threshold leaves right, above 0 and at most 1; absent: no thresholds.
    #[serde(default)]
    pub precision: Option<f64>,
}

impl CalibrationConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub(super) fn validate(&self) -> Result<()> {
        match self.precision {
            Some(share) => check("calibration.precision", "a number above 0 and at most 1", share, |x| {
                x > 0.0 && x <= 1.0
            }),
            None => Ok(()),
        }
    }
}

impl Default for CalibrationConfig {
    fn default() -> Self {
        Self { temperature: true, precision: Some(0.95) }
    }
}
