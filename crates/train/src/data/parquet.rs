//! Images in Parquet files, as Hugging Face's `datasets` writes them.
//!
//! ```text
//! <root>/data/train-00000-of-00002.parquet      a shard; what stands before the number is what its images are for
//! <root>/plain_text/validation/0000.parquet     the folder's name says it where the file's does not
//!
//! image: {bytes: binary, path: string}          or a binary column alone
//! label: int64                                  an index into names in the metadata (`columns`), or text
//! ```
//!
//! Shards are read once, from their beginning to their end, and the images' bytes copied into a temporary file that is gone
//! with the data set: training reads them in another order each epoch.

mod columns;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use tintype_core::{Error, ErrorKind, Result};

use super::origin::Row;
use super::{Dataset, Origin, Part, folders};
use columns::{Columns, LabelType};

const KIND: &str = "Parquet file";
/// How its name ends.
const EXTENSION: &str = "parquet";
/// Folders are looked through this deep, as in `<configuration>/<part>/0000.parquet`.
const DEPTH: usize = 3;
/// Values that are read at a time.
const VALUES: usize = 64;

/// Whether a file is called as one of these.
pub(super) fn is_one(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(EXTENSION))
}

/// The Parquet files in a folder, sorted by path; hidden ones are passed over.
///
/// # Errors
/// `Io` when a folder cannot be read.
pub(super) fn within(root: &Path) -> Result<Vec<PathBuf>> {
    folders::files(root, DEPTH, is_one)
}

/// An image with its class and what it is for.
type Labelled = (Origin, String, Option<Part>);

/// The images of these files that have a label.
///
/// # Errors
/// `NotFound` or `Io` when one cannot be read, or the temporary file not written; `InvalidArgument` when one is no Parquet
/// file or lacks a column, or there is no labelled image.
pub(super) fn read(shards: &[PathBuf]) -> Result<Dataset> {
    let parts: Vec<Option<Part>> = shards.iter().map(|shard| part_of(shard)).collect();
    if let Some(odd) = parts.iter().position(Option::is_none).filter(|_| parts.iter().any(Option::is_some)) {
        let message = format!("`{}`: the name does not say what its images are for", shards[odd].display());
        return Err(Error::new(ErrorKind::InvalidArgument, message)
            .with_hint("expected `train-…`, `validation-…` or `test-…`, as the other files are called"));
    }
    let mut unpacked = Unpacked::new()?;
    let mut found = Vec::new();
    for (path, part) in shards.iter().zip(parts) {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        // The library panics over some damaged files.
        let read = AssertUnwindSafe(|| Shard::open(path, file, part)?.unpack(&mut unpacked, &mut found));
        let read =
            catch_unwind(read).unwrap_or_else(|_| Err(invalid(format!("is no whole {KIND}: it is damaged"))));
        read.map_err(|e| e.context(format!("`{}`", path.display())))?;
    }
    if found.is_empty() {
        let place = shards.first().map(|shard| shard.display().to_string()).unwrap_or_default();
        return Err(Error::new(ErrorKind::InvalidArgument, format!("`{place}` has no labelled image")));
    }
    unpacked.finish()?;
    Dataset::new(found).learnable()
}

/// Checks that no shard of a folder is missing, where their names say how many there are.
///
/// # Errors
/// `NotFound`.
pub(super) fn check_complete(shards: &[PathBuf]) -> Result<()> {
    for shard in shards {
        let stem = shard.file_stem().unwrap_or_default().to_string_lossy();
        let Some((before, after)) = stem.split_once("-of-") else { continue };
        let count = after.split('-').next().and_then(|count| count.parse::<usize>().ok());
        let (Some(count), Some((word, _))) = (count, before.rsplit_once('-')) else { continue };
        let is_beside = |other: &&PathBuf| {
            let name = other.file_stem().unwrap_or_default().to_string_lossy();
            let number = name.strip_prefix(word).and_then(|rest| rest.strip_prefix('-')?.split_once("-of-"));
            number.is_some() && other.parent() == shard.parent()
        };
        let found = shards.iter().filter(is_beside).count();
        if found < count {
            let message = format!("`{}`: expected {count} files, found {found}", shard.display());
            return Err(Error::new(ErrorKind::NotFound, message).with_hint("name a file to use it alone"));
        }
    }
    Ok(())
}

/// What a shard's images are for, by the word before its number or its folder's name.
fn part_of(shard: &Path) -> Option<Part> {
    let stem = shard.file_stem()?.to_str()?;
    let word = stem.split(['-', '.']).next().unwrap_or(stem);
    Part::named(word).or_else(|| Part::named(shard.parent()?.file_name()?.to_str()?))
}

