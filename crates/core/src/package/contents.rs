//! The files behind a package and whether they are as their digests say, for `inspect` and `verify`.

use std::path::{Path, PathBuf};

use super::archive::{Archive, ArchiveLimits};
use super::digest::{self, Digests};
use super::locate::{self, Location};
use super::{DIGESTS_FILE, directory, mar, quoted};
use crate::{Error, ErrorKind, Result};

/// What a package is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One version of a Triton model directory.
    Directory,
    /// A TorchServe archive.
    Mar,
    /// A bare ONNX file.
    Onnx,
}

impl Format {
    /// `directory`, `mar` or `onnx`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Mar => "mar",
            Self::Onnx => "onnx",
        }
    }
}

/// What a file's digest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The recorded digest is the file's.
    Matches,
    /// The recorded digest, which is not the file's.
    Differs(String),
    /// A digest is recorded, but there is no such file.
    Missing,
    /// No digest is recorded.
    Unlisted,
}

/// One file of a package.
#[derive(Debug, Clone)]
pub struct PackagedFile {
    /// Its name in the archive, or relative to the version directory.
    pub name: String,
    /// Its length, unpacked; 0 where it is missing.
    pub bytes: u64,
    /// Its SHA-256 in lowercase hexadecimal; empty where it is missing.
    pub sha256: String,
    /// Whether that is what was recorded.
    pub check: Check,
}

/// The files behind a package, sorted by name.
#[derive(Debug, Clone)]
pub struct Contents {
    /// What the package is on disk.
    pub format: Format,
    /// Where it is: the version directory, the archive or the ONNX file.
    pub path: PathBuf,
    /// The files, without the list of digests itself.
    pub files: Vec<PackagedFile>,
}

impl Contents {
    /// Lists and digests the files of the package at `path`: every file of an archive or a version directory, and the
    /// labels that the version shares with others.
    ///
    /// # Errors
    /// As [`Package::open`](super::Package::open), save that a wrong digest is no error but a [`Check`].
    pub fn of(path: &Path, limits: &ArchiveLimits) -> Result<Self> {
        match locate::locate(path)? {
            Location::Version(version) => of_directory(version.path()),
            Location::Archive(path) => of_archive(&path, limits).map_err(|e| e.context(quoted(&path))),
            Location::Onnx(path) => {
                let (bytes, sha256) = digest::of_file(&path)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let file = PackagedFile { name, bytes, sha256, check: Check::Unlisted };
                Ok(Self { format: Format::Onnx, path, files: vec![file] })
            }
        }
    }

    /// The files that are not what their digests say.
    pub fn damaged(&self) -> impl Iterator<Item = &PackagedFile> {
        self.files.iter().filter(|file| matches!(file.check, Check::Differs(_) | Check::Missing))
    }
}

fn of_archive(path: &Path, limits: &ArchiveLimits) -> Result<Contents> {
    let mut archive = Archive::open(path, limits)?;
    let digests = parse_digests(archive.read(mar::DIGESTS_PATH)?)?;
    let names: Vec<String> =
        archive.files().map(|(name, _)| name.to_owned()).filter(|name| name != mar::DIGESTS_PATH).collect();
    let mut files = Vec::new();
    for name in names {
        let content = archive.read(&name)?.unwrap_or_default();
        files.push((name, content.len() as u64, digest::of_bytes(&content)));
    }
    Ok(Contents { format: Format::Mar, path: path.to_owned(), files: compare(files, digests) })
}

fn of_directory(path: PathBuf) -> Result<Contents> {
    let listed = path.join(DIGESTS_FILE);
    let digests = match std::fs::read(&listed) {
        Ok(text) => parse_digests(Some(text)).map_err(|e| e.context(quoted(&path)))?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Digests::new(),
        Err(e) => return Err(Error::io(&listed, e)),
    };
    let mut names = Vec::new();
    list(&path, "", &mut names)?;
    names.retain(|name| name != DIGESTS_FILE);
    if path.join(directory::SHARED_LABELS).is_file() && !names.iter().any(|name| name == super::LABELS_FILE) {
        names.push(directory::SHARED_LABELS.to_owned());
    }
    let mut files = Vec::new();
    for name in names {
        let (bytes, sha256) = digest::of_file(&path.join(&name))?;
        files.push((name, bytes, sha256));
    }
    Ok(Contents { format: Format::Directory, path, files: compare(files, digests) })
}

/// The names of the files in `folder` and below, relative to it and after `prefix`.
fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        // Links to directories are not followed, so that this ends.
        if entry.file_type().map_err(|e| Error::io(&entry.path(), e))?.is_dir() {
            list(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

fn parse_digests(text: Option<Vec<u8>>) -> Result<Digests> {
    let Some(text) = text else { return Ok(Digests::new()) };
    let text = String::from_utf8(text)
        .map_err(|_| Error::new(ErrorKind::InvalidPackage, format!("`{DIGESTS_FILE}` is not UTF-8 text")))?;
    digest::parse(&text)
}

/// Sets beside each file (name, bytes, digest) what was recorded of it.
fn compare(found: Vec<(String, u64, String)>, mut digests: Digests) -> Vec<PackagedFile> {
    let mut files: Vec<PackagedFile> = found
        .into_iter()
        .map(|(name, bytes, sha256)| {
            let check = match digests.remove(&name) {
                Some(recorded) if recorded == sha256 => Check::Matches,
                Some(recorded) => Check::Differs(recorded),
                None => Check::Unlisted,
            };
            PackagedFile { name, bytes, sha256, check }
        })
        .collect();
    files.extend(digests.into_keys().map(|name| PackagedFile {
        name,
        bytes: 0,
        sha256: String::new(),
        check: Check::Missing,
    }));
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}
