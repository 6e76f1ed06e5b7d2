//! What lies in the repositories' folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Component, Path, PathBuf};

use tintype_core::package::check_name;
use tintype_core::triton::{self, ModelConfig};
use tintype_core::{Error, ErrorKind, Result};

/// Changes when a file under a directory appears, goes, or is written.
pub(super) type Stamp = u64;

/// A model directory.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) directory: PathBuf,
    pub(super) stamp: Stamp,
}

/// What is in the folders.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) models: BTreeMap<String, Found>,
    /// Names in more than one folder.
    pub(super) twice: BTreeSet<String>,
}

/// Every model directory of the folders. What has no name for a model, and hidden folders, are passed over.
pub(super) fn scan(paths: &[PathBuf]) -> Result<Scan> {
    let mut scan = Scan::default();
    for path in paths {
        for entry in fs::read_dir(path).map_err(|e| Error::io(path, e))? {
            let entry = entry.map_err(|e| Error::io(path, e))?;
            let directory = entry.path();
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if !directory.is_dir() || name.starts_with('.') || check_name(&name).is_err() {
                continue;
            }
            let stamp = stamp(&directory)?;
            if scan.models.insert(name.clone(), Found { directory, stamp }).is_some() {
                scan.twice.insert(name);
            }
        }
    }
    for name in &scan.twice {
        scan.models.remove(name);
    }
    Ok(scan)
}

/// The versions of a model directory: folders whose names are numbers without a leading zero.
pub(super) fn versions(directory: &Path) -> Result<Vec<u64>> {
    let mut versions = Vec::new();
    for entry in fs::read_dir(directory).map_err(|e| Error::io(directory, e))? {
        let entry = entry.map_err(|e| Error::io(directory, e))?;
        let name = entry.file_name();
        let number = name.to_str().filter(|name| !name.starts_with('0')).and_then(|name| name.parse().ok());
        if let Some(number) = number.filter(|_| entry.path().is_dir()) {
            versions.push(number);
        }
    }
    Ok(versions)
}

/// `configs/<name>.pbtxt` where a name is given and the model has it, else `config.pbtxt`, else nothing.
pub(super) fn read_config(directory: &Path, name: Option<&str>) -> Result<Option<ModelConfig>> {
    let named = name.map(|name| directory.join("configs").join(format!("{name}.pbtxt")));
    let path = named.filter(|path| path.is_file()).unwrap_or_else(|| directory.join("config.pbtxt"));
    match fs::read_to_string(&path) {
        Ok(text) => triton::parse(&text).map(Some).map_err(|e| e.context(format!("`{}`", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(&path, error)),
    }
}

/// The model's name, which its directory has.
pub(super) fn name_of(directory: &Path) -> Result<String> {
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    check_name(name)?;
    Ok(name.to_owned())
}

/// A path that stays inside of the directory it is joined to; with or without `file:` before it.
pub(super) fn inside(path: &str) -> Result<&Path> {
    let path = Path::new(path.strip_prefix("file:").unwrap_or(path));
    let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
    if stays && path.file_name().is_some() {
        return Ok(path);
    }
    let message = format!("expected a file inside of the model's directory, found `{}`", path.display());
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

fn stamp(directory: &Path) -> Result<Stamp> {
    let mut hasher = DefaultHasher::new();
    walk(directory, &mut hasher)?;
    Ok(hasher.finish())
}

fn walk(directory: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(directory)
        .and_then(Iterator::collect::<std::io::Result<_>>)
        .map_err(|e| Error::io(directory, e))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        entry.file_name().hash(hasher);
        // A file that went meanwhile changes the next stamp.
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if metadata.is_dir() {
            // Links to directories are not followed, so that this ends.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(&entry.path(), hasher)?;
            }
        } else {
            metadata.len().hash(hasher);
            metadata.modified().ok().hash(hasher);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_models_and_numbers_are_versions() {
        let root = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        for folder in ["a/1", "a/20", "a/03", "a/0", "a/x", "b/1", ".git", "no name/1"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("file"), "").unwrap();
        fs::create_dir_all(other.path().join("b")).unwrap();
        let paths = [root.path().to_owned(), other.path().to_owned()];
        let found = scan(&paths).unwrap();
        assert_eq!(found.models.keys().collect::<Vec<_>>(), ["a"]);
        assert!(found.twice.contains("b"));
        let mut numbers = versions(&root.path().join("a")).unwrap();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 20]);
        assert_eq!(scan(&[root.path().join("missing")]).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_stamp_tells_that_something_was_written() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("m/1")).unwrap();
        let stamp = || scan(&[root.path().to_owned()]).unwrap().models["m"].stamp;
        let empty = stamp();
        fs::write(root.path().join("m/1/model.onnx"), "1").unwrap();
        let written = stamp();
        assert_ne!(empty, written);
        assert_eq!(written, stamp());
        fs::write(root.path().join("m/1/model.onnx"), "22").unwrap();
        assert_ne!(written, stamp());
    }

    #[test]
    fn paths_stay_inside() {
        assert_eq!(inside("file:1/model.onnx").unwrap(), Path::new("1/model.onnx"));
        for bad in ["", "file:", "../x", "/etc/passwd", "1/../../x", "."] {
            assert_eq!(inside(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad}");
        }
    }
}
