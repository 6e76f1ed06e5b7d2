//! Triton's trace settings: what they are, how they are written, and which changes they take.
//!
//! A server has settings, and each model may have some of its own; where it has none, those of the server hold, also
//! when they change later. Everything travels as text. Tracing itself is `tintype-runtime`'s.

use crate::{Error, ErrorKind, Result};

/// What of a request is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceLevel {
    /// When it reached each stage.
    pub timestamps: bool,
    /// Its inputs and outputs.
    pub tensors: bool,
}

impl TraceLevel {
    /// Nothing.
    pub const OFF: Self = Self { timestamps: false, tensors: false };

    /// Reads `OFF` alone, or any of `TIMESTAMPS` and `TENSORS`.
    fn parse(values: &[String]) -> Result<Self> {
        let mut level = Self::OFF;
        for value in values {
            match value.as_str() {
                "OFF" if values.len() == 1 => {}
                "OFF" => return Err(invalid("Expect only one trace level 'OFF' is specified".to_owned())),
                "TIMESTAMPS" => level.timestamps = true,
                "TENSORS" => level.tensors = true,
                other => {
                    return Err(invalid(format!(
                        "'trace_level': expected `OFF`, `TIMESTAMPS` or `TENSORS`, found `{other}`"
                    )));
                }
            }
        }
        Ok(level)
    }

    fn names(self) -> Vec<String> {
        let names = [("OFF", self == Self::OFF), ("TIMESTAMPS", self.timestamps), ("TENSORS", self.tensors)];
        names.iter().filter(|(_, set)| *set).map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// What is traced, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSettings {
    /// The file; empty for none, and then nothing is traced.
    pub file: String,
    /// What of a request.
    pub level: TraceLevel,
    /// Every so many requests one is traced; at least 1.
    pub rate: u32,
    /// How many more are traced; -1 for any number.
    pub count: i32,
    /// After so many traces they go into a file of their own, `<file>.0`, `<file>.1`, …; 0 for all into one.
    pub log_frequency: u32,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self { file: String::new(), level: TraceLevel::OFF, rate: 1000, count: -1, log_frequency: 0 }
    }
}

impl TraceSettings {
    /// Why nothing would be traced; `None` where something is.
    pub fn idle(&self) -> Option<&'static str> {
        match self {
            Self { file, .. } if file.is_empty() => Some("trace file name is not given"),
            Self { level: TraceLevel::OFF, .. } => Some("tracing is disabled"),
            Self { rate: 0, .. } => Some("sample rate must be non-zero"),
            _ => None,
        }
    }

    /// # Errors
    /// `InvalidArgument` for settings that ask for traces and would give none.
    pub fn check(&self) -> Result<()> {
        match self.idle().filter(|_| self.level != TraceLevel::OFF) {
            None => Ok(()),
            Some(reason) => Err(invalid(format!("Attempting to set invalid trace setting :{reason}"))),
        }
    }

    /// The settings by name, as they are answered.
    pub fn named(&self) -> [(&'static str, Vec<String>); 6] {
        [
            ("trace_level", self.level.names()),
            ("trace_rate", vec![self.rate.to_string()]),
            ("trace_count", vec![self.count.to_string()]),
            ("log_frequency", vec![self.log_frequency.to_string()]),
            ("trace_file", vec![self.file.clone()]),
            ("trace_mode", vec!["triton".to_owned()]),
        ]
    }
}

/// Settings that differ from those they fall back to: a server's from its defaults, a model's from the server's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceOverrides {
    /// [`TraceSettings::level`]
    pub level: Option<TraceLevel>,
    /// [`TraceSettings::rate`]
    pub rate: Option<u32>,
    /// [`TraceSettings::count`]
    pub count: Option<i32>,
    /// [`TraceSettings::log_frequency`]
    pub log_frequency: Option<u32>,
}

