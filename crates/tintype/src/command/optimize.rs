//! `tintype optimize`: a faster model out of a model.
//!
//! Here are the options; `optimize/*` has a file for each kind of optimisation.

mod graph;
#[cfg(feature = "train")]
mod int8;

use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(feature = "train")]
use super::model::ModelOptions;

/// Options of `tintype optimize`.
// `--version` is the model's here, not tintype's.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub struct OptimizeArgs {
    /// A model directory, a `.mar`, an `.onnx` file or a training run
    pub model: PathBuf,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,

    #[cfg(feature = "train")]
    #[command(flatten)]
    int8: int8::Int8Args,

    #[cfg(feature = "train")]
    #[command(flatten)]
    options: ModelOptions,
}

/// Optimises; exit code 3 when an eight-bit model answers worse than `--max-drop` allows.
pub fn run(args: OptimizeArgs) -> anyhow::Result<ExitCode> {
    #[cfg(feature = "train")]
    if args.int8.int8 {
        return int8::run(&args.model, &args.options, &args.int8, args.json);
    }
    graph::run(&args.model, args.json)
}
