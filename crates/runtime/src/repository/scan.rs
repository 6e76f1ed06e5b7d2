//! What lies in the repositories' folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Component, Path, PathBuf};

use tintype_core::package::check_name;
use tintype_core::{Error, ErrorKind, Result};

/// Changes when a file under a directory appears, goes, or is written.
pub(super) type Stamp = u64;

/// What is in the folders.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The model directories, by name.
    pub(super) models: BTreeMap<String, PathBuf>,
    /// Names in more than one folder.
    pub(super) twice: BTreeSet<String>,
    /// Directories whose names no model can have, with what is wrong with them.
    pub(super) nameless: Vec<(String, Error)>,
}

/// Every model directory of the folders. Files and hidden folders are passed over.
pub(super) fn scan(paths: &[PathBuf]) -> Result<Scan> {
    let mut scan = Scan::default();
    for path in paths {
        for entry in fs::read_dir(path).map_err(|e| Error::io(path, e))? {
            let entry = entry.map_err(|e| Error::io(path, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(directory) = model_in(path, &name) else {
                if let Err(error) = check_name(&name)
                    && !name.starts_with('.')
                    && entry.path().is_dir()
                {
                    scan.nameless.push((name, error));
                }
                continue;
            };
            if scan.models.insert(name.clone(), directory).is_some() {
                scan.twice.insert(name);
            }
        }
    }
    for name in &scan.twice {
        scan.models.remove(name);
    }
    Ok(scan)
}

/// The directory of the model `name`, without a look at any other.
///
/// # Errors
/// `InvalidArgument` for what is no name, `UnknownModel` when no folder has it, `InvalidConfig` when several do.
pub(super) fn find(paths: &[PathBuf], name: &str) -> Result<PathBuf> {
    check_name(name)?;
    let mut found = paths.iter().filter_map(|path| model_in(path, name));
    let directory = found.next().ok_or_else(|| {
        let message = format!("failed to load '{name}', failed to poll from model repository");
        Error::new(ErrorKind::UnknownModel, message).with_hint("no repository has a folder of that name")
    })?;
    match found.next() {
        None => Ok(directory),
        Some(_) => {
            let message = format!("model '{name}' is in more than one repository");
            Err(Error::new(ErrorKind::InvalidConfig, message))
        }
    }
}

fn model_in(path: &Path, name: &str) -> Option<PathBuf> {
    let directory = path.join(name);
    (check_name(name).is_ok() && !name.starts_with('.') && directory.is_dir()).then_some(directory)
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

/// What is under `directory` now.
pub(super) fn stamp(directory: &Path) -> Result<Stamp> {
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
    fn folders_are_models() {
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
        assert_eq!(find(&paths, "a").unwrap(), root.path().join("a"));
        assert_eq!(find(&paths, "b").unwrap_err().kind(), ErrorKind::InvalidConfig);
        for (name, kind) in ["c", "file"].map(|name| (name, ErrorKind::UnknownModel)).into_iter().chain(
            [".git", "no name", "", "..", "../x", "a/1"].map(|name| (name, ErrorKind::InvalidArgument)),
        ) {
            assert_eq!(find(&paths, name).unwrap_err().kind(), kind, "{name}");
        }
        assert_eq!(found.nameless.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["no name"]);
        assert_eq!(scan(&[root.path().join("missing")]).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_stamp_tells_that_something_was_written() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("m/1")).unwrap();
        let stamp = || stamp(&root.path().join("m")).unwrap();
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
