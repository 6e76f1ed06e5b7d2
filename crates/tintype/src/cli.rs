//! The command line, as types. What a command does is in `command/`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::command;

/// Train, package, serve, batch-score and benchmark image models.
#[derive(Debug, Parser)]
#[command(name = "tintype", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// What is said on stderr: error, warn, info, debug, or a filter such as `tintype_runtime=debug`
    #[arg(long, global = true, default_value = "info", env = "TINTYPE_LOG", value_name = "FILTER")]
    pub log: String,

    /// The form of what is said on stderr
    #[arg(long, global = true, default_value = "text", value_name = "FORM")]
    pub log_format: crate::telemetry::LogFormat,

    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Draw a data set, train on it, package, evaluate and serve the model
    #[cfg(feature = "train")]
    Demo(command::demo::DemoArgs),
    /// Train a classifier on class folders
    #[cfg(feature = "train")]
    Train(command::train::TrainArgs),
    /// Measure a model on a labelled data set
    #[cfg(feature = "train")]
    Evaluate(command::evaluate::EvaluateArgs),
    /// Make a model load faster here, or an eight-bit model of it, and say what that costs
    Optimize(Box<command::optimize::OptimizeArgs>),
    /// Classify images
    Predict(command::predict::PredictArgs),
    /// Create, inspect, verify and unpack packages
    Package(command::package::PackageArgs),
    /// Serve models over HTTP and gRPC
    Serve(Box<command::serve::ServeArgs>),
    /// Measure a server, or a model, under load
    #[cfg(feature = "bench")]
    Bench(Box<command::bench::BenchArgs>),
    /// Say what was found on this machine: CPU features, ONNX Runtime, limits
    Doctor(command::doctor::DoctorArgs),
    /// Draw a data set, train on it, package, evaluate and serve the model (not in this build)
    #[cfg(not(feature = "train"))]
    Demo(command::absent::AbsentArgs),
    /// Train a classifier on class folders (not in this build)
    #[cfg(not(feature = "train"))]
    Train(command::absent::AbsentArgs),
    /// Measure a model on a labelled data set (not in this build)
    #[cfg(not(feature = "train"))]
    Evaluate(command::absent::AbsentArgs),
    /// Measure a server, or a model, under load (not in this build)
    #[cfg(not(feature = "bench"))]
    Bench(Box<command::absent::AbsentArgs>),
}

impl Command {
    /// Where the log goes instead of stderr.
    pub fn log_file(&self) -> Option<&PathBuf> {
        match self {
            Self::Serve(args) => args.log_args().log_file.as_ref(),
            _ => None,
        }
    }
}
