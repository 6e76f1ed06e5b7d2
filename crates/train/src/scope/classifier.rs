//! The classifier that a training begins with: opened, its head found, its preprocessing settled.

use std::sync::Arc;

use tintype_core::image::Limits;
use tintype_core::package::ArchiveLimits;
use tintype_core::package::digest::of_bytes;
use tintype_core::{Error, ErrorKind, ModelSource, ModelSpec, Package, Plan, Result, TensorSpec};
use tintype_graph::{Model, head};

use crate::config::TrainConfig;
use crate::preprocessing;

/// A configured backbone.
pub(crate) struct Classifier {
    pub model: Model,
    /// Everything before the last layer: image → features.
    pub before: Model,
    /// The name of the scores.
    pub output: String,
    /// Features that the last layer reads.
    pub features: usize,
    pub plan: Plan,
    /// Input, preprocessing and provenance.
    pub spec: ModelSpec,
}

impl Classifier {
    /// Opens the configured backbone.
    ///
    /// # Errors
    /// `InvalidConfig` when there is no backbone or no preprocessing; `Unsupported` when the model has no linear head or
    /// several inputs; what opening the package returns.
    pub fn open(config: &TrainConfig) -> Result<Self> {
        let path = config
            .backbone()
            .ok_or_else(|| Error::new(ErrorKind::InvalidConfig, "`scope=head` needs `backbone=MODEL`"))?;
        let package = Package::open(path, &ArchiveLimits::default())?;
        let (model, sha256) = read(&package.model)?;
        let output = scores_of(&model, &package.spec).map_err(|e| e.context(path.display()))?;
        let features = head::find(&model, &output)?.features;
        let before = head::cut(&model, &output)?;
        let input = only_input(&before)?;
        let preprocess = preprocessing::for_model(config, package.spec.preprocess.as_ref(), &input)?;
        let plan = Plan::new(preprocess.clone(), Limits::default())?;
        let mut spec =
            ModelSpec { preprocess: Some(preprocess), input: Some(input.name), ..ModelSpec::default() };
        spec.provenance.insert("backbone".to_owned(), path.display().to_string());
        spec.provenance.insert("backbone_sha256".to_owned(), sha256);
        Ok(Self { model, before, output, features, plan, spec })
    }
}

/// The model, and the SHA-256 of its file in hexadecimal.
fn read(source: &ModelSource) -> Result<(Model, String)> {
    let (model, bytes) = match source {
        ModelSource::Path(file) => {
            let bytes: Arc<[u8]> = std::fs::read(file).map_err(|e| Error::io(file, e))?.into();
            (Model::read(file)?, bytes)
        }
        ModelSource::Bytes(bytes) => (Model::from_bytes(bytes)?, Arc::clone(bytes)),
    };
    Ok((model, of_bytes(&bytes)))
}

fn scores_of(model: &Model, spec: &ModelSpec) -> Result<String> {
    if let Some(name) = &spec.output {
        return Ok(name.clone());
    }
    let first = model.outputs()?.into_iter().next();
    first.map(|o| o.name).ok_or_else(|| Error::new(ErrorKind::InvalidModel, "the model has no output"))
}

fn only_input(model: &Model) -> Result<TensorSpec> {
    let inputs = model.inputs()?;
    <[TensorSpec; 1]>::try_from(inputs).map(|[input]| input).map_err(|inputs| {
        let names: Vec<String> = inputs.iter().map(|i| format!("`{}`", i.name)).collect();
        Error::new(
            ErrorKind::Unsupported,
            format!("expected a backbone of one input, found {}", names.join(", ")),
        )
    })
}
