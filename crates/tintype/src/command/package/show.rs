//! What `inspect` and `verify` print.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};
use tintype_core::package::{ArchiveLimits, Check, Contents, read_config};
use tintype_core::triton::ModelConfig;
use tintype_core::{Error, ErrorKind, ModelSource, Package, Result, TensorSpec};

use super::check::{self, Interface};
use super::configured;

/// The error for a reader that went away or a disk that is full.
pub fn stdout_failed(error: &io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("writing to stdout: {error}"))
}

/// Prints what a package holds.
pub fn inspect(path: &Path, as_json: bool, stdout: &mut impl Write) -> Result<()> {
    if let Some(config) = ensemble(path)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = configured::ensemble(&name, &config, as_json)?;
        return stdout.write_all(text.as_bytes()).map_err(|e| stdout_failed(&e));
    }
    let limits = ArchiveLimits::default();
    let package = Package::open(path, &limits)?;
    let contents = Contents::of(path, &limits)?;
    let interface = check::interface(&package);
    let text = if as_json {
        format!("{:#}\n", to_json(&package, &contents, &interface))
    } else {
        to_text(&package, &contents, &interface)?
    };
    stdout.write_all(text.as_bytes()).map_err(|e| stdout_failed(&e))
}

/// The configuration of a model directory that holds an ensemble, which is no package.
fn ensemble(path: &Path) -> Result<Option<Arc<ModelConfig>>> {
    let config = if path.is_dir() { read_config(path, None)? } else { None };
    Ok(config.filter(|config| config.is_ensemble()))
}

fn to_json(package: &Package, contents: &Contents, interface: &Result<Interface>) -> Value {
    let tensors = |specs: &[TensorSpec]| -> Value {
        let one = |t: &TensorSpec| json!({"name": t.name, "dtype": t.dtype.to_string(), "shape": t.shape});
        specs.iter().map(one).collect()
    };
    let (inputs, outputs, error) = match interface {
        Ok(interface) => (tensors(&interface.inputs), tensors(&interface.outputs), Value::Null),
        Err(error) => (Value::Null, Value::Null, error.message().into()),
    };
    let files: Vec<Value> = contents
        .files
        .iter()
        .map(|f| json!({"name": f.name, "bytes": f.bytes, "sha256": f.sha256, "check": word(&f.check)}))
        .collect();
    json!({
        "name": package.name,
        "version": package.version,
        "format": contents.format.as_str(),
        "path": contents.path,
        "inputs": inputs,
        "outputs": outputs,
        "model_error": error,
        "labels": package.labels.len(),
        "spec": package.spec,
        "config": package.config.as_deref().map(configured::config_json),
        "config_fields": package.config.as_deref().map(configured::fields_json),
        "files": files,
    })
}

fn to_text(package: &Package, contents: &Contents, interface: &Result<Interface>) -> Result<String> {
    let mut lines = Vec::new();
    let mut row = |key: &str, value: String| lines.push(format!("{key:<9}{value}"));
    row("name", package.name.clone());
    row("version", package.version.clone());
    row("format", format!("{} {}", contents.format.as_str(), contents.path.display()));
    if let ModelSource::Path(path) = &package.model {
        row("model", path.display().to_string());
    }
    match interface {
        Ok(interface) => {
            interface.inputs.iter().for_each(|input| row("input", input.to_string()));
            interface.outputs.iter().for_each(|output| row("output", output.to_string()));
        }
        Err(error) => row("error", error.to_string()),
    }
    row("labels", labels(&package.labels));
    for file in &contents.files {
        let sha256 = file.sha256.get(..12).unwrap_or("-");
        row(
            "file",
            format!("{:<24} {:>12} bytes  sha256 {sha256:<12}  {}", file.name, file.bytes, word(&file.check)),
        );
    }
    let config = package.config.as_deref().map(configured::fields_text).unwrap_or_default();
    Ok(format!("{}\n{config}\n{}", lines.join("\n"), package.spec.to_toml()?))
}

/// How many labels, and the first few.
fn labels(labels: &[String]) -> String {
    let shown: Vec<&str> = labels.iter().take(3).map(String::as_str).collect();
    match labels.len() {
        0 => "none".to_owned(),
        n if n > shown.len() => format!("{n}: {}; …", shown.join("; ")),
        n => format!("{n}: {}", shown.join("; ")),
    }
}

fn word(check: &Check) -> &'static str {
    match check {
        Check::Matches => "ok",
        Check::Differs(_) => "damaged",
        Check::Missing => "missing",
        Check::Unlisted => "unlisted",
    }
}

/// Prints a line for each file and says whether the package is as its digests say and fits together.
///
/// # Errors
/// When the package cannot be read, or its parts do not fit; damaged files are lines and an exit code.
pub fn verify(path: &Path, stdout: &mut impl Write) -> Result<ExitCode> {
    let limits = ArchiveLimits::default();
    let contents = Contents::of(path, &limits)?;
    for file in &contents.files {
        writeln!(stdout, "{}: {}", file.name, word(&file.check)).map_err(|e| stdout_failed(&e))?;
    }
    let damaged = contents.damaged().count();
    if damaged > 0 {
        tracing::error!("{damaged} of {} files are not as their digests say", contents.files.len());
        return Ok(ExitCode::FAILURE);
    }
    let package = Package::open(path, &limits)?;
    check::fits(&package)?;
    Ok(ExitCode::SUCCESS)
}
