//! Commands that this build leaves out answer with a sentence that says so.

use std::ffi::OsString;
use std::process::ExitCode;

/// Whatever was asked.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct AbsentArgs {
    /// Not read
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<OsString>,
}

/// Says that the command is not in this build.
pub fn run(_args: AbsentArgs) -> anyhow::Result<ExitCode> {
    Err(tintype_core::Error::new(
        tintype_core::ErrorKind::Unsupported,
        "this command was left out of this build of tintype",
    )
    .with_hint("build with `cargo build --release -p tintype`, without `--no-default-features`")
    .into())
}
