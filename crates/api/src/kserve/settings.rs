//! Settings of a running server: what it traces, and what it logs.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use tintype_core::triton::TraceSettings;
use tintype_core::{Error, ErrorKind, Result};

use super::{Parameter, Parameters, invalid, parse_json};

/// What is traced, by name: a list of levels, and text for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceReply(TraceSettings);

impl From<TraceSettings> for TraceReply {
    fn from(settings: TraceSettings) -> Self {
        Self(settings)
    }
}

impl Serialize for TraceReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = self.0.named();
        let mut map = serializer.serialize_map(Some(settings.len()))?;
        for (name, values) in &settings {
            match *name {
                "trace_level" => map.serialize_entry(name, values)?,
                _ => map.serialize_entry(name, &values.concat())?,
            }
        }
        map.end()
    }
}

/// Reads the body of a request to change what is traced: the settings with their values, none for `null`.
///
/// # Errors
/// `InvalidArgument` for a body that is not an object of text and lists of it.
pub fn parse_trace_changes(body: &[u8]) -> Result<Vec<(String, Vec<String>)>> {
    /// Clients write numbers as text; those that do not are understood as well.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Values {
        Text(String),
        Number(i64),
        List(Vec<String>),
    }
    let changes: BTreeMap<String, Option<Values>> = parse_json(body)?;
    let values = |values| match values {
        None => Vec::new(),
        Some(Values::Text(text)) => vec![text],
        Some(Values::Number(number)) => vec![number.to_string()],
        Some(Values::List(list)) => list,
    };
    Ok(changes.into_iter().map(|(name, given)| (name, values(given))).collect())
}

/// What the server logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSettings {
    /// The file; empty for standard error.
    pub log_file: String,
    /// Whether information is logged.
    pub log_info: bool,
    /// Whether warnings are logged.
    pub log_warning: bool,
    /// Whether errors are logged.
    pub log_error: bool,
    /// How much more: 0 for nothing, 1 for what helps to find faults, 2 for everything.
    pub log_verbose_level: u32,
    /// How times are written.
    pub log_format: String,
}

impl LogSettings {
    /// Reads the body of a request to change settings; `null` leaves one as it is.
    ///
    /// # Errors
    /// `InvalidArgument` for a body that is not an object of switches, levels and names.
    pub fn parse_changes(body: &[u8]) -> Result<Parameters> {
        let changes: BTreeMap<String, Option<Parameter>> = parse_json(body)?;
        Ok(changes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }

    /// The settings with `changes`.
    ///
    /// # Errors
    /// `InvalidArgument` for unknown settings and values of a wrong type; `Unsupported` for what can be set only when
    /// the server starts: through the network nobody chooses a file of the server's.
    pub fn with(mut self, changes: Parameters) -> Result<Self> {
        for (name, value) in changes {
            match (name.as_str(), value) {
                ("log_info", Parameter::Bool(on)) => self.log_info = on,
                ("log_warning", Parameter::Bool(on)) => self.log_warning = on,
                ("log_error", Parameter::Bool(on)) => self.log_error = on,
                ("log_verbose_level", level) => {
                    self.log_verbose_level = u32::try_from(level.unsigned(&name)?).unwrap_or(u32::MAX);
                }
                ("log_file", Parameter::Text(file)) if file == self.log_file => {}
                ("log_file", Parameter::Text(_)) => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "log file location can not be updated through network protocol",
                    ));
                }
                ("log_format", Parameter::Text(format)) if format == self.log_format => {}
                ("log_format", Parameter::Text(format)) if format == "default" || format == "ISO8601" => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        format!("log format is '{}' as long as the server runs", self.log_format),
                    ));
                }
                (name, _) => {
                    return Err(match name {
                        "log_info" | "log_warning" | "log_error" => invalid(format!(
                            "attempt to access non-boolean setting '{name}': expected `true` or `false`"
                        )),
                        "log_verbose_level" => {
                            invalid("'log_verbose_level': expected a whole number of at least 0")
                        }
                        "log_file" => invalid("'log_file': expected text"),
                        "log_format" => invalid("'log_format': expected `default` or `ISO8601`"),
                        name => invalid(format!("unknown log setting '{name}'")),
                    });
                }
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_traces_are_text_and_null_takes_one_back() {
        let body =
            br#"{"trace_level": ["TENSORS"], "trace_rate": "5", "trace_count": 7, "log_frequency": null}"#;
        let changes = parse_trace_changes(body).unwrap();
        let shown: Vec<_> =
            changes.iter().map(|(name, values)| format!("{name}={}", values.join("+"))).collect();
        assert_eq!(shown, ["log_frequency=", "trace_count=7", "trace_level=TENSORS", "trace_rate=5"]);
        assert!(parse_trace_changes(br#"{"trace_rate": {}}"#).is_err());
        assert!(parse_trace_changes(b"").is_err());
        let changes = LogSettings::parse_changes(br#"{"log_info": null, "log_error": false}"#).unwrap();
        assert_eq!(changes, Parameters::from([("log_error".to_owned(), Parameter::Bool(false))]));
        let reply = serde_json::to_value(TraceReply::from(TraceSettings::default())).unwrap();
        let expected = serde_json::json!({
            "trace_level": ["OFF"], "trace_rate": "1000", "trace_count": "-1", "log_frequency": "0",
            "trace_file": "", "trace_mode": "triton"
        });
        assert_eq!(reply, expected);
    }
}
