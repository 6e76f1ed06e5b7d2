//! The cache's layout, that of `huggingface_hub`:
//!
//! ```text
//! <cache>/models--owner--name/refs/main                      the commit that `main` was last
//!                            /blobs/<tag>                     a content
//!                            /snapshots/<commit>/config.json  a link to it
//! <cache>/.locks/models--owner--name/<tag>.lock
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tintype_core::{Error, ErrorKind, Result};

use crate::repo::{Repo, is_path};

/// A repository's part of the cache.
pub(crate) struct Cache {
    root: PathBuf,
    locks: PathBuf,
}

impl Cache {
    pub fn of(cache: &Path, repo: &Repo) -> Self {
        Self { root: cache.join(repo.folder()), locks: cache.join(".locks").join(repo.folder()) }
    }

    /// The commit that a revision was when it was last asked for; a commit is one itself.
    pub fn commit(&self, revision: &str) -> Option<String> {
        let commit = fs::read_to_string(self.root.join("refs").join(revision)).ok();
        let commit = commit.map(|text| text.trim().to_owned()).filter(|commit| is_tag(commit));
        commit.or_else(|| self.root.join("snapshots").join(revision).is_dir().then(|| revision.to_owned()))
    }

    /// Keeps which commit a revision is.
    pub fn keep_commit(&self, revision: &str, commit: &str) -> Result<()> {
        if revision == commit || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.root.join("refs").join(revision);
        make_folder_of(&path)?;
        fs::write(&path, commit).map_err(|e| Error::io(&path, e))
    }

    /// A file of a commit, if it is there.
    pub fn file(&self, commit: &str, path: &str) -> Option<PathBuf> {
        let file = self.pointer(commit, path);
        file.is_file().then_some(file)
    }

    /// The files of a commit that are there, sorted.
    pub fn files(&self, commit: &str) -> Vec<String> {
        let root = self.root.join("snapshots").join(commit);
        let (mut files, mut open) = (Vec::new(), vec![String::new()]);
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(root.join(&folder)).into_iter().flatten().flatten() {
                let name = format!("{folder}{}", entry.file_name().to_string_lossy());
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => open.push(format!("{name}/")),
                    _ => files.push(name),
                }
            }
        }
        files.sort();
        files
    }

    /// Where the content with this tag lies.
    pub fn blob(&self, tag: &str) -> PathBuf {
        self.root.join("blobs").join(tag)
    }

    /// Holds off others that want to fetch the same content, this process's threads among them.
    pub fn lock(&self, tag: &str) -> Result<File> {
        let path = self.locks.join(format!("{tag}.lock"));
        make_folder_of(&path)?;
        let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
        file.lock().map_err(|e| Error::io(&path, e))?;
        Ok(file)
    }

    /// Makes a content a file of a commit.
    pub fn point(&self, commit: &str, path: &str, tag: &str) -> Result<PathBuf> {
        let pointer = self.pointer(commit, path);
        if pointer.is_file() {
            return Ok(pointer);
        }
        make_folder_of(&pointer)?;
        // What is left of an older cache may be a link to nothing.
        let _ = fs::remove_file(&pointer);
        let up = "../".repeat(path.split('/').count() + 1);
        let target = format!("{up}blobs/{tag}");
        link(Path::new(&target), &pointer)
            .or_else(|_| fs::copy(self.blob(tag), &pointer).map(drop))
            .map_err(|e| Error::io(&pointer, e))?;
        Ok(pointer)
    }

    fn pointer(&self, commit: &str, path: &str) -> PathBuf {
        self.root.join("snapshots").join(commit).join(path)
    }
}

#[cfg(unix)]
fn link(target: &Path, pointer: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, pointer)
}

#[cfg(not(unix))]
fn link(_target: &Path, _pointer: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

pub(crate) fn make_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))
}

/// Whether a hub's answer can name a content or a commit, which become names of files.
pub(crate) fn is_tag(tag: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !tag.is_empty() && tag.len() <= 128 && tag.chars().all(allowed)
}

/// A file's path within a repository.
///
/// # Errors
/// `InvalidArgument` when it would lead out of it.
pub(crate) fn check_path(path: &str) -> Result<()> {
    if is_path(path) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, format!("`{path}` is no path of a file in a repository")))
}
