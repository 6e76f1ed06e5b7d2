//! `MAR-INF/MANIFEST.json` as `torch-model-archiver` writes it.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::Civil;

/// The manifest. Keys that are not listed are those of later archivers and say nothing that matters here.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// `dd/mm/YYYY HH:MM:SS`; in UTC where this crate wrote it, local time where the archiver did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_on: String,
    /// `python`, `python3` or `LSP`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub runtime: String,
    /// What the archive holds.
    pub model: Model,
    /// The version of the tool that made it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub archiver_version: String,
}

/// The manifest's `model`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// The model's name.
    pub model_name: String,
    /// The file with the weights; a handler with its own may have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serialized_file: Option<String>,
    /// The name of a built-in handler or of a Python file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub handler: String,
    /// Any text; `1.0` by custom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_version: Option<String>,
}

/// A time as the manifest writes it, in UTC. Times before 1970 count as 1970.
pub fn created_on(time: SystemTime) -> String {
    let Civil { year, month, day, hour, minute, second } = Civil::of(time);
    format!("{day:02}/{month:02}/{year:04} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    // From Python: datetime.fromtimestamp(n, timezone.utc).strftime("%d/%m/%Y %H:%M:%S")
    #[test]
    fn times_as_python_writes_them() {
        for (seconds, text) in [
            (0, "01/01/1970 00:00:00"),
            (951_782_399, "28/02/2000 23:59:59"),
            (951_782_400, "29/02/2000 00:00:00"),
            (1_709_251_199, "29/02/2024 23:59:59"),
            (4_107_542_400, "01/03/2100 00:00:00"),
            (1_785_542_645, "01/08/2026 00:04:05"),
        ] {
            assert_eq!(created_on(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
