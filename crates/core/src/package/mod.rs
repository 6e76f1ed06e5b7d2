//! Packages: a model with everything that is needed to use it, as a directory or as one file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{ModelSpec, Result};

/// Where a model's ONNX bytes are.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// In a file.
    Path(PathBuf),
    /// In memory, e.g. out of an archive.
    Bytes(Arc<[u8]>),
}

/// A model with its spec and labels.
#[derive(Debug, Clone)]
pub struct Package {
    /// `^[A-Za-z0-9][A-Za-z0-9_\-.]*$`, at most 128 bytes.
    pub name: String,
    /// The version: a positive number in a model directory, any `modelVersion` of a `.mar`.
    pub version: String,
    /// What `tintype.toml` says.
    pub spec: ModelSpec,
    /// Class names by index; empty where the package has none.
    pub labels: Vec<String>,
    /// The ONNX model.
    pub model: ModelSource,
}

/// What reading an archive may cost.
#[derive(Debug, Clone, Copy)]
pub struct ArchiveLimits {
    /// Files in the archive.
    pub max_entries: usize,
    /// Unpacked bytes of one file.
    pub max_entry_bytes: u64,
    /// Unpacked bytes of all files.
    pub max_total_bytes: u64,
}

impl Default for ArchiveLimits {
    /// 4,096 files, 4 GiB each, 8 GiB in all.
    fn default() -> Self {
        Self { max_entries: 4096, max_entry_bytes: 4 << 30, max_total_bytes: 8 << 30 }
    }
}

impl Package {
    /// Opens a model directory, one version of it, a `.mar`, a bare `.onnx` file or a training run directory.
    pub fn open(_path: &Path, _limits: &ArchiveLimits) -> Result<Self> {
        todo!()
    }

    /// Writes a Triton model directory `dir/<name>/…`; the version must not exist yet.
    pub fn write_dir(&self, _repository: &Path) -> Result<PathBuf> {
        todo!()
    }

    /// Writes a `.mar`.
    pub fn write_mar(&self, _path: &Path) -> Result<()> {
        todo!()
    }
}
