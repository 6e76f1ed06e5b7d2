//! What the binary says: log lines while it runs, one error when it fails.
//!
//! What is logged can be changed while it runs, over the network: `--log` chooses what may be heard, the settings mute
//! levels of that, and a verbose level lets more of tintype's own be heard.

mod levels;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use clap::{ArgAction, builder::BoolishValueParser};
use tintype_api::kserve::settings::LogSettings;
use tintype_core::{Error, ErrorKind, Result};
use tintype_server::LogControl;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use levels::Levels;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[value(alias = "default", alias = "ISO8601")]
    Text,
    /// One JSON object a line.
    Json,
}

/// What a server logs, beside `--log` and `--log-format`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LogArgs {
    /// Log into a file instead of stderr
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,

    /// Log more of what helps to find faults: 0, 1 or 2
    #[arg(long, value_name = "LEVEL", default_value_t = 0)]
    log_verbose: u32,

    /// Log information
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, value_parser = BoolishValueParser::new())]
    log_info: bool,

    /// Log warnings
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, value_parser = BoolishValueParser::new())]
    log_warning: bool,

    /// Log errors
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, value_parser = BoolishValueParser::new())]
    log_error: bool,
}

impl LogArgs {
    /// Logs by these settings from now on.
    ///
    /// # Errors
    /// `Internal` when nothing logs.
    pub fn apply(&self) -> Result<()> {
        let Some(control) = CONTROL.get() else { return Ok(()) };
        control.apply(&LogSettings {
            log_info: self.log_info,
            log_warning: self.log_warning,
            log_error: self.log_error,
            log_verbose_level: self.log_verbose,
            ..control.settings()
        })
    }
}

/// The log of this process.
static CONTROL: OnceLock<Arc<Control>> = OnceLock::new();

#[derive(Debug)]
struct Control {
    levels: reload::Handle<Levels, Registry>,
    file: String,
}

/// What changes the log; `None` before [`init`].
pub fn control() -> Option<Arc<dyn LogControl>> {
    CONTROL.get().map(|control| control.clone() as Arc<dyn LogControl>)
}

impl LogControl for Control {
    fn settings(&self) -> LogSettings {
        // An error would mean that the subscriber is gone, which lives as long as the process.
        let levels = self.levels.with_current(Levels::switches).unwrap_or_default();
        LogSettings {
            log_file: self.file.clone(),
            log_info: levels.info,
            log_warning: levels.warning,
            log_error: levels.error,
            log_verbose_level: levels.verbose,
            log_format: "ISO8601".to_owned(),
        }
    }

    fn apply(&self, settings: &LogSettings) -> Result<()> {
        let switches = levels::Switches {
            info: settings.log_info,
            warning: settings.log_warning,
            error: settings.log_error,
            verbose: settings.log_verbose_level,
        };
        let changed = self.levels.modify(|levels| levels.switch(switches));
        changed.map_err(|error| Error::new(ErrorKind::Internal, "changing what is logged").with_source(error))
    }
}

/// Sends `tracing` events that pass `filter` to stderr, or into `file`.
pub fn init(filter: &str, format: LogFormat, file: Option<&PathBuf>) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).map_err(|e| anyhow::anyhow!("`--log {filter}` is not a filter: {e}"))?;
    let opened = file.map(|path| {
        let opened = File::options().create(true).append(true).open(path);
        opened.map(Arc::new).map_err(|error| Error::io(path, error))
    });
    let opened = opened.transpose()?;
    let to_terminal = opened.is_none() && io::stderr().is_terminal();
    let writer = move || -> Box<dyn Write> {
        match &opened {
            Some(file) => Box::new(file.clone()),
            None => Box::new(io::stderr()),
        }
    };
    let (levels, handle) = reload::Layer::new(Levels::new(filter));
    let lines = fmt::layer().with_writer(writer).with_ansi(to_terminal).with_target(false);
    match format {
        LogFormat::Text => tracing_subscriber::registry().with(lines.compact().with_filter(levels)).init(),
        LogFormat::Json => tracing_subscriber::registry().with(lines.json().with_filter(levels)).init(),
    }
    let file = file.map_or_else(String::new, |path| path.display().to_string());
    // Set once, by the one call that the registry's own `init` lets through.
    drop(CONTROL.set(Arc::new(Control { levels: handle, file })));
    Ok(())
}

/// Prints `error` with its causes and hint, and chooses the exit code.
#[expect(clippy::print_stderr, reason = "the one place where a failed command speaks")]
pub fn report(error: &anyhow::Error) -> ExitCode {
    let mut message = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // A library's message often holds its cause's already.
        if !message.contains(&text) {
            message = if message.is_empty() { text } else { format!("{message}: {text}") };
        }
    }
    eprintln!("error: {message}");
    let known = error.chain().find_map(|e| e.downcast_ref::<tintype_core::Error>());
    if let Some(hint) = known.and_then(tintype_core::Error::hint) {
        eprintln!("hint: {hint}");
    }
    known.map_or(ExitCode::FAILURE, |e| ExitCode::from(tintype_api::status(e.kind()).exit))
}