/// The bytes of images, one after the other, in a file without a name.
struct Unpacked {
    file: BufWriter<File>,
    /// The same file, for those who read it.
    shared: Arc<Mutex<File>>,
    length: u64,
}

impl Unpacked {
    fn new() -> Result<Self> {
        let file = tempfile::tempfile().map_err(no_room)?;
        let shared = Arc::new(Mutex::new(file.try_clone().map_err(no_room)?));
        Ok(Self { file: BufWriter::with_capacity(1 << 20, file), shared, length: 0 })
    }

    /// Where the bytes lie from now on.
    fn add(&mut self, bytes: &[u8]) -> Result<u64> {
        let start = self.length;
        self.file.write_all(bytes).map_err(no_room)?;
        self.length += bytes.len() as u64;
        Ok(start)
    }

    fn finish(mut self) -> Result<()> {
        self.file.flush().map_err(no_room)
    }
}

fn no_room(error: std::io::Error) -> Error {
    Error::io(&std::env::temp_dir(), error)
        .with_hint("images of Parquet files are unpacked there; `TMPDIR` names another folder")
}

/// A Parquet file with what is known of it.
struct Shard {
    path: Arc<Path>,
    part: Option<Part>,
    reader: SerializedFileReader<File>,
    columns: Columns,
}

impl Shard {
    fn open(path: &Path, file: File, part: Option<Part>) -> Result<Self> {
        let reader = SerializedFileReader::new(file).map_err(|e| damaged(&e))?;
        let columns = Columns::of(reader.metadata().file_metadata())?;
        Ok(Self { path: path.into(), part, reader, columns })
    }

    /// Copies the images that have a label, and lists them.
    fn unpack(&self, unpacked: &mut Unpacked, found: &mut Vec<Labelled>) -> Result<()> {
        let mut first = 0;
        for index in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(index).map_err(|e| damaged(&e))?;
            let classes = self.classes(&*group, first)?;
            let mut row = 0;
            each::<ByteArrayType>(&*group, self.columns.image, |bytes| {
                let (number, class) = (first + row, classes.get(row));
                row += 1;
                // Some parts of public data sets come without their labels.
                let Some(Some(class)) = class else { return Ok(()) };
                let bytes =
                    bytes.ok_or_else(|| invalid(format!("row {number}: expected an image, found none")))?;
                let start = unpacked.add(bytes.data())?;
                let (shard, unpacked) = (Arc::clone(&self.path), Arc::clone(&unpacked.shared));
                let row = Row { shard, number, unpacked, start, length: bytes.len() };
                found.push((Origin::Row(row), class.clone(), self.part));
                Ok(())
            })?;
            if row != classes.len() {
                return Err(invalid(format!("has {row} images and {} labels", classes.len())));
            }
            first += row;
        }
        Ok(())
    }

    /// The class of each row of a group; none where it is not told. `first` is the number of the first row.
    fn classes(&self, group: &dyn RowGroupReader, first: usize) -> Result<Vec<Option<String>>> {
        let (column, mut classes) = (self.columns.label, Vec::new());
        match self.columns.label_type {
            LabelType::I32 => each::<Int32Type>(group, column, |label| {
                classes.push(self.columns.class(label.map(i64::from), first + classes.len())?);
                Ok(())
            }),
            LabelType::I64 => each::<Int64Type>(group, column, |label| {
                classes.push(self.columns.class(label, first + classes.len())?);
                Ok(())
            }),
            LabelType::Text => each::<ByteArrayType>(group, column, |label: Option<ByteArray>| {
                let text = label.map(|label| String::from_utf8_lossy(label.data()).trim().to_owned());
                classes.push(text.filter(|text| !text.is_empty()));
                Ok(())
            }),
        }?;
        Ok(classes)
    }
}

/// Calls `take` with each value of a column, none where it is null.
fn each<T: DataType>(
    group: &dyn RowGroupReader,
    column: usize,
    mut take: impl FnMut(Option<T::T>) -> Result<()>,
) -> Result<()> {
    let present = group.metadata().column(column).column_descr().max_def_level();
    let reader = group.get_column_reader(column).map_err(|e| damaged(&e))?;
    let mut reader = get_typed_column_reader::<T>(reader);
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    loop {
        values.clear();
        levels.clear();
        let read = reader.read_records(VALUES, Some(&mut levels), None, &mut values);
        let (rows, ..) = read.map_err(|e| damaged(&e))?;
        if rows == 0 {
            return Ok(());
        }
        let mut values = values.drain(..);
        for row in 0..rows {
            // A column without nulls has no levels.
            let is_there = levels.get(row).is_none_or(|&level| level == present);
            take(if is_there { values.next() } else { None })?;
        }
    }
}

fn damaged(error: &ParquetError) -> Error {
    invalid(format!("is no whole {KIND}: {error}"))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

#[cfg(test)]
mod tests;
