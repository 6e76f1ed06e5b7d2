//! `model`: what a training begins with.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tintype_core::Result;
use tintype_graph::arch::{self, ArchSpec, Architecture};

use super::check;

/// The name of the model that is read from [`ModelConfig::path`].
pub(crate) const ONNX: &str = "onnx";

/// A model to begin with: one that exists, or an architecture with random weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// `onnx`, or an architecture's name.
    pub name: String,
    /// `onnx` alone: a package (directory, `.mar`, run directory) or a bare `.onnx` file.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// Height and width of the input; absent, the architecture's own.
    #[serde(default)]
    pub image: Option<usize>,
    /// `small_cnn` alone: channels of the four blocks.
    #[serde(default)]
    pub widths: Option<[usize; 4]>,
    /// `small_cnn` alone: units of the hidden linear layer.
    #[serde(default)]
    pub hidden: Option<usize>,
    /// The share of units dropped in training, at least 0 and below 1; absent, the architecture's own.
    #[serde(default)]
    pub dropout: Option<f64>,
}

impl ModelConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub(super) fn validate(&self) -> Result<()> {
        if let Some(hidden) = self.hidden {
            check("model.hidden", "at least 1", hidden, |n| n >= 1)?;
        }
        for width in self.widths.into_iter().flatten() {
            check("model.widths", "four widths of at least 1", width, |n| n >= 1)?;
        }
        if let Some(dropout) = self.dropout {
            check("model.dropout", "a number of at least 0 and below 1", dropout, |x| {
                (0.0..1.0).contains(&x)
            })?;
        }
        Ok(())
    }

    /// The architecture to build, for `classes` classes, with parameters from `seed`.
    ///
    /// # Errors
    /// Those of [`arch::find`].
    pub(crate) fn architecture(
        &self,
        classes: usize,
        seed: u64,
    ) -> Result<(&'static Architecture, ArchSpec)> {
        let spec = ArchSpec {
            image: self.image.unwrap_or_default(),
            dropout: self.dropout.map(|share| share as f32),
            seed,
            widths: self.widths,
            hidden: self.hidden,
            ..ArchSpec::new(classes)
        };
        Ok((arch::find(&self.name)?, spec))
    }
}
