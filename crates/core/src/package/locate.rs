//! Finding out what lies at a path that was given as MODEL, by looking only at names and first bytes.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::latest::newest_run;
use super::{CONFIG_FILE, MODEL_FILE, SPEC_FILE, name, quoted};
use crate::{Error, ErrorKind, Result};

/// What lies at a path.
#[derive(Debug)]
pub(super) enum Location {
    /// One version of a Triton model directory.
    Version(VersionDir),
    /// A zip archive, so presumably a `.mar`.
    Archive(PathBuf),
    /// An ONNX file.
    Onnx(PathBuf),
}

/// One version of a model directory: `<model>/<version>`.
#[derive(Debug)]
pub(super) struct VersionDir {
    /// The model directory.
    pub model: PathBuf,
    /// The model directory's own name.
    pub name: String,
    /// The version directory's name, a positive number.
    pub version: String,
}

impl VersionDir {
    /// `<model>/<version>`.
    pub fn path(&self) -> PathBuf {
        self.model.join(&self.version)
    }
}

/// Looks at `path` and says what it is.
pub(super) fn locate(path: &Path) -> Result<Location> {
    let path = &newest_run(path, "model")?;
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if metadata.is_dir() { locate_in_directory(path).map(Location::Version) } else { locate_file(path) }
}

fn locate_file(path: &Path) -> Result<Location> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "onnx" => return Ok(Location::Onnx(path.to_owned())),
        "mar" => return Ok(Location::Archive(path.to_owned())),
        // PyTorch's files are zip archives as well, so this comes before the look inside.
        "pt" | "pth" | "th" | "ckpt" | "safetensors" => return Err(not_onnx(&quoted(path))),
        "gz" | "tgz" => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{} is a compressed tar archive", quoted(path)),
            )
            .with_hint("pack it again with `torch-model-archiver --archive-format default`"));
        }
        _ => {}
    }
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_ok() && magic == *b"PK\x03\x04" {
        return Ok(Location::Archive(path.to_owned()));
    }
    Err(Error::new(
        ErrorKind::InvalidPackage,
        format!("{} is no model: expected a `.mar` archive, an `.onnx` file or a directory", quoted(path)),
    ))
}

/// The error for weights that only PyTorch can run.
pub(super) fn not_onnx(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} is not an ONNX model"))
        .with_hint("export it with `torch.onnx.export(model, example, \"model.onnx\")` and package that file")
}

fn locate_in_directory(path: &Path) -> Result<VersionDir> {
    let name = own_name(path)?;
    if name::version_number(&name).is_some() {
        let full = std::fs::canonicalize(path).map_err(|e| Error::io(path, e))?;
        let model = path.parent().filter(|p| !p.as_os_str().is_empty()).or(full.parent());
        let Some(model) = model else { return Err(nothing_in(path)) };
        // A model may lie elsewhere or have another name, where a configuration says so.
        let is_version = [MODEL_FILE, SPEC_FILE].iter().any(|file| path.join(file).exists())
            || [CONFIG_FILE, SPEC_FILE].iter().any(|file| model.join(file).is_file());
        if is_version {
            return Ok(VersionDir { name: own_name(model)?, model: model.to_owned(), version: name });
        }
    }
    if let Some(version) = highest_version(path)? {
        return Ok(VersionDir { model: path.to_owned(), name, version });
    }
    if path.join("model").is_dir() {
        return locate_in_run(path);
    }
    Err(nothing_in(path))
}

/// A training run keeps its result as the one model directory in `<run>/model/`.
fn locate_in_run(run: &Path) -> Result<VersionDir> {
    let folder = run.join("model");
    let mut models = Vec::new();
    for name in directories(&folder)? {
        if let Some(version) = highest_version(&folder.join(&name))? {
            models.push(VersionDir { model: folder.join(&name), name, version });
        }
    }
    match <[VersionDir; 1]>::try_from(models) {
        Ok([model]) => Ok(model),
        Err(models) => Err(Error::new(
            ErrorKind::InvalidPackage,
            format!("{} holds {} models: expected the one of a training run", quoted(&folder), models.len()),
        )),
    }
}

fn highest_version(model: &Path) -> Result<Option<String>> {
    Ok(versions(model)?.last().map(u64::to_string))
}

/// The versions of a model directory, ascending: its directories whose names are numbers without leading zeros.
///
/// # Errors
/// `NotFound` or `Io` when the directory cannot be read.
pub fn versions(model: &Path) -> Result<Vec<u64>> {
    let mut versions: Vec<u64> =
        directories(model)?.iter().filter_map(|name| name::version_number(name)).collect();
    versions.sort_unstable();
    Ok(versions)
}

/// The names of the directories in `path`, sorted; names that are not Unicode cannot be a model's.
fn directories(path: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(path).map_err(|e| Error::io(path, e))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(path, e))?;
        if entry.path().is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The last part of a path, also of `.` and of one that ends in `..`.
fn own_name(path: &Path) -> Result<String> {
    let name = match path.file_name() {
        Some(name) => Some(name.to_owned()),
        None => {
            let full = std::fs::canonicalize(path).map_err(|e| Error::io(path, e))?;
            full.file_name().map(ToOwned::to_owned)
        }
    };
    Ok(name.unwrap_or_default().to_string_lossy().into_owned())
}

fn nothing_in(path: &Path) -> Error {
    let found = match directories(path) {
        Ok(names) if !names.is_empty() => {
            let shown: Vec<String> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
            format!("found the directories {}{}", shown.join(", "), if names.len() > 5 { ", …" } else { "" })
        }
        _ => "found no directory in it".to_owned(),
    };
    Error::new(
        ErrorKind::InvalidPackage,
        format!(
            "{} is no model directory: expected `<version>/{MODEL_FILE}`, `{MODEL_FILE}` in a directory named by its \
             version, or a training run's `model/<name>/<version>/{MODEL_FILE}`; {found}",
            quoted(path)
        ),
    )
}
