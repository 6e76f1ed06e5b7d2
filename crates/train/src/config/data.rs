//! `data`: the images.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tintype_core::Result;

use super::check;

/// The images and how they are split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// A folder, a table or a Parquet file of images (see [`crate::Dataset::open`]), or where somebody else finds one.
    pub path: PathBuf,
    /// Where `path` lies on this machine, when it names a place elsewhere and was fetched.
    #[serde(skip)]
    pub fetched: Option<PathBuf>,
    /// The share of each class held out for validation, above 0 and below 1.
    pub val_fraction: f64,
    /// Parts for cross-validation, of which one is held out; 0 for none, or at least 2.
    #[serde(default)]
    pub folds: usize,
    /// The part that is held out, from 0.
    #[serde(default)]
    pub fold: usize,
    /// Whether every image is looked at before anything is learned.
    #[serde(default = "yes")]
    pub examine: bool,
    /// MiB of decoded images that stay in memory; what is more is decoded again in each epoch (`scope=all`).
    #[serde(default = "cache")]
    pub cache: usize,
}

fn yes() -> bool {
    true
}

/// A share of memory that any machine which trains has to spare.
fn cache() -> usize {
    1024
}

impl DataConfig {
    /// Where the images lie on this machine.
    pub fn place(&self) -> &Path {
        self.fetched.as_ref().unwrap_or(&self.path)
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub(super) fn validate(&self) -> Result<()> {
        check("data.val_fraction", "a number above 0 and below 1", self.val_fraction, |x| {
            x > 0.0 && x < 1.0
        })?;
        check("data.folds", "0 or at least 2", self.folds, |n| n != 1)?;
        let folds = self.folds;
        check("data.fold", &format!("a number below `data.folds` ({folds})"), self.fold, |n| n < folds.max(1))
    }
}
