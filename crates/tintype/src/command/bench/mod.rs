//! `tintype bench`: measures a server, or a model, under load.
//!
//! `args` is what is typed, with perf_analyzer's names where perf_analyzer has the option; `source` finds the server and
//! what to send; `in_process` measures the runtime without sockets. How loads are made and measured is in
//! `tintype-bench`.

mod args;
mod compared;
mod in_process;
mod output;
mod source;

use std::process::ExitCode;
use std::time::Duration;

use tintype_bench::driver::{Driver, first_answer};
use tintype_bench::probe::{Processes, ServerProbe};
use tintype_bench::process::ServerProcess;
use tintype_bench::profile::{Profile, profile};
use tintype_bench::reading::Probe;
use tintype_bench::report::{Level, Report, Settings};
use tintype_bench::stop::Stop;
use tintype_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::interrupt;
use super::serve::block_on;
pub use args::BenchArgs;
use args::{BenchCommand, MeasureArgs};
use output::Output;
use source::{Source, Transport};

/// Measures, or compares two measurements; exit code 1 when any request failed.
pub fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Some(BenchCommand::Compare(args)) => compared::run(&args),
        None => measure(&args.measure),
    }
}

fn measure(args: &MeasureArgs) -> anyhow::Result<ExitCode> {
    let profile = args.profile()?;
    let stop = Stop::default();
    let asked = stop.clone();
    interrupt::on_stop_signals(move || asked.request(), tintype_bench::process::kill_all)?;
    let output = Output::new(args)?;
    let run = Run { profile, stop, output };
    // It ends after the connections of the measurement, for which it would wait.
    let mut server = None;
    let report = if args.in_process {
        in_process::measure(args, run)
    } else {
        block_on(over_sockets(args, run, &mut server))
    }?;
    drop(server);
    Ok(if report.levels.iter().all(Level::all_answered) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A server that was started for it is put into `server`.
async fn over_sockets(args: &MeasureArgs, run: Run, server: &mut Option<ServerProcess>) -> Result<Report> {
    let lanes = run.profile.most_lanes();
    let source = unless(&run.stop, Source::find(args, lanes)).await?;
    let report = Report {
        tool: tool(),
        target: source.target.clone(),
        model: source.endpoint.model.clone(),
        service: source.service.title().to_owned(),
        protocol: source.transport.name().to_owned(),
        shared_memory: source.shared.is_some(),
        settings: Settings::new(&run.profile),
        start_up_s: None,
        levels: Vec::new(),
        interrupted: false,
    };
    let probe = ServerProbe {
        control: source.statistics,
        model: Some(source.endpoint.model).filter(|model| !model.is_empty()),
        processes: source
            .server
            .as_ref()
            .map(|server| Processes::new(server.tree(), Duration::from_millis(args.memory_interval))),
        metrics: source.metrics,
    };
    *server = source.server;
    let began = server.as_ref().map(ServerProcess::began);
    if let Some(shared) = &source.shared {
        // Not given up half way: the server would keep what it knows of already.
        shared.register().await?;
    }
    let measured = match source.transport {
        Transport::Http(driver) => run.over(&driver, probe, report, began).await,
        Transport::Grpc(driver) => run.over(&driver, probe, report, began).await,
    };
    if let Some(shared) = source.shared {
        shared.unregister().await;
    }
    measured
}

/// Does what comes before the load, unless `stop` is wished: a server that was started for it ends then.
async fn unless<T>(stop: &Stop, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        () = stop.requested() => Err(Error::new(ErrorKind::Cancelled, "stopped before the first load")),
    }
}

fn tool() -> String {
    format!("tintype {}", env!("CARGO_PKG_VERSION"))
}

/// What is measured however it is asked.
struct Run {
    profile: Profile,
    stop: Stop,
    output: Output,
}

impl Run {
    /// `began` is when what is measured was started, where it was for this.
    async fn over<D: Driver>(
        self,
        driver: &D,
        mut probe: impl Probe,
        mut report: Report,
        began: Option<Instant>,
    ) -> Result<Report> {
        let Self { profile: wanted, stop, mut output } = self;
        let answered = unless(&stop, first_answer(driver)).await?;
        report.start_up_s = began.map(|began| (answered - began).as_secs_f64());
        output.head(&report)?;
        profile(driver, &mut probe, &mut report, (&wanted, &stop), |report, level, history| {
            output.level(report, level, history)
        })
        .await?;
        output.finish(&report)?;
        Ok(report)
    }
}
