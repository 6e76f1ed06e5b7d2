//! `tintype package`: makes packages, imports weights into them, looks into them, checks them, unpacks them.
//!
//! What a package is, and how hostile archives are read, is `tintype_core::package`'s business. Here packages are checked
//! further than the core can, against the ONNX graph, and shown.

mod check;
mod configured;
mod import;
mod show;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use tintype_core::package::{ArchiveLimits, MarOptions, check_name, check_version, labels};
use tintype_core::{Error, ErrorKind, ModelSource, ModelSpec, Package, Result};

use super::hub::from_env;

/// Options of `tintype package`.
#[derive(Debug, Args)]
pub struct PackageArgs {
    #[command(subcommand)]
    command: PackageCommand,
}

#[derive(Debug, Subcommand)]
enum PackageCommand {
    /// Put an ONNX model with its labels and spec into a model repository or a `.mar`
    // `--version` is the model's here, not tintype's.
    #[command(disable_version_flag = true)]
    Create(CreateArgs),
    /// Make a package of PyTorch's weights, of a file or of the Hugging Face hub
    #[command(disable_version_flag = true)]
    Import(import::ImportArgs),
    /// Show what a package holds
    Inspect(InspectArgs),
    /// Check a package's digests, and that its parts fit together
    Verify(VerifyArgs),
    /// Write a package as a model directory
    #[command(disable_version_flag = true)]
    Unpack(UnpackArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The model's name: letters, digits, `_`, `-` and `.`
    #[arg(long)]
    name: String,

    /// The model
    #[arg(long, value_name = "F.onnx")]
    onnx: PathBuf,

    /// A file with one class name a line
    #[arg(long, value_name = "F.txt")]
    labels: Option<PathBuf>,

    /// A TOML file with `[preprocess]` and `[postprocess]`
    #[arg(long, value_name = "F.toml")]
    spec: Option<PathBuf>,

    #[command(flatten)]
    destination: Destination,
}

/// Where a new package goes, and as which version.
#[derive(Debug, Args)]
pub struct Destination {
    /// The version, a positive number
    #[arg(long, value_name = "N", default_value = "1")]
    pub version: String,

    /// A `.mar` file, or the model repository in which `NAME/VERSION/` is made
    #[arg(long, value_name = "DIR|F.mar")]
    pub out: PathBuf,

    /// Replace the `.mar` if there is one
    #[arg(long)]
    pub overwrite: bool,
}

#[derive(Debug, Args)]
struct InspectArgs {
    /// A model directory, a `.mar`, an `.onnx` file or a training run
    #[arg(value_name = "MODEL")]
    path: PathBuf,

    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// A model directory, a `.mar`, an `.onnx` file or a training run
    #[arg(value_name = "MODEL")]
    path: PathBuf,
}

#[derive(Debug, Args)]
struct UnpackArgs {
    /// A `.mar`; any other MODEL is copied
    #[arg(value_name = "F.mar")]
    path: PathBuf,

    /// The model repository in which `NAME/VERSION/` is made
    #[arg(long, value_name = "REPOSITORY")]
    out: PathBuf,

    /// The version, where the archive's is not a whole number
    #[arg(long, value_name = "N")]
    version: Option<String>,
}

/// Runs one of the subcommands; `verify` of a damaged package ends with exit code 1.
pub fn run(args: PackageArgs) -> anyhow::Result<ExitCode> {
    Ok(execute(args.command, &mut std::io::stdout().lock())?)
}

fn execute(command: PackageCommand, stdout: &mut impl Write) -> Result<ExitCode> {
    match command {
        PackageCommand::Create(args) => create(&args, stdout)?,
        PackageCommand::Import(args) => import::import(&args, &from_env(), stdout)?,
        PackageCommand::Inspect(args) => show::inspect(&args.path, args.json, stdout)?,
        PackageCommand::Verify(args) => return show::verify(&args.path, stdout),
        PackageCommand::Unpack(args) => unpack(&args, stdout)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a package of its parts and prints where it is.
fn create(args: &CreateArgs, stdout: &mut impl Write) -> Result<()> {
    check_name(&args.name)?;
    check_version(&args.destination.version)?;
    let package = Package {
        name: args.name.clone(),
        version: args.destination.version.clone(),
        spec: args.spec.as_deref().map(spec_in).transpose()?.unwrap_or_default(),
        labels: args.labels.as_deref().map(labels_in).transpose()?.unwrap_or_default(),
        model: ModelSource::Path(args.onnx.clone()),
        config: None,
        output_labels: std::collections::BTreeMap::new(),
    };
    args.destination.write(&package, stdout)
}

impl Destination {
    /// Checks that the parts fit, writes the package and prints where it is.
    pub fn write(&self, package: &Package, stdout: &mut impl Write) -> Result<()> {
        check::fits(package)?;
        if self.out.extension().is_some_and(|e| e == "mar") {
            let options = MarOptions { created: created()?, overwrite: self.overwrite };
            package.write_mar(&self.out, &options)?;
            print(stdout, &self.out)
        } else {
            print(stdout, &package.write_dir(&self.out)?)
        }
    }
}

fn spec_in(file: &Path) -> Result<ModelSpec> {
    ModelSpec::from_toml(&read(file)?).map_err(|e| e.context(quoted(file)))
}

fn labels_in(file: &Path) -> Result<Vec<String>> {
    labels::parse(&read(file)?).map_err(|e| e.context(quoted(file)))
}

/// Now, or what `SOURCE_DATE_EPOCH` says, so that the same parts can give the same bytes on any day.
fn created() -> Result<SystemTime> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(SystemTime::now()) };
    let seconds = text.to_str().and_then(|text| text.parse().ok()).map(Duration::from_secs);
    seconds.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArgument,
            format!("`SOURCE_DATE_EPOCH` is {text:?}: expected seconds since 1970"),
        )
    })
}

/// Writes a package as a model directory and prints where it is.
fn unpack(args: &UnpackArgs, stdout: &mut impl Write) -> Result<()> {
    let mut package = Package::open(&args.path, &ArchiveLimits::default())?;
    package.version = match &args.version {
        Some(version) => version.clone(),
        None => whole_version(&package.version).to_owned(),
    };
    check_version(&package.version)
        .map_err(|e| e.with_hint("give the version that it is to have with `--version N`"))?;
    let written = package.write_dir(&args.out)?;
    print(stdout, &written)
}

/// The number before a version's `.0`s: TorchServe's customary `1.0` is Triton's `1`. Others, as `1.5`, stay as they are.
fn whole_version(version: &str) -> &str {
    match version.split_once('.') {
        Some((number, rest)) if rest.split('.').all(|part| part == "0") => number,
        _ => version,
    }
}

fn print(stdout: &mut impl Write, path: &Path) -> Result<()> {
    writeln!(stdout, "{}", path.display()).map_err(|e| show::stdout_failed(&e))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io(path, e))
}

fn quoted(path: &Path) -> String {
    format!("`{}`", path.display())
}

#[cfg(test)]
mod tests;
