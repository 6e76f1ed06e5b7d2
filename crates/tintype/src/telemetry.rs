//! What the binary says on stderr: log lines while it runs, one error when it fails.

use std::io::IsTerminal;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends `tracing` events that pass `filter` to stderr.
pub fn init(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).map_err(|e| anyhow::anyhow!("`--log {filter}` is not a filter: {e}"))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Text => subscriber.compact().init(),
        LogFormat::Json => subscriber.json().init(),
    }
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
