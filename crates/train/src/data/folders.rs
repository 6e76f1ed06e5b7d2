//! Images in folders: of classes, or of parts with folders of classes within.

use std::path::{Path, PathBuf};

use tintype_core::image::{EXTENSIONS, has_image_extension};
use tintype_core::{Error, ErrorKind, Result};
use walkdir::WalkDir;

use super::{Dataset, Part};

/// Names of the folders in `root` that are not hidden, sorted.
///
/// # Errors
/// `NotFound` or `Io` when it cannot be read.
pub(super) fn visible(root: &Path) -> Result<Vec<String>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(root).map_err(|e| Error::io(root, e))? {
        let entry = entry.map_err(|e| Error::io(root, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.path().is_dir() {
            folders.push(name);
        }
    }
    folders.sort();
    Ok(folders)
}

/// The folders of parts, where all folders are such, one is to learn from, and each has folders of its own: classes may
/// be called so too.
pub(super) fn parts(root: &Path, folders: &[String]) -> Option<Vec<(Part, PathBuf)>> {
    let part = |name: &String| {
        let folder = root.join(name);
        let has_classes = visible(&folder).is_ok_and(|classes| !classes.is_empty());
        Part::named(name).filter(|_| has_classes).map(|part| (part, folder))
    };
    let parts: Vec<_> = folders.iter().map(part).collect::<Option<_>>()?;
    parts.iter().any(|(part, _)| *part == Part::Train).then_some(parts)
}

/// Lists `<part>/<class>/…`.
///
/// # Errors
/// Those of [`classes`]; `InvalidArgument` when a class is in other parts alone.
pub(super) fn divided(parts: &[(Part, PathBuf)]) -> Result<Dataset> {
    let mut named = Vec::new();
    for (part, folder) in parts {
        for (path, class) in images(folder, &visible(folder)?)? {
            named.push((path.into(), class, Some(*part)));
        }
    }
    Dataset::new(named).learnable()
}

/// Lists `root/<class>/…`, where a class's images may lie in folders of their own.
///
/// Hidden files and folders are passed over, as are files that are not named as images.
///
/// # Errors
/// `Io` when a folder cannot be read; `InvalidArgument` when one has no image.
pub(super) fn classes(root: &Path, folders: &[String]) -> Result<Dataset> {
    let images = images(root, folders)?;
    Ok(Dataset::new(images.into_iter().map(|(path, class)| (path.into(), class, None)).collect()))
}

/// The images of each class, with its name.
fn images(root: &Path, folders: &[String]) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for class in folders {
        let before = found.len();
        let folder = root.join(class);
        found.extend(under(&folder, usize::MAX)?.into_iter().map(|path| (path, class.clone())));
        if found.len() == before {
            return Err(no_image("class folder", &folder));
        }
    }
    Ok(found)
}

pub(super) fn no_image(what: &str, folder: &Path) -> Error {
    let message = format!("{what} `{}` has no image", folder.display());
    Error::new(ErrorKind::InvalidArgument, message)
        .with_hint(format!("files that end in {} count", EXTENSIONS.join(", ")))
}

/// The images under a folder, at most so deep.
pub(super) fn under(folder: &Path, depth: usize) -> Result<Vec<PathBuf>> {
    files(folder, depth, has_image_extension)
}

/// The files under a folder that are wanted, at most so deep, sorted by path; hidden ones are passed over.
pub(super) fn files(folder: &Path, depth: usize, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let visible = |e: &walkdir::DirEntry| e.depth() == 0 || !e.file_name().to_string_lossy().starts_with('.');
    let walk = WalkDir::new(folder).max_depth(depth).follow_links(true).sort_by_file_name();
    for entry in walk.into_iter().filter_entry(visible) {
        let entry = entry.map_err(|e| {
            let path = e.path().unwrap_or(folder).to_owned();
            Error::new(ErrorKind::Io, format!("`{}`: {e}", path.display())).with_source(e)
        })?;
        if entry.file_type().is_file() && wanted(entry.path()) {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}
