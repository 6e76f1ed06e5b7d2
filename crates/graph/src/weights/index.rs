//! The index of weights that are divided into several files: `model.safetensors.index.json`,
//! `{"weight_map": {"conv1.weight": "model-00001-of-00002.safetensors", …}}`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use tintype_core::{Error, ErrorKind, Result};

/// How such a file's name ends.
pub const INDEX_ENDING: &str = ".index.json";

/// The part of an index that matters.
pub(super) struct Index {
    /// The file of each tensor.
    pub weight_map: BTreeMap<String, String>,
}

impl Index {
    /// Reads an index.
    ///
    /// # Errors
    /// `NotFound`, `Io`; `InvalidModel` when it is none, or names a file that is not beside it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let wrong =
            |what: String| Error::new(ErrorKind::InvalidModel, format!("`{}` {what}", path.display()));
        let index: Value =
            serde_json::from_str(&text).map_err(|e| wrong(format!("is no index of weights: {e}")))?;
        let map = index.get("weight_map").and_then(Value::as_object);
        let map = map.ok_or_else(|| wrong("is no index of weights: it has no `weight_map`".to_owned()))?;
        let mut weight_map = BTreeMap::new();
        for (tensor, file) in map {
            let file = file.as_str().unwrap_or_default();
            // It may come from a stranger, as the weights do.
            if file.contains(['/', '\\', '\0']) || file.starts_with('.') || file.is_empty() {
                return Err(wrong(format!("names `{file}`: expected a file beside it")));
            }
            weight_map.insert(tensor.clone(), file.to_owned());
        }
        Ok(Self { weight_map })
    }

    /// The files, sorted, each once.
    pub fn files(&self) -> Vec<String> {
        self.weight_map.values().collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }
}

/// The names of the files beside an index that it divides the weights into.
///
/// # Errors
/// `NotFound`, `Io`; `InvalidModel` when it is no index.
pub fn shards(index: &Path) -> Result<Vec<String>> {
    Index::read(index).map(|index| index.files())
}
