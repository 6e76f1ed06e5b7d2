//! `tintype evaluate`: a model's figures over a folder of labelled images.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use tintype_core::Error;
use tintype_engine::ort::OrtBackend;
use tintype_train::EvaluateOptions;

use super::interrupt;
use super::model::{self, ModelOptions};
use super::progress::Progress;

/// Options of `tintype evaluate`.
#[derive(Debug, clap::Args)]
pub struct EvaluateArgs {
    /// A model directory, a `.mar`, an `.onnx` file or a training run
    pub model: PathBuf,

    /// Labelled images, in any form that `tintype train` learns from: class folders, folders of parts, names that begin with
    /// the class, a CSV or JSONL table, Parquet files, `hf://owner/name[@revision]`. The classes are the model's labels, or their indices
    pub data: PathBuf,

    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    /// Write a report as one HTML file: confusion, classes, calibration, the worst mistakes with pictures
    #[arg(long, value_name = "F.html")]
    pub report: Option<PathBuf>,

    /// Write the JSON into this file as well
    #[arg(long, value_name = "F.json")]
    pub out: Option<PathBuf>,

    /// Sessions of one thread each; one a core by default
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub threads: usize,

    #[command(flatten)]
    pub options: ModelOptions,
}

/// Prints the figures; exit code 1 when any file could not be read.
pub fn run(args: EvaluateArgs) -> anyhow::Result<ExitCode> {
    let package = model::open(&args.model, &args.options)?;
    // Before Ctrl-C means to finish what was begun: a download has no end to come to.
    let fetched = super::data::fetched(&args.data)?;
    let data = fetched.as_ref().unwrap_or(&args.data);
    let backend = OrtBackend::new()?;
    let options = EvaluateOptions { threads: args.threads, stop: interrupt::stop_on_ctrl_c()? };
    let mut progress = Progress::new();
    let judged = tintype_train::evaluate(&package, data, &backend, &options, &mut progress)?;
    progress.finish();
    if let Some(path) = &args.report {
        let html = judged.report(&package.name, &args.data.display().to_string());
        std::fs::write(path, html).map_err(|e| Error::io(path, e))?;
    }
    let evaluation = judged.evaluation;
    let json = serde_json::to_string(&evaluation)?;
    if let Some(path) = &args.out {
        std::fs::write(path, format!("{json}\n")).map_err(|e| Error::io(path, e))?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{json}")?;
    } else {
        write!(out, "{}", evaluation.to_table())?;
    }
    Ok(if evaluation.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
