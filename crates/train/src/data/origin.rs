//! Where an image's bytes are: in a file of their own, or in a row of a Parquet file.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tintype_core::{Error, Result};

/// Where an image comes from. Shown, it is the file's path, or `<path>#<row>`; it is ordered and compared by that.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// A row of a file.
    Row(Row),
}

/// An image in a row of a Parquet file. Its bytes were unpacked when the data set was opened: rows cannot be read one by
/// one out of pages that are compressed together.
#[derive(Debug, Clone)]
pub struct Row {
    /// The Parquet file.
    pub(super) shard: Arc<Path>,
    /// The row in it, from 0.
    pub(super) number: usize,
    /// The bytes of all images, one after the other. The lock is on the place in the file.
    pub(super) unpacked: Arc<Mutex<File>>,
    /// Where this one's begin.
    pub(super) start: u64,
    pub(super) length: usize,
}

impl Origin {
    /// The image's bytes, as they were encoded.
    ///
    /// # Errors
    /// `NotFound` or `Io`.
    pub fn read(&self) -> Result<Vec<u8>> {
        match self {
            Self::File(path) => std::fs::read(path).map_err(|e| Error::io(path, e)),
            Self::Row(row) => {
                let mut bytes = vec![0; row.length];
                let mut file = row.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
                let read = file.seek(SeekFrom::Start(row.start)).and_then(|_| file.read_exact(&mut bytes));
                read.map_err(|e| Error::io(&row.shard, e))?;
                Ok(bytes)
            }
        }
    }

    fn place(&self) -> (&Path, usize) {
        match self {
            Self::File(path) => (path, 0),
            Self::Row(row) => (&row.shard, row.number),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Row(row) => write!(f, "{}#{}", row.shard.display(), row.number),
        }
    }
}

impl From<PathBuf> for Origin {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Origin {}

impl PartialOrd for Origin {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Origin {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}