impl TraceOverrides {
    /// Takes the values of a setting; none takes it back to what it falls back to.
    ///
    /// # Errors
    /// `InvalidArgument` for unknown settings and values that cannot be; `Unsupported` for what can be set only when the
    /// server starts: through the network nobody chooses a file of the server's.
    pub fn set(&mut self, name: &str, values: &[String]) -> Result<()> {
        match name {
            "trace_level" if values.is_empty() => self.level = None,
            "trace_level" => self.level = Some(TraceLevel::parse(values)?),
            "trace_rate" => self.rate = number(name, values)?,
            "trace_count" => {
                self.count = number(name, values)?;
                if let Some(count @ ..=-2) = self.count {
                    return Err(invalid(format!(
                        "Unable to parse 'trace_count'. Expecting value >= -1, got: {count}"
                    )));
                }
            }
            "log_frequency" => self.log_frequency = number(name, values)?,
            "trace_mode" if values == ["triton"] => {}
            "trace_mode" => return Err(no_other_mode()),
            "trace_file" => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "trace file location can not be updated through network protocol",
                ));
            }
            name => return Err(invalid(format!("unknown trace setting '{name}'"))),
        }
        Ok(())
    }

    /// These settings, and `fallback` where there is none.
    pub fn over(&self, fallback: &TraceSettings) -> TraceSettings {
        TraceSettings {
            file: fallback.file.clone(),
            level: self.level.unwrap_or(fallback.level),
            rate: self.rate.unwrap_or(fallback.rate),
            count: self.count.unwrap_or(fallback.count),
            log_frequency: self.log_frequency.unwrap_or(fallback.log_frequency),
        }
    }
}

/// Reads what the options `--trace-config` say: `triton,file=…`, `triton,log-frequency=…`, `level=…`, which may come
/// twice, `rate=…`, `count=…`, `mode=triton`.
///
/// # Errors
/// `InvalidArgument` for anything else; `Unsupported` for the mode `opentelemetry`.
pub fn parse_trace_config<'a>(options: impl IntoIterator<Item = &'a str>) -> Result<TraceSettings> {
    let mut settings = TraceSettings::default();
    let (mut overrides, mut levels) = (TraceOverrides::default(), Vec::new());
    for option in options {
        let (mode, setting) = match option.split_once(',') {
            Some((mode, setting)) => (Some(mode), setting),
            None => (None, option),
        };
        let wrong = || {
            let message = format!("`--trace-config {option}`: expected `[triton,]<setting>=<value>`");
            invalid(message).with_hint(
                "the settings are `level`, `rate`, `count` and `mode`, and `triton,file` and `triton,log-frequency`",
            )
        };
        let (name, value) = setting.split_once('=').ok_or_else(wrong)?;
        match (mode, name) {
            (Some("opentelemetry"), _) => return Err(no_other_mode()),
            (Some("triton"), "file") => value.clone_into(&mut settings.file),
            (Some("triton"), "log-frequency") => overrides.set("log_frequency", &[value.to_owned()])?,
            (None, "level") => levels.push(value.to_owned()),
            (None, "rate" | "count" | "mode") => {
                overrides.set(&format!("trace_{name}"), &[value.to_owned()])?;
            }
            _ => return Err(wrong()),
        }
    }
    if !levels.is_empty() {
        overrides.set("trace_level", &levels)?;
    }
    let settings = overrides.over(&settings);
    settings.check()?;
    Ok(settings)
}

/// The one number of a setting; `None` for no value at all.
fn number<T: std::str::FromStr>(name: &str, values: &[String]) -> Result<Option<T>> {
    match values {
        [] => Ok(None),
        [value] => match value.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(invalid(format!("Unable to parse '{name}', got: {value}"))),
        },
        _ => Err(invalid(format!("expect only 1 value for '{name}'"))),
    }
}

