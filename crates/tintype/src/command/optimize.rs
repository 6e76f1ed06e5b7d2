//! `tintype optimize`: a faster model out of a model.
//!
//! Here are the options; `optimize/*` has a file for each kind of optimisation.

mod int8;

use std::path::PathBuf;
use std::process::ExitCode;

use tintype_core::{Error, ErrorKind};

use super::model::ModelOptions;

/// Options of `tintype optimize`.
// `--version` is the model's here, not tintype's.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub struct OptimizeArgs {
    /// A model directory, a `.mar`, an `.onnx` file or a training run
    pub model: PathBuf,

    #[command(flatten)]
    int8: int8::Int8Args,

    #[command(flatten)]
    options: ModelOptions,
}

/// Optimises; exit code 3 when the result answers worse than `--max-drop` allows.
pub fn run(args: OptimizeArgs) -> anyhow::Result<ExitCode> {
    if args.int8.int8 {
        return int8::run(&args.model, &args.options, &args.int8);
    }
    Err(Error::new(ErrorKind::InvalidArgument, "nothing says how to optimise the model")
        .with_hint("`--int8 --calibrate DATA` makes an eight-bit model of it")
        .into())
}
