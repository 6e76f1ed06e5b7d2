//! Reading zip archives that may be hostile.
//!
//! [`Archive::open`] judges the whole directory of the archive before a byte of content is read: how many files, how large,
//! what names, what kinds. [`Archive::read`] then unpacks one file into memory, never more bytes than were declared.
//! Nothing here writes to disk; names from an archive are compared, not used as paths.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use zip::CompressionMethod;
use zip::read::{ArchiveOffset, Config, ZipArchive, ZipFileEntry, ZipReadOptions};
use zip::result::ZipError;

use crate::{Error, ErrorKind, Result};

/// What reading an archive may cost.
#[derive(Debug, Clone, Copy)]
pub struct ArchiveLimits {
    /// Files in the archive.
    pub max_entries: usize,
    /// Unpacked bytes of one file.
    pub max_entry_bytes: u64,
    /// Unpacked bytes of all files.
    pub max_total_bytes: u64,
    /// Unpacked bytes for each packed one, of files of more than 1 MiB.
    pub max_ratio: u64,
}

impl Default for ArchiveLimits {
    /// 4,096 files, 4 GiB each, 8 GiB in all, 200 times smaller when packed. Weights shrink by a tenth, text by ten times.
    fn default() -> Self {
        Self { max_entries: 4096, max_entry_bytes: 4 << 30, max_total_bytes: 8 << 30, max_ratio: 200 }
    }
}

/// Below this many unpacked bytes no ratio is suspicious: a page of blanks packs very well.
const RATIO_MATTERS_BYTES: u64 = 1 << 20;
/// What the directory of an archive may cost to read: a fixed part (the end record is searched in the last 64 KiB) and a
/// part for each file.
const DIRECTORY_BYTES: u64 = 1 << 18;
const DIRECTORY_BYTES_PER_ENTRY: u64 = 512;

/// An archive whose directory has been judged.
pub(super) struct Archive {
    zip: ZipArchive<Metered<BufReader<File>>>,
    /// Index and unpacked size of each file, by name; directories are left out.
    files: BTreeMap<String, (usize, u64)>,
}

impl Archive {
    /// Opens an archive and judges its directory.
    ///
    /// # Errors
    /// `PayloadTooLarge` beyond a limit; `InvalidPackage` for what is no zip archive, is damaged, or has a name, file
    /// type, compression or encryption that a package has no use for.
    pub fn open(path: &Path, limits: &ArchiveLimits) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let budget = Rc::new(Cell::new(directory_budget(limits)));
        let reader = Metered { inner: BufReader::new(file), budget: budget.clone() };
        // A package begins where its file begins: nothing is searched before the first entry.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let mut zip = ZipArchive::with_config(config, reader).map_err(|e| not_a_zip(&e))?;
        // The rest is bounded by the sizes that are checked below.
        budget.set(u64::MAX);
        let files = judge(&zip, limits)?;
        if zip.has_overlapping_entries().map_err(|e| damaged(&e))? {
            return Err(invalid("two files of the archive share the same bytes"));
        }
        Ok(Self { zip, files })
    }

    /// The names of the files and their unpacked sizes, sorted by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        self.files.iter().map(|(name, (_, bytes))| (name.as_str(), *bytes))
    }

    /// The content of a file, or `None` where there is none of this name.
    ///
    /// # Errors
    /// `InvalidPackage` when the content is damaged or not as long as declared.
    pub fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(&(index, size)) = self.files.get(name) else { return Ok(None) };
        let context = |e: Error| e.context(format!("`{name}`"));
        let options = ZipReadOptions::new().enforce_header_consistency(true);
        let entry = self.zip.by_index_with_options(index, options).map_err(|e| context(damaged(&e)))?;
        // Memory is taken as content comes, not on the word of a header.
        let mut content = Vec::with_capacity(size.min(1 << 20) as usize);
        entry
            .take(size.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|e| context(damaged(&e.into())))?;
        if content.len() as u64 != size {
            return Err(context(invalid(format!("expected {size} bytes, found {}", content.len()))));
        }
        Ok(Some(content))
    }
}

fn directory_budget(limits: &ArchiveLimits) -> u64 {
    (limits.max_entries as u64).saturating_mul(DIRECTORY_BYTES_PER_ENTRY).saturating_add(DIRECTORY_BYTES)
}

