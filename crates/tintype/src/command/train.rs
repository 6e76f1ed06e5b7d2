//! `tintype train`: a classifier out of class folders.
//!
//! What the words mean is `tintype_train::config`'s business, what happens `tintype_train::train`'s; here are progress,
//! Ctrl-C and the last words.

use std::io::Write;
use std::process::ExitCode;

use tintype_engine::ort::OrtBackend;
use tintype_train::{Outcome, config};

use super::interrupt;
use super::progress::Progress;

/// Options of `tintype train`.
#[derive(Debug, clap::Args)]
#[command(after_help = config::usage())]
pub struct TrainArgs {
    /// Settings: `scope=head backbone=MODEL data=DIR`, and what is listed below
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
}

/// Trains; prints the run directory and what was reached.
pub fn run(args: TrainArgs) -> anyhow::Result<ExitCode> {
    let config = config::resolve(&args.settings)?;
    let backend = OrtBackend::new()?;
    let stop = interrupt::stop_on_ctrl_c()?;
    let mut progress = Progress::new();
    let outcome = tintype_train::train(&config, &backend, &stop, &mut progress)?;
    progress.finish();
    print(&mut std::io::stdout().lock(), &outcome)?;
    Ok(ExitCode::SUCCESS)
}

fn print(out: &mut impl Write, outcome: &Outcome) -> std::io::Result<()> {
    let Outcome { run_dir, archive, summary, evaluation, .. } = outcome;
    let early = if summary.stopped { ", stopped early" } else { "" };
    writeln!(
        out,
        "validation accuracy {:.2} % of {} images (epoch {} of {}{early}), {:.1} s",
        100.0 * evaluation.accuracy,
        evaluation.n,
        summary.best_epoch,
        summary.epochs,
        summary.seconds
    )?;
    writeln!(out, "run      {}", run_dir.display())?;
    writeln!(out, "archive  {}", archive.display())
}
