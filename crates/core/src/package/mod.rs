//! Packages: a model with everything that is needed to use it, as a directory or as one file.
//!
//! * [`Package::open`] finds out what lies at a path (`locate`) and reads a Triton model directory (`directory`), a
//!   TorchServe `.mar` (`mar`) or a bare ONNX file; [`Package::write_dir`] and [`Package::write_mar`] write the first two.
//! * [`Contents`] lists the files behind a package with their digests, for `inspect` and `verify`.
//! * Archives are hostile until shown otherwise: every read of one goes through `archive`, within [`ArchiveLimits`].
//!
//! Nothing here reads the ONNX graph: whether the labels are as many as the model's classes is for
//! [`ImageClassifier::new`](crate::ImageClassifier::new), which sees a loaded model.

mod archive;
mod configured;
mod contents;
pub mod digest;
mod directory;
pub mod external;
pub mod labels;
mod latest;
mod locate;
mod mar;
mod name;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use archive::ArchiveLimits;
pub use configured::{read_config, read_output_labels};
pub use contents::{Check, Contents, Format, PackagedFile};
pub use latest::newest_run;
pub use locate::versions;
pub use mar::MarOptions;
pub use name::{check_name, check_version};

use crate::triton::ModelConfig;
use crate::{Error, ErrorKind, ModelSpec, Result};
use locate::Location;

/// The ONNX model's file name in a version directory and in a `.mar`.
pub const MODEL_FILE: &str = "model.onnx";
/// The spec's file name, beside the model.
pub const SPEC_FILE: &str = "tintype.toml";
/// The class names' file name in a model directory, one a line.
pub const LABELS_FILE: &str = "labels.txt";
/// Triton's configuration's file name, in a model directory.
pub const CONFIG_FILE: &str = "config.pbtxt";
/// The digests' file name, in `sha256sum`'s format: in a version directory, or under `MAR-INF/` in a `.mar`.
pub const DIGESTS_FILE: &str = "SHA256SUMS";

/// Where a model's ONNX bytes are.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// In a file; external data lies where the model says, relative to it.
    Path(PathBuf),
    /// In memory, e.g. out of an archive; never with external data.
    Bytes(Arc<[u8]>),
}

impl ModelSource {
    /// The ONNX file's bytes: read from the file, or those in memory.
    ///
    /// # Errors
    /// `NotFound` or `Io` when the file cannot be read.
    pub fn bytes(&self) -> Result<Arc<[u8]>> {
        match self {
            Self::Path(path) => Ok(std::fs::read(path).map_err(|e| Error::io(path, e))?.into()),
            Self::Bytes(bytes) => Ok(bytes.clone()),
        }
    }
}

/// How a package is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// What reading an archive may cost.
    pub limits: ArchiveLimits,
    /// Take a directory's `configs/<name>.pbtxt` where it has one, instead of `config.pbtxt`.
    pub config_name: Option<String>,
    /// Take this configuration instead of a file's.
    pub config: Option<Arc<ModelConfig>>,
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
    /// Class names by index; empty where the package has none. Names may repeat, as ImageNet's `crane` does.
    pub labels: Vec<String>,
    /// The ONNX model.
    pub model: ModelSource,
    /// What `config.pbtxt` says, as it is written there; a model directory may have one.
    pub config: Option<Arc<ModelConfig>>,
    /// Class names by output, of the outputs for which `config.pbtxt` names a file of its own.
    pub output_labels: BTreeMap<String, Arc<[String]>>,
}

impl Package {
    /// Opens a model directory (its highest version), one version of it, a `.mar`, a bare `.onnx` file or a training run
    /// directory (the one model in its `model/`).
    ///
    /// A bare ONNX file has the default spec, without preprocessing, no labels and version `1`; its name is the file's,
    /// with what the name rule does not allow replaced by `_`. A `.mar` is read into memory and checked against the
    /// digests it carries; a directory's digests are checked by [`Contents`] alone, since hashing a large model on
    /// every start is not free.
    ///
    /// # Errors
    /// `NotFound` for a missing path, `InvalidPackage` for a damaged, hostile or incomplete package (naming what was
    /// looked for and found), `PayloadTooLarge` beyond `limits`, `InvalidConfig` for a wrong `tintype.toml`,
    /// `Unsupported` for a model that is not ONNX, with advice.
    pub fn open(path: &Path, limits: &ArchiveLimits) -> Result<Self> {
        Self::open_with(path, &OpenOptions { limits: *limits, ..OpenOptions::default() })
    }

    /// As [`open`](Self::open), with a choice of configuration.
    pub fn open_with(path: &Path, options: &OpenOptions) -> Result<Self> {
        match locate::locate(path)? {
            Location::Version(version) => directory::read(&version, options),
            Location::Archive(path) => {
                mar::read(&path, &options.limits).map_err(|e| e.context(quoted(&path)))
            }
            Location::Onnx(path) => Ok(Self {
                name: name::from_file_stem(&path),
                version: "1".to_owned(),
                spec: ModelSpec::default(),
                labels: Vec::new(),
                model: ModelSource::Path(path),
                config: options.config.clone(),
                output_labels: BTreeMap::new(),
            }),
        }
    }

    /// Writes `<repository>/<name>/<version>/` with its model, spec and digests, and `<repository>/<name>/labels.txt`;
    /// returns `<repository>/<name>`.
    ///
    /// A model that `tintype.toml` names by another path becomes `model.onnx`. A new model directory gets the package's
    /// `config.pbtxt` and the label files that it names; one that is there keeps its own.
    ///
    /// The directory appears in one rename, so whoever polls the repository never sees half a version. A version whose
    /// labels differ from those of the versions already there keeps its own `labels.txt` beside the model, which
    /// [`open`](Self::open) prefers. External data files of the model are copied along.
    ///
    /// # Errors
    /// `InvalidArgument` for a bad name, version or label, or where the version exists already; `Io`.
    pub fn write_dir(&self, repository: &Path) -> Result<PathBuf> {
        self.check()?;
        directory::write(self, repository)
    }

    /// Writes a `.mar` that TorchServe's tools can read, through a temporary file beside `path` and a rename.
    ///
    /// An archive has no place for a `config.pbtxt`: it is left out.
    ///
    /// The same package and `options.created` give the same bytes.
    ///
    /// # Errors
    /// `InvalidArgument` for a bad name or label, or where `path` exists and `options.overwrite` is not set;
    /// `Unsupported` for a model with external data; `Io`.
    pub fn write_mar(&self, path: &Path, options: &MarOptions) -> Result<()> {
        self.check()?;
        mar::write(self, path, options)
    }

    /// What must hold before anything is written: a package that cannot be read back is refused here.
    fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        if self.version.trim().is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "the version is empty"));
        }
        labels::check(&self.labels)
    }
}

fn quoted(path: &Path) -> String {
    format!("`{}`", path.display())
}
