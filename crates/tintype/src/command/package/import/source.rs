//! Where weights are: a file, a folder, or a repository on the hub.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tintype_core::{Error, ErrorKind, Result};
use tintype_graph::weights::{INDEX_ENDING, shards};
use tintype_hub::{Hub, Repo, RepoKind};

/// Names of weights, the best first.
const WEIGHTS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];
/// How files of weights end otherwise.
const ENDINGS: [&str; 6] = [".safetensors", ".bin", ".pth", ".pt", ".th", ".ckpt"];
const CONFIG: &str = "config.json";
const PREPROCESSOR: &str = "preprocessor_config.json";

/// Weights and what lies beside them.
#[derive(Debug)]
pub struct Source {
    /// The file of weights, or the index of several.
    pub weights: PathBuf,
    /// The description of the network.
    pub config: Option<Value>,
    /// transformers' description of the preprocessing.
    pub preprocessor: Option<Value>,
    /// Where it is all from, for people to read later.
    pub origin: String,
}

impl Source {
    /// Finds what `words` mean.
    ///
    /// # Errors
    /// `NotFound` when there are no weights, `InvalidArgument` when there are several; as [`Hub::fetch_file`].
    pub fn find(words: &str, hub: &Hub) -> Result<Self> {
        if words.starts_with("hf://") {
            return Self::in_repository(&Repo::parse(words, RepoKind::Model)?, words, hub);
        }
        let path = Path::new(words);
        if !path.is_dir() {
            let origin = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Ok(Self { weights: path.to_owned(), config: None, preprocessor: None, origin });
        }
        let entries = std::fs::read_dir(path).map_err(|e| Error::io(path, e))?;
        let files: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let weights = choose(&files, words)?;
        Self::of(&files, weights, words, |name| Ok(path.join(name)))
    }

    fn in_repository(repo: &Repo, words: &str, hub: &Hub) -> Result<Self> {
        let files = hub.list_files(repo)?;
        let weights = choose(&files, words)?;
        // All of one commit, in one folder.
        let fetch = |name: &str| Ok(hub.fetch_files(repo, &[name.to_owned()])?.join(name));
        Self::of(&files, weights, words, fetch)
    }

    fn of(
        files: &[String],
        weights: &str,
        origin: &str,
        fetch: impl Fn(&str) -> Result<PathBuf>,
    ) -> Result<Self> {
        let json = |name: &str| -> Result<Option<Value>> {
            if !files.iter().any(|file| file == name) {
                return Ok(None);
            }
            let path = fetch(name)?;
            let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
            let value = serde_json::from_str(&text)
                .map_err(|e| Error::new(ErrorKind::InvalidConfig, format!("`{}`: {e}", path.display())))?;
            Ok(Some(value))
        };
        let (config, preprocessor) = (json(CONFIG)?, json(PREPROCESSOR)?);
        let weights = fetch(weights)?;
        if weights.to_string_lossy().ends_with(INDEX_ENDING) {
            for shard in shards(&weights)? {
                fetch(&shard)?;
            }
        }
        Ok(Self { config, preprocessor, weights, origin: origin.to_owned() })
    }
}

/// The one file of weights.
fn choose<'a>(files: &'a [String], place: &str) -> Result<&'a str> {
    if let Some(name) = WEIGHTS.into_iter().find_map(|name| files.iter().find(|file| *file == name)) {
        return Ok(name);
    }
    let indices: Vec<&str> = files.iter().map(String::as_str).filter(|f| f.ends_with(INDEX_ENDING)).collect();
    if let [one] = indices[..] {
        return Ok(one);
    }
    let weights: Vec<&str> =
        files.iter().map(String::as_str).filter(|f| ENDINGS.iter().any(|e| f.ends_with(e))).collect();
    match weights[..] {
        [one] => Ok(one),
        [] => Err(Error::new(ErrorKind::NotFound, format!("`{place}` has no file of weights"))),
        _ => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("`{place}` has several files of weights: `{}`", weights.join("`, `")),
        )
        .with_hint("name the file instead of the folder")),
    }
}
