//! Triton model directories: reading one version of a model, and writing one that appears whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use super::digest::{self, Digests};
use super::locate::VersionDir;
use super::{
    DIGESTS_FILE, LABELS_FILE, MODEL_FILE, ModelSource, OpenOptions, Package, SPEC_FILE, check_name,
    check_version, configured, external, labels, quoted,
};
use crate::{Error, ErrorKind, ModelSpec, Result};

/// What the digests of a version call the labels that it shares with the other versions.
pub(super) const SHARED_LABELS: &str = "../labels.txt";

/// Reads one version of a model directory.
pub(super) fn read(version: &VersionDir, options: &OpenOptions) -> Result<Package> {
    check_name(&version.name)
        .map_err(|e| Error::new(ErrorKind::InvalidPackage, e.message()).context(quoted(&version.model)))?;
    let config = match &options.config {
        Some(config) => Some(config.clone()),
        None => configured::read_config(&version.model, options.config_name.as_deref())?,
    };
    let (spec, model) = configured::find_model(version, config.as_deref())?;
    let output_labels = configured::read_output_labels(&version.model, config.as_deref())?;
    let mut labels = read_labels(version)?;
    if labels.is_empty() {
        // The classes are those of the output with the scores.
        let outputs = config.iter().flat_map(|config| &config.output);
        let named = outputs.filter(|output| spec.output.as_ref().is_none_or(|name| *name == output.name));
        let first = named.filter_map(|output| output_labels.get(&output.name)).next();
        labels =
            first.or_else(|| output_labels.values().next()).map(|labels| labels.to_vec()).unwrap_or_default();
    }
    Ok(Package {
        name: version.name.clone(),
        version: version.version.clone(),
        spec,
        labels,
        model: ModelSource::Path(model),
        config,
        output_labels,
    })
}

/// A version's own labels, or those of the model.
fn read_labels(version: &VersionDir) -> Result<Vec<String>> {
    for folder in [version.path(), version.model.clone()] {
        if let Some((path, text)) = read_text(&folder.join(LABELS_FILE))? {
            return labels::parse(&text).map_err(|e| e.context(quoted(&path)));
        }
    }
    Ok(Vec::new())
}

/// The text of an optional file.
pub(super) fn read_text(path: &Path) -> Result<Option<(PathBuf, String)>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
            Err(Error::new(ErrorKind::InvalidPackage, format!("{} is not UTF-8 text", quoted(path))))
        }
        Err(e) => Err(Error::io(path, e)),
    }
}

/// Writes `package` as a version of `<repository>/<name>`.
///
/// It is made ready in a temporary directory beside its place and renamed into it: the whole model directory where the
/// model is new, the version directory where it has versions already.
pub(super) fn write(package: &Package, repository: &Path) -> Result<PathBuf> {
    check_version(&package.version)?;
    let model = repository.join(&package.name);
    let version = model.join(&package.version);
    if version.exists() {
        return Err(Error::new(ErrorKind::InvalidArgument, format!("{} exists already", quoted(&version)))
            .with_hint("choose another version, or remove that directory first"));
    }
    let is_new = !model.exists();
    let (target, parent) = if is_new { (&model, repository) } else { (&version, model.as_path()) };
    fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
    let temporary =
        tempfile::Builder::new().prefix(".writing-").tempdir_in(parent).map_err(|e| Error::io(parent, e))?;
    // Inside the temporary directory, which is private, so that what is renamed has ordinary permissions.
    let staged = temporary.path().join("staged");
    if is_new {
        write_new_model(package, &staged)?;
    } else {
        write_version(package, &staged, &read_shared_labels(&model)?)?;
    }
    fs::rename(&staged, target).map_err(|e| Error::io(target, e))?;
    Ok(model)
}

fn write_new_model(package: &Package, model: &Path) -> Result<()> {
    create_dir(model)?;
    configured::write(package, model)?;
    if !package.labels.is_empty() {
        write_file(&model.join(LABELS_FILE), labels::to_text(&package.labels).as_bytes())?;
    }
    write_version(package, &model.join(&package.version), &package.labels)
}

fn read_shared_labels(model: &Path) -> Result<Vec<String>> {
    match read_text(&model.join(LABELS_FILE))? {
        Some((path, text)) => labels::parse(&text).map_err(|e| e.context(quoted(&path))),
        None => Ok(Vec::new()),
    }
}

/// Writes a version's files and their digests. `shared` are the labels in the model directory.
fn write_version(package: &Package, folder: &Path, shared: &[String]) -> Result<()> {
    create_dir(folder)?;
    let mut digests = Digests::new();
    let mut write = |name: &str, bytes: &[u8]| {
        digests.insert(name.to_owned(), digest::of_bytes(bytes));
        write_file(&folder.join(name), bytes)
    };
    let model = package.model.bytes()?;
    write(MODEL_FILE, &model)?;
    // The model is where it is always looked for.
    let spec = ModelSpec { model: None, ..package.spec.clone() };
    write(SPEC_FILE, spec.to_toml()?.as_bytes())?;
    if shared != package.labels {
        // Also where this version has none: it must not take those of the others for its own.
        write(LABELS_FILE, labels::to_text(&package.labels).as_bytes())?;
    } else if !shared.is_empty() {
        digests.insert(SHARED_LABELS.to_owned(), digest::of_bytes(labels::to_text(shared).as_bytes()));
    }
    for location in external::locations(&model)? {
        let target = folder.join(&location);
        copy_external(package, &location, &target)?;
        digests.insert(location, digest::of_file(&target)?.1);
    }
    write_file(&folder.join(DIGESTS_FILE), digest::to_text(&digests).as_bytes())
}

/// Copies one file of external data from beside the model to `target`.
fn copy_external(package: &Package, location: &str, target: &Path) -> Result<()> {
    let ModelSource::Path(model) = &package.model else {
        return Err(Error::new(
            ErrorKind::InvalidModel,
            format!("the model keeps weights in `{location}`, which bytes in memory do not bring along"),
        ));
    };
    let source = model.parent().unwrap_or(Path::new("")).join(location);
    if target.exists() {
        return Err(Error::new(
            ErrorKind::InvalidModel,
            format!("the model keeps weights in `{location}`, a name that a model directory needs itself"),
        ));
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
    }
    fs::copy(&source, target).map_err(|e| Error::io(&source, e))?;
    Ok(())
}

fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir(path).map_err(|e| Error::io(path, e))
}

pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|e| Error::io(path, e))
}
