//! Checkpoints: arrays and a state in one `.safetensors` file, written whole or not at all.
//!
//! The state is TOML in the file's metadata, so that arrays and state can never be of different moments, and so that any
//! safetensors library reads the weights. A file is written beside its place, flushed to the disk, and only then renamed:
//! when the disk is full or the power fails, the last good one is still there. What a state says is [`crate::trainer`]'s.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensors};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tintype_core::{Error, ErrorKind, Result};

/// The key of the state in a file's metadata.
const STATE: &str = "tintype";

/// Where a run's checkpoints lie.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
}

/// An array to be written.
#[derive(Debug)]
pub(crate) struct Array<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: &'a [f32],
}

/// A checkpoint that was read.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    path: PathBuf,
    state: String,
    pub arrays: HashMap<String, Vec<f32>>,
}

impl Checkpoints {
    /// Those of the run in `run_dir`.
    pub fn of(run_dir: &Path) -> Self {
        Self { folder: run_dir.join("checkpoints") }
    }

    /// The state to go on from.
    pub fn last(&self) -> PathBuf {
        self.folder.join("last.safetensors")
    }

    /// The weights of the best epoch.
    pub fn best(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }
}

/// An entry of a safetensors header.
#[derive(Serialize)]
struct Entry<'a> {
    dtype: &'static str,
    shape: &'a [usize],
    data_offsets: [usize; 2],
}

/// Writes a checkpoint, in place of one that is there.
///
/// # Errors
/// `Io`; what was there before is left as it was.
pub(crate) fn write(path: &Path, arrays: &[Array], state: &impl Serialize) -> Result<()> {
    let internal = |e: String| Error::new(ErrorKind::Internal, format!("the checkpoint's state: {e}"));
    let state = toml::to_string(state).map_err(|e| internal(e.to_string()))?;
    let header = header(arrays, &state).map_err(|e| internal(e.to_string()))?;
    let partial = path.with_extension("partial");
    let written = write_file(&partial, &header, arrays).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|e| {
        // Half a file is of no use, and takes room that the next one may need.
        let _ = std::fs::remove_file(&partial);
        let error = Error::io(path, e);
        if path.is_file() {
            return error.with_hint("the checkpoint before it is still there: `--resume` goes on from it");
        }
        error
    })
}

fn header(arrays: &[Array], state: &str) -> serde_json::Result<Vec<u8>> {
    let mut fields = BTreeMap::new();
    let metadata = HashMap::from([("format", "pt"), (STATE, state)]);
    fields.insert("__metadata__", serde_json::to_value(metadata)?);
    let mut offset = 0;
    for array in arrays {
        let end = offset + size_of_val(array.values);
        let entry = Entry { dtype: "F32", shape: &array.shape, data_offsets: [offset, end] };
        fields.insert(&array.name, serde_json::to_value(entry)?);
        offset = end;
    }
    let mut header = serde_json::to_vec(&fields)?;
    // The format asks for data that begins at a multiple of 8.
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

fn write_file(path: &Path, header: &[u8], arrays: &[Array]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header)?;
    for array in arrays {
        for value in array.values {
            file.write_all(&value.to_le_bytes())?;
        }
    }
    file.into_inner()?.sync_all()
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// `NotFound` or `Io`; `InvalidArgument` when the file is no checkpoint.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(path, e))?;
        let state = state_in(path, &header)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| broken(path, e))?;
        let mut arrays = HashMap::new();
        for (name, view) in tensors.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(broken(path, format!("`{name}` is `{:?}`", view.dtype())));
            }
            let (words, _) = view.data().as_chunks::<4>();
            arrays.insert(name.to_owned(), words.iter().map(|&w| f32::from_le_bytes(w)).collect());
        }
        Ok(Self { path: path.to_owned(), state, arrays })
    }

    /// The state alone of a checkpoint, whose arrays are left in the file.
    ///
    /// # Errors
    /// As [`Checkpoint::read`] and [`Checkpoint::state`].
    pub fn read_state<T: DeserializeOwned>(path: &Path) -> Result<T> {
        let failed = |e| Error::io(path, e);
        let mut file = File::open(path).map_err(failed)?;
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(|e| broken(path, e))?;
        let mut header = Vec::new();
        file.take(u64::from_le_bytes(size)).read_to_end(&mut header).map_err(failed)?;
        let header: Metadata = serde_json::from_slice(&header).map_err(|e| broken(path, e))?;
        Self { path: path.to_owned(), state: state_in(path, &header)?, arrays: HashMap::new() }.state()
    }

    /// Its state.
    ///
    /// # Errors
    /// `InvalidArgument` when the state is one of another version.
    pub fn state<T: DeserializeOwned>(&self) -> Result<T> {
        toml::from_str(&self.state).map_err(|e| self.error(e.message()))
    }

    /// Takes out the arrays whose names begin with `prefix`, without it.
    pub fn part(&mut self, prefix: &str) -> HashMap<String, Vec<f32>> {
        let mut part = HashMap::new();
        self.arrays.retain(|name, values| match name.strip_prefix(prefix) {
            Some(rest) => {
                part.insert(rest.to_owned(), std::mem::take(values));
                false
            }
            None => true,
        });
        part
    }

    /// Why it cannot be used.
    pub fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::InvalidArgument, format!("checkpoint `{}`: {what}", self.path.display()))
    }
}

