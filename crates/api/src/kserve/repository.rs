//! The repository of models: what is in it, loading and unloading.

use serde::{Deserialize, Serialize};
use tintype_core::Result;

use super::{Parameter, Parameters, invalid, parse_json};

/// A line of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// The model's name.
    pub name: String,
    /// The version, where one was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `READY`, `LOADING`, `UNLOADING` or `UNAVAILABLE`, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What to load instead of what lies in the repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Load {
    /// The model's configuration as JSON.
    pub config: Option<String>,
    /// Files by their path in the model's directory.
    pub files: Vec<File>,
}

/// A file of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path in the model's directory, e.g. `1/model.onnx`.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Body {
    parameters: Option<Parameters>,
}

/// Whether the body of an index request asks only for what is ready.
///
/// # Errors
/// `InvalidArgument` for a body that is not such a request.
pub fn only_ready(body: &[u8]) -> Result<bool> {
    #[derive(Deserialize)]
    #[serde(expecting = "an object")]
    struct Index {
        ready: Option<bool>,
    }
    Ok(!body.is_empty() && parse_json::<Index>(body)?.ready.unwrap_or(false))
}

impl Load {
    /// Reads the body of a load request.
    ///
    /// # Errors
    /// `InvalidArgument` for unknown parameters, for files without a configuration, and for content that is not base64.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut load = Self::default();
        for (key, value) in parameters(body)? {
            load.take(&key, value)?;
        }
        load.checked()
    }

    fn take(&mut self, key: &str, value: Parameter) -> Result<()> {
        if key == CONFIG {
            self.config = Some(value.text(key)?.to_owned());
            return Ok(());
        }
        let path = file_path(key)?;
        let content = base64_simd::STANDARD.decode_to_vec(value.text(key)?);
        let content = content.map_err(|_| invalid(format!("parameter '{key}': expected standard base64")))?;
        self.files.push(File { path: path.to_owned(), content });
        Ok(())
    }

    /// The same, unless it has files alone.
    pub(super) fn checked(self) -> Result<Self> {
        if self.config.is_none() && !self.files.is_empty() {
            return Err(invalid(
                "failed to load model: override model directory requires a `config` parameter beside its files",
            ));
        }
        Ok(self)
    }
}

/// The name of the parameter that holds a configuration.
pub(super) const CONFIG: &str = "config";

/// The path behind a parameter's name `file:<path>`.
pub(super) fn file_path(key: &str) -> Result<&str> {
    key.strip_prefix("file:").ok_or_else(|| {
        invalid(format!("unrecognized parameter '{key}', expected `{CONFIG}` or `file:<path>`"))
    })
}

/// Whether the body of an unload request asks that the models be unloaded too which only an ensemble used.
///
/// # Errors
/// `InvalidArgument` for unknown parameters and a body that is not such a request.
pub fn unload_dependents(body: &[u8]) -> Result<bool> {
    let mut dependents = false;
    for (key, value) in parameters(body)? {
        match key.as_str() {
            UNLOAD_DEPENDENTS => dependents = value.boolean(&key)?,
            _ => {
                return Err(invalid(format!(
                    "unrecognized parameter '{key}', expected `{UNLOAD_DEPENDENTS}`"
                )));
            }
        }
    }
    Ok(dependents)
}

pub(super) const UNLOAD_DEPENDENTS: &str = "unload_dependents";

fn parameters(body: &[u8]) -> Result<Parameters> {
    if body.is_empty() {
        return Ok(Parameters::new());
    }
    Ok(parse_json::<Body>(body)?.parameters.unwrap_or_default())
}
