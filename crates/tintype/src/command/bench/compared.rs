//! `tintype bench compare`: two measurements side by side.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use tintype_bench::report::{Report, compare};
use tintype_core::{Error, ErrorKind, Result};

use super::args::CompareArgs;

/// Prints the loads that both have.
pub(super) fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    write!(std::io::stdout(), "{}", compare(&a, &b))?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Report> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    serde_json::from_str(&text).map_err(|e| {
        let message = format!("`{}` is not what `tintype bench --out` writes: {e}", path.display());
        Error::new(ErrorKind::InvalidArgument, message)
    })
}
