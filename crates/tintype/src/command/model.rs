//! Opening the MODEL of a command line: a model directory, a `.mar`, a bare `.onnx` file or a training run.

use std::path::{Path, PathBuf};

use tintype_core::package::{ArchiveLimits, labels};
use tintype_core::{Error, ErrorKind, ModelSpec, Package, Preset, Result};

/// What a bare ONNX file needs to be told, and may overrule in a package.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ModelOptions {
    /// A TOML file with `[preprocess]` and `[postprocess]`, for a model without its own
    #[arg(long, value_name = "F.toml", conflicts_with = "preprocess")]
    pub spec: Option<PathBuf>,

    /// A well-known preprocessing, at the input size that the model states
    #[arg(long, value_name = "imagenet|inception|clip")]
    pub preprocess: Option<Preset>,

    /// A file with one class name a line
    #[arg(long, value_name = "F.txt")]
    pub labels: Option<PathBuf>,
}

/// Opens the package at `path` and applies `options`.
///
/// # Errors
/// As [`Package::open`]; `InvalidConfig` when the model is left without preprocessing.
pub fn open(path: &Path, options: &ModelOptions) -> Result<Package> {
    let mut package = Package::open(path, &ArchiveLimits::default())?;
    if let Some(file) = &options.spec {
        package.spec = ModelSpec::from_toml(&read(file)?).map_err(|e| e.context(file.display()))?;
    }
    if let Some(file) = &options.labels {
        package.labels = labels::parse(&read(file)?).map_err(|e| e.context(file.display()))?;
    }
    if let Some(preset) = options.preprocess {
        let inputs = tintype_graph::Model::from_bytes(&package.model.bytes()?)?.inputs()?;
        let input = match &package.spec.input {
            Some(name) => inputs.iter().find(|input| input.name == *name),
            None => inputs.first(),
        };
        let input =
            input.ok_or_else(|| Error::new(ErrorKind::InvalidModel, "the model has no image input"))?;
        package.spec.preprocess = Some(preset.for_input(input)?);
    }
    if package.spec.preprocess.is_none() {
        return Err(Error::new(
            ErrorKind::InvalidConfig,
            format!("`{}` does not say how images become its input", path.display()),
        )
        .with_hint(
            "give `--spec F.toml` with a `[preprocess]` section, or `--preprocess imagenet|inception|clip`",
        ));
    }
    Ok(package)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io(path, e))
}
