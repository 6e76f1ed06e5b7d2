//! `MAR-INF/MANIFEST.json` as `torch-model-archiver` writes it.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

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
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{day:02}/{month:02}/{year:04} {hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of a count of days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
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