fn state_in(path: &Path, header: &Metadata) -> Result<String> {
    let state = header.metadata().as_ref().and_then(|m| m.get(STATE));
    state.cloned().ok_or_else(|| broken(path, "it has no state of a training"))
}

fn broken(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("`{}` is no checkpoint: {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
    struct State {
        epoch: usize,
        lowest: f64,
        steps: BTreeMap<String, i32>,
    }

    fn state() -> State {
        State { epoch: 3, lowest: 0.1 + 0.2, steps: BTreeMap::from([("fc.weight".to_owned(), 7)]) }
    }

    fn arrays(values: &[f32]) -> Vec<Array<'_>> {
        vec![
            Array { name: "fc.weight".into(), shape: vec![2, 1], values: &values[..2] },
            Array { name: "ema/fc.weight".into(), shape: vec![2], values: &values[2..4] },
        ]
    }

    #[test]
    fn what_is_written_is_read_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = Checkpoints::of(folder.path()).last();
        let values = [0.1, -0.0, f32::MIN_POSITIVE / 3.0, 1e30];
        write(&path, &arrays(&values), &state()).unwrap();
        assert_eq!(Checkpoint::read_state::<State>(&path).unwrap(), state());
        let mut found = Checkpoint::read(&path).unwrap();
        assert_eq!(found.state::<State>().unwrap(), state());
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found.part("ema/")["fc.weight"]), bits(&values[2..]));
        assert_eq!(bits(&found.arrays["fc.weight"]), bits(&values[..2]));
        assert_eq!(found.arrays.len(), 1);
        assert!(!path.with_extension("partial").exists());
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert_eq!(Checkpoint::read(&path).unwrap_err().kind(), ErrorKind::NotFound);
        std::fs::write(&path, b"no checkpoint").unwrap();
        assert!(Checkpoint::read(&path).unwrap_err().message().contains("is no checkpoint"));
        write(&path, &[], &state()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        assert!(Checkpoint::read(&path).unwrap_err().message().contains("is no checkpoint"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_leaves_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.safetensors");
        let values = [1.0, 2.0, 3.0, 4.0];
        write(&path, &arrays(&values), &state()).unwrap();
        let before = std::fs::read(&path).unwrap();
        // Everything that is written there finds no room.
        std::os::unix::fs::symlink("/dev/full", path.with_extension("partial")).unwrap();
        let error = write(&path, &arrays(&values), &State { epoch: 4, ..state() }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert!(!path.with_extension("partial").exists() && Path::new("/dev/full").exists());
        write(&path, &arrays(&values), &State { epoch: 4, ..state() }).unwrap();
        assert_eq!(Checkpoint::read(&path).unwrap().state::<State>().unwrap().epoch, 4);
    }
}