fn no_other_mode() -> Error {
    Error::new(ErrorKind::Unsupported, "traces are written in Triton's form only, the mode `triton`")
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[&str]) -> Vec<String> {
        values.iter().map(|&value| value.to_owned()).collect()
    }

    #[test]
    fn what_is_set_lies_over_what_it_falls_back_to_until_it_is_cleared() {
        let fallback = TraceSettings { file: "f".into(), rate: 7, ..TraceSettings::default() };
        let mut own = TraceOverrides::default();
        own.set("trace_level", &values(&["TENSORS", "TIMESTAMPS"])).unwrap();
        own.set("trace_rate", &values(&["2"])).unwrap();
        own.set("trace_mode", &values(&["triton"])).unwrap();
        let settings = own.over(&fallback);
        let [level, rate, count, frequency, file, _] = settings.named().map(|(_, values)| values.join("+"));
        assert_eq!([level, rate, count, frequency, file], ["TIMESTAMPS+TENSORS", "2", "-1", "0", "f"]);
        own.set("trace_rate", &[]).unwrap();
        assert_eq!(own.over(&fallback).rate, 7);
        own.set("trace_level", &values(&["OFF"])).unwrap();
        assert_eq!(own.over(&fallback).named()[0].1, ["OFF"]);
    }

    #[test]
    fn what_cannot_be_is_refused_in_tritons_words() {
        for (name, given, kind, says) in [
            ("trace_level", &["OFF", "TENSORS"][..], ErrorKind::InvalidArgument, "only one trace level"),
            ("trace_level", &["MAX"], ErrorKind::InvalidArgument, "`MAX`"),
            ("trace_rate", &["x"], ErrorKind::InvalidArgument, "Unable to parse 'trace_rate', got: x"),
            ("trace_rate", &["-1"], ErrorKind::InvalidArgument, "Unable to parse"),
            ("trace_rate", &["1", "2"], ErrorKind::InvalidArgument, "expect only 1 value for 'trace_rate'"),
            ("trace_count", &["-2"], ErrorKind::InvalidArgument, "Expecting value >= -1, got: -2"),
            ("trace_file", &["/etc/passwd"], ErrorKind::Unsupported, "can not be updated through network"),
            ("trace_mode", &["opentelemetry"], ErrorKind::Unsupported, "`triton`"),
            ("trace_rat", &["1"], ErrorKind::InvalidArgument, "unknown trace setting 'trace_rat'"),
        ] {
            let error = TraceOverrides::default().set(name, &values(given)).expect_err(name);
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.message().contains(says), "{error}");
        }
        let nowhere = TraceSettings {
            level: TraceLevel { timestamps: true, tensors: false },
            ..TraceSettings::default()
        };
        let error = nowhere.check().unwrap_err();
        assert_eq!(error.message(), "Attempting to set invalid trace setting :trace file name is not given");
        TraceSettings::default().check().expect("what is off may be anything");
    }

    #[test]
    fn the_command_line_is_tritons() {
        let line =
            "triton,file=/tmp/t.json triton,log-frequency=50 rate=100 level=TIMESTAMPS level=TENSORS count=9";
        let settings = parse_trace_config(line.split(' ').chain(["mode=triton"])).unwrap();
        let level = TraceLevel { timestamps: true, tensors: true };
        let expected =
            TraceSettings { file: "/tmp/t.json".into(), level, rate: 100, count: 9, log_frequency: 50 };
        assert_eq!(settings, expected);
        assert_eq!(parse_trace_config([]).unwrap(), TraceSettings::default());
        for (wrong, kind) in [
            ("x", ErrorKind::InvalidArgument),
            ("file=x", ErrorKind::InvalidArgument),
            ("triton,rate=1", ErrorKind::InvalidArgument),
            ("level=TIMESTAMPS", ErrorKind::InvalidArgument),
            ("mode=opentelemetry", ErrorKind::Unsupported),
            ("opentelemetry,url=x", ErrorKind::Unsupported),
        ] {
            assert_eq!(parse_trace_config([wrong]).expect_err(wrong).kind(), kind, "{wrong}");
        }
    }
}
