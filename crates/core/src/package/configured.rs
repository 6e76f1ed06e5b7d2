//! A model directory's `config.pbtxt` and `tintype.toml`, and the files that they name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::directory::{read_text, write_file};
use super::locate::VersionDir;
use super::{CONFIG_FILE, MODEL_FILE, Package, SPEC_FILE, labels, quoted};
use crate::triton::{self, ModelConfig};
use crate::{Error, ErrorKind, ModelSpec, Result};

/// A model directory's configuration: its `configs/<name>.pbtxt` where a name is given and there is one, else its
/// `config.pbtxt`; `None` where it has neither. The model need not be there: an ensemble has none.
///
/// # Errors
/// `InvalidConfig` with path, line and column; `Io`; `InvalidPackage` for a file that is not text.
pub fn read_config(model: &Path, name: Option<&str>) -> Result<Option<Arc<ModelConfig>>> {
    let named = name.map(|name| Path::new("configs").join(format!("{name}.pbtxt")));
    for file in named.into_iter().chain([PathBuf::from(CONFIG_FILE)]) {
        if let Some((path, text)) = read_text(&model.join(file))? {
            let config = triton::parse(&text).map_err(|e| e.context(quoted(&path)))?;
            return Ok(Some(Arc::new(config)));
        }
    }
    Ok(None)
}

/// A version's spec (its own, or the model's) and where its ONNX file is.
pub(super) fn find_model(version: &VersionDir, config: Option<&ModelConfig>) -> Result<(ModelSpec, PathBuf)> {
    let folder = version.path();
    if config.is_some_and(ModelConfig::is_ensemble) {
        let message = format!("{} is an ensemble: it has no model of its own", quoted(&version.model));
        return Err(Error::new(ErrorKind::InvalidPackage, message));
    }
    // Folders below the repository, and how deep they are in it.
    let places = [(folder.clone(), 2), (version.model.clone(), 1)];
    let mut found = None;
    for (place, depth) in places {
        if let Some((path, text)) = read_text(&place.join(SPEC_FILE))? {
            let spec = ModelSpec::from_toml(&text).map_err(|e| e.context(quoted(&path)))?;
            found = Some((spec, place, depth));
            break;
        }
    }
    let has_spec = found.is_some();
    let (spec, place, depth) = found.unwrap_or_else(|| (ModelSpec::default(), folder.clone(), 2));
    let named = match &spec.model {
        Some(file) => {
            Some(place.join(within(file, depth).map_err(|e| e.context(quoted(&place.join(SPEC_FILE))))?))
        }
        None => None,
    };
    let default = folder.join(MODEL_FILE);
    let path = match (named, config) {
        (Some(path), _) => path,
        (None, Some(config)) if config.is_onnx() && !config.default_model_filename.is_empty() => {
            folder.join(within(&config.default_model_filename, 0)?)
        }
        // A spec beside a `model.onnx` says as well that this is the model.
        (None, Some(config)) if !config.is_onnx() && (!has_spec || !default.exists()) => {
            // A pair of which one is ONNX Runtime's is a mistake, not another backend.
            triton::complete_backend(&mut config.clone())?;
            return Err(other_backend(&version.name, config));
        }
        _ => default,
    };
    // Triton takes a directory as well, for models in several files.
    let path = if path.is_dir() { path.join(MODEL_FILE) } else { path };
    if path.is_file() {
        return Ok((spec, path));
    }
    let file = path.strip_prefix(&folder).unwrap_or(&path);
    Err(Error::new(
        ErrorKind::InvalidPackage,
        format!("{} has no {}, though it is the version in use", quoted(&folder), quoted(file)),
    ))
}

fn other_backend(name: &str, config: &ModelConfig) -> Error {
    let (field, value) =
        if config.backend.is_empty() { ("platform", &config.platform) } else { ("backend", &config.backend) };
    Error::new(
        ErrorKind::Unsupported,
        format!("model `{name}` has `{field}: \"{value}\"`, which is not run here: only ONNX models and ensembles are"),
    )
    .with_hint(
        "export the model to ONNX and name the file in a `tintype.toml` beside `config.pbtxt`, as in \
         `model = \"1/model.onnx\"`; `[serving.inputs]` and `[serving.outputs]` say what its tensors are",
    )
}

/// A relative path that stays inside the repository, from a folder that is `depth` folders deep in it.
fn within(file: &str, mut depth: usize) -> Result<&Path> {
    let invalid = |rule| Error::new(ErrorKind::InvalidConfig, format!("model file `{file}`: {rule}"));
    for component in Path::new(file).components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir => return Err(invalid("expected a path inside the model repository")),
            Component::RootDir | Component::Prefix(_) => return Err(invalid("expected a relative path")),
        }
    }
    Ok(Path::new(file))
}

/// The class names of the outputs that name a file of them, by output; the files are in the model directory.
///
/// # Errors
/// `InvalidPackage` for a file that is missing or has an empty line, `InvalidConfig` for one outside the directory.
pub fn read_output_labels(
    model: &Path,
    config: Option<&ModelConfig>,
) -> Result<BTreeMap<String, Arc<[String]>>> {
    let mut found = BTreeMap::new();
    for output in config.iter().flat_map(|config| &config.output).filter(|o| !o.label_filename.is_empty()) {
        let file = within(&output.label_filename, 0)?;
        let Some((path, text)) = read_text(&model.join(file))? else {
            return Err(Error::new(
                ErrorKind::InvalidPackage,
                format!("{} has no {}, the labels of output `{}`", quoted(model), quoted(file), output.name),
            ));
        };
        let labels = labels::parse(&text).map_err(|e| e.context(quoted(&path)))?;
        found.insert(output.name.clone(), labels.into());
    }
    Ok(found)
}

/// Writes the configuration of a new model directory, if the package has one, and the label files that it names.
pub(super) fn write(package: &Package, model: &Path) -> Result<()> {
    let Some(config) = package.config.as_deref() else { return Ok(()) };
    let mut config = config.clone();
    // As the model is written: under this name, as `model.onnx`.
    config.default_model_filename.clear();
    if !config.name.is_empty() {
        config.name.clone_from(&package.name);
    }
    for output in &config.output {
        if let Some(labels) = package.output_labels.get(&output.name) {
            let path = model.join(within(&output.label_filename, 0)?);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
            }
            write_file(&path, labels::to_text(labels).as_bytes())?;
        }
    }
    write_file(&model.join(CONFIG_FILE), triton::to_text(&config).as_bytes())
}
