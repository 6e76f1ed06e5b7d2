//! Settings of a running server: what it traces, and what it logs.

use serde::{Deserialize, Serialize};
use tintype_core::{Error, ErrorKind, Result};

use super::{Parameter, Parameters, invalid, parse_json};

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
    /// Reads the body of a request to change settings.
    ///
    /// # Errors
    /// `InvalidArgument` for a body that is not an object of switches, levels and names.
    pub fn parse_changes(body: &[u8]) -> Result<Parameters> {
        parse_json(body)
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
