//! Weights of others: checkpoints of PyTorch and safetensors files, read without running anything of theirs.
//!
//! A [`Checkpoint`] lists the tensors of a file by name and reads one when asked. What a file is shows in its first
//! bytes: [`safetensors`](https://github.com/huggingface/safetensors), a zip archive of PyTorch 1.6 and later, or the
//! format before it (`torch`). Their structure is a pickle, which the machine of `pickle` reads without
//! calling anything; `state_dict` finds the weights in what comes out, be it a state dict, a training's checkpoint or a
//! whole pickled network.
//!
//! Large networks come in several files with an index (`index`); a checkpoint is all of them.
//!
//! [`fit`] puts the tensors into a model of [`crate::arch`] and answers for every name on both sides. Names of other
//! libraries for the same network are known to `naming`.

mod elements;
mod fit;
mod index;
mod naming;
mod pickle;
mod safetensors;
mod state_dict;
mod torch;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tintype_core::{DType, Error, ErrorKind, Result};

pub use fit::{Fitted, classes, fit};
use index::Index;
pub use index::{INDEX_ENDING, shards};

/// A file of weights, or several that an index joins.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    files: Vec<File>,
    /// Each tensor, with the number of its file.
    tensors: BTreeMap<String, (usize, Stored)>,
}

/// Where a tensor's elements are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    dtype: DType,
    shape: Vec<usize>,
    /// Elements from one place of each axis to the next.
    strides: Vec<usize>,
    /// The place of the first in the file, in bytes.
    start: u64,
    /// Elements from the first on that belong to the same storage.
    available: usize,
}

impl Checkpoint {
    /// Opens a file, or an index and the files beside it, and lists the tensors.
    ///
    /// # Errors
    /// `NotFound`, `Io`; `InvalidModel` for a damaged file, one without weights, or files that their index does not
    /// describe; `Unsupported` for other formats; `PayloadTooLarge` when the structure alone is larger than any network's.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.to_string_lossy().ends_with(INDEX_ENDING) {
            let (file, tensors) = list(path)?;
            let tensors = tensors.into_iter().map(|(name, stored)| (name, (0, stored))).collect();
            return Ok(Self { path: path.to_owned(), files: vec![file], tensors });
        }
        let index = Index::read(path)?;
        let wrong =
            |what: String| Error::new(ErrorKind::InvalidModel, format!("`{}` {what}", path.display()));
        let (mut files, mut tensors) = (Vec::new(), BTreeMap::new());
        for (number, name) in index.files().into_iter().enumerate() {
            let (file, found) = list(&path.with_file_name(&name))?;
            files.push(file);
            for (tensor, stored) in found {
                if index.weight_map.get(&tensor) != Some(&name) {
                    return Err(wrong(format!("does not say that `{tensor}` is in `{name}`")));
                }
                tensors.insert(tensor, (number, stored));
            }
        }
        match index.weight_map.iter().find(|(tensor, _)| !tensors.contains_key(*tensor)) {
            Some((tensor, name)) => {
                Err(wrong(format!("says that `{tensor}` is in `{name}`, which it is not")))
            }
            None => Ok(Self { path: path.to_owned(), files, tensors }),
        }
    }

    /// The file, or the index.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tensors' names and shapes, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, (_, stored))| (name.as_str(), stored.shape.as_slice()))
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, stored)| stored.shape.as_slice())
    }

    /// The elements of a tensor as `f32`, in row-major order.
    ///
    /// # Errors
    /// `NotFound` when there is no such tensor; `InvalidModel` when its elements are not all in the file; `Io`.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        let path = &self.path;
        let (file, stored) = self.tensors.get(name).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("`{}` has no tensor `{name}`", path.display()))
        })?;
        elements::read(&mut self.files[*file], stored)
            .map_err(|e| e.context(format!("`{}`: tensor `{name}`", path.display())))
    }
}

/// Opens one file and lists its tensors.
fn list(path: &Path) -> Result<(File, BTreeMap<String, Stored>)> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut start = Vec::new();
    let failed = |e| Error::io(path, e);
    Read::by_ref(&mut file).take(16).read_to_end(&mut start).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let tensors = if start.starts_with(b"PK\x03\x04") {
        torch::zipped(&mut file)
    } else if start.get(8) == Some(&b'{') {
        // Before pickles: its first bytes are a length, which may begin as theirs do.
        safetensors::tensors(&mut file)
    } else if start.starts_with(&[0x80]) {
        torch::legacy(&mut file)
    } else {
        Err(Error::new(ErrorKind::Unsupported, "is no file of weights")
            .with_hint("expected `.safetensors`, or what `torch.save` writes"))
    };
    let tensors = tensors.map_err(|e| e.context(format!("`{}`", path.display())))?;
    Ok((file, tensors))
}

fn cut_off() -> Error {
    Error::new(ErrorKind::InvalidModel, "is cut off")
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, error.to_string()).with_source(error)
}