/// Judges every entry of the directory.
fn judge<R: Read + Seek>(
    zip: &ZipArchive<R>,
    limits: &ArchiveLimits,
) -> Result<BTreeMap<String, (usize, u64)>> {
    if zip.len() > limits.max_entries {
        return Err(too_large(format!(
            "{} files in the archive: at most {} are taken",
            zip.len(),
            limits.max_entries
        )));
    }
    if zip.has_duplicate_names() {
        return Err(invalid("two files of the archive have the same name"));
    }
    let mut total = 0u64;
    let mut files = BTreeMap::new();
    for index in 0..zip.len() {
        let entry = zip.by_index_data(index).map_err(|e| damaged(&e))?;
        let name = entry.name().map_err(|e| damaged(&e))?.into_owned();
        judge_entry(&entry, &name, limits).map_err(|e| e.context(format!("{name:?}")))?;
        total = total.saturating_add(entry.size());
        if total > limits.max_total_bytes {
            return Err(too_large(format!("more than {} bytes when unpacked", limits.max_total_bytes)));
        }
        if !entry.is_dir() {
            files.insert(name, (index, entry.size()));
        }
    }
    Ok(files)
}

fn judge_entry(entry: &ZipFileEntry<'_>, name: &str, limits: &ArchiveLimits) -> Result<()> {
    judge_name(name)?;
    if entry.encrypted() {
        return Err(invalid("the file is encrypted"));
    }
    judge_type(entry.unix_mode(), entry.is_dir())?;
    if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
        let method = entry.compression();
        return Err(invalid(format!("compression `{method}`: expected `Stored` or `Deflated`")));
    }
    let (unpacked, packed) = (entry.size(), entry.compressed_size());
    if unpacked > limits.max_entry_bytes {
        return Err(too_large(format!(
            "{unpacked} bytes when unpacked: at most {} are taken",
            limits.max_entry_bytes
        )));
    }
    if unpacked > RATIO_MATTERS_BYTES && unpacked / packed.max(1) > limits.max_ratio {
        return Err(too_large(format!(
            "{packed} bytes that unpack to {unpacked}: at most {} times as many are taken",
            limits.max_ratio
        )));
    }
    Ok(())
}

fn judge_name(name: &str) -> Result<()> {
    let drive = name.as_bytes().get(1) == Some(&b':') && name.as_bytes()[0].is_ascii_alphabetic();
    if name.starts_with('/') || drive {
        return Err(invalid("the name is an absolute path"));
    }
    if name.contains('\\') {
        return Err(invalid("the name has a backslash: expected `/` between folders"));
    }
    if name.chars().any(char::is_control) {
        return Err(invalid("the name has a control character"));
    }
    let path = name.strip_suffix('/').unwrap_or(name);
    if path.split('/').any(|part| part == "..") {
        return Err(invalid("the name leaves the archive through `..`"));
    }
    if path.split('/').any(|part| matches!(part, "" | ".")) {
        return Err(invalid("the name has an empty part"));
    }
    Ok(())
}

fn judge_type(unix_mode: Option<u32>, is_dir: bool) -> Result<()> {
    const FILE: u32 = 0o100_000;
    const DIRECTORY: u32 = 0o040_000;
    const LINK: u32 = 0o120_000;
    match unix_mode.unwrap_or_default() & 0o170_000 {
        0 => Ok(()),
        FILE if !is_dir => Ok(()),
        DIRECTORY if is_dir => Ok(()),
        LINK => Err(invalid("the entry is a symbolic link")),
        _ => Err(invalid("the entry is neither a file nor a directory")),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidPackage, message)
}

fn too_large(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::PayloadTooLarge, message)
}

fn not_a_zip(error: &ZipError) -> Error {
    match error {
        ZipError::Io(e) if e.kind() == io::ErrorKind::QuotaExceeded => too_large(e.to_string()),
        _ => damaged(error).context("not a zip archive that can be read"),
    }
}

/// The error for content that does not unpack; a disk that fails is no fault of the package.
fn damaged(error: &ZipError) -> Error {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match error {
        ZipError::Io(e) if e.kind() == UnexpectedEof => invalid("the archive ends early"),
        ZipError::Io(e) if matches!(e.kind(), InvalidData | InvalidInput | Other) => invalid(e.to_string()),
        ZipError::Io(e) => Error::new(ErrorKind::Io, e.to_string()),
        ZipError::InvalidArchive(what) => invalid(what.to_string()),
        other => invalid(other.to_string()),
    }
}

/// A reader that refuses to be read beyond a budget: the limit around the parser, which takes what a header promises.
struct Metered<R> {
    inner: R,
    /// Bytes that may still be read; shared with [`Archive::open`], which lifts it.
    budget: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.budget.get().checked_sub(read as u64) {
            Some(left) => self.budget.set(left),
            None => {
                return Err(io::Error::new(
                    io::ErrorKind::QuotaExceeded,
                    "the directory of the archive is too large",
                ));
            }
        }
        Ok(read)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}
