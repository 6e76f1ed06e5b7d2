//! `tintype train`: a classifier out of class folders, or several of a sweep.
//!
//! What the words mean is `tintype_train::config`'s business, what happens `tintype_train::train`'s; here are progress,
//! Ctrl-C and the last words.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tintype_engine::ort::OrtBackend;
use tintype_train::config::{self, Composer, Search};
use tintype_train::sweep::{Sweep, Swept};
use tintype_train::{Outcome, runs};

use super::interrupt;
use super::progress::Progress;

/// Options of `tintype train`.
#[derive(Debug, clap::Args)]
#[command(after_help = config::usage())]
pub struct TrainArgs {
    /// Settings: `scope=head backbone=MODEL data=DIR`, and what is listed below
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,

    /// Train once for each of several values: `-m optim.lr=1e-3,3e-4 model=resnet18,resnet34`
    #[arg(short, long)]
    multirun: bool,

    /// How `-m` chooses: every combination, or values drawn at random, also of `interval(1,2)` and
    /// `tag(log,interval(1e-4,1e-2))`
    #[arg(long, value_name = "WAY", default_value = "grid", requires = "multirun")]
    search: Way,

    /// Runs of `--search random`
    #[arg(long, value_name = "N", default_value_t = 20, requires = "multirun")]
    trials: usize,

    /// Equal seeds draw equal values in `--search random`
    #[arg(long, value_name = "N", default_value_t = 0, requires = "multirun")]
    search_seed: u64,

    /// Print the resolved configuration and do nothing; `info` says which files it is made of
    #[arg(short, long, value_name = "job|info")]
    cfg: Option<Shown>,

    /// A folder of configuration files, looked into before `conf`
    #[arg(long, visible_alias = "cd", value_name = "DIR")]
    config_dir: Option<PathBuf>,

    /// The file to begin with; a run's own is `--config-dir RUN --config-name config`
    #[arg(long, visible_alias = "cn", value_name = "NAME")]
    config_name: Option<String>,

    /// Cores to use; `trainer.threads=N` for short
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// Go on with a run that was stopped, from its last checkpoint and with its settings; `resume=RUN` for short
    #[arg(long, value_name = "RUN", conflicts_with_all = ["multirun", "config_dir", "config_name"])]
    resume: Option<PathBuf>,

    /// List the finished runs under `runs`, or under a folder given in place of settings
    #[arg(long)]
    list: bool,
}

/// How a multirun chooses its runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    Grid,
    Random,
}

/// What `--cfg` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shown {
    Job,
    Info,
}

/// Trains; prints the run directory and what was reached.
pub fn run(args: TrainArgs) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    if args.list {
        let root = args.settings.first().map_or(Path::new("runs"), Path::new);
        write!(out, "{}", runs::to_table(&runs::list(root)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    let composer = Composer::new(args.config_dir.clone(), args.config_name.clone());
    let words = args.words();
    if args.multirun {
        let mut sweep = Sweep::plan(&composer, &words, args.search())?;
        if args.cfg.is_some() {
            for config in sweep.configs() {
                writeln!(out, "---\n{}", config.to_yaml()?.trim_end())?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        // Once for all runs, so that all are of one commit.
        let mut places = BTreeMap::new();
        for data in sweep.data() {
            if !places.contains_key(&data.path) {
                places.insert(data.path.clone(), super::data::fetched(&data.path)?);
            }
            data.fetched = places.get(&data.path).cloned().flatten();
        }
        let backend = OrtBackend::new()?;
        let stop = interrupt::stop_on_ctrl_c()?;
        let mut progress = Progress::new();
        let swept = sweep.run(&backend, &stop, &mut progress)?;
        progress.finish();
        print_sweep(&mut out, &swept)?;
        let failed = swept.lines.iter().any(|line| line.result.is_err());
        return Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    let mut resolved = composer.resolve(&words)?;
    match args.cfg {
        Some(Shown::Job) => write!(out, "{}", resolved.config.to_yaml()?)?,
        Some(Shown::Info) => {
            for (name, origin) in &resolved.files {
                writeln!(out, "{name:24} {origin}")?;
            }
        }
        None => {
            let data = &mut resolved.config.data;
            data.fetched = super::data::fetched(&data.path)?;
            let backend = OrtBackend::new()?;
            let stop = interrupt::stop_on_ctrl_c()?;
            let mut progress = Progress::new();
            let outcome = tintype_train::train(&resolved.config, &backend, &stop, &mut progress)?;
            progress.finish();
            print(&mut out, &outcome)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl TrainArgs {
    fn words(&self) -> Vec<String> {
        let threads = self.threads.map(|n| format!("++trainer.threads={n}"));
        let resume = self.resume.as_ref().map(|run| format!("resume={}", run.display()));
        self.settings.iter().cloned().chain(threads).chain(resume).collect()
    }

    fn search(&self) -> Search {
        match self.search {
            Way::Grid => Search::Grid,
            Way::Random => Search::Random { trials: self.trials, seed: self.search_seed },
        }
    }
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
    if summary.stopped {
        writeln!(out, "resume   tintype train --resume {}", run_dir.display())?;
    }
    writeln!(out, "run      {}", run_dir.display())?;
    writeln!(out, "archive  {}", archive.display())
}

fn print_sweep(out: &mut impl Write, swept: &Swept) -> std::io::Result<()> {
    write!(out, "{}", swept.to_table())?;
    if let Some((line, outcome)) = swept.best() {
        let pairs: Vec<String> =
            swept.keys.iter().zip(&line.values).map(|(k, v)| format!("{k}={v}")).collect();
        writeln!(out, "best     {} ({})", outcome.run_dir.display(), pairs.join(" "))?;
    }
    writeln!(out, "table    {}", swept.dir.join("summary.csv").display())
}
