//! `data`: the images.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tintype_core::Result;

use super::check;

/// The images and how they are split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// A folder with one folder of images per class.
    pub path: PathBuf,
    /// The share of each class held out for validation, above 0 and below 1.
    pub val_fraction: f64,
}

impl DataConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub(super) fn validate(&self) -> Result<()> {
        check("data.val_fraction", "a number above 0 and below 1", self.val_fraction, |x| x > 0.0 && x < 1.0)
    }
}
