//! The `tintype` binary: a command line over the workspace's libraries.
//!
//! [`cli`] holds the types of the command line, `command/*` one file a command, [`telemetry`] the logging. Data goes
//! to stdout, talk to stderr; the exit code comes from the same table as HTTP statuses (`tintype_api::status`).

mod cli;
mod command;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    keep_onnxruntime_silent();
    let cli = Cli::parse();
    telemetry::init(&cli.log, cli.log_format, cli.command.log_file())
        .and_then(|()| run(cli.command))
        .unwrap_or_else(|error| telemetry::report(&error))
}

/// ONNX Runtime's library reports its use over the network unless it is told not to before it is loaded.
#[expect(unsafe_code, reason = "the library reads its environment")]
fn keep_onnxruntime_silent() {
    // SAFETY: no other thread runs yet, so none reads the environment.
    unsafe { std::env::set_var(tintype_engine::ort::NO_TELEMETRY, "1") };
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => command::demo::run(args),
        Command::Train(args) => command::train::run(args),
        Command::Evaluate(args) => command::evaluate::run(args),
        Command::Optimize(args) => command::optimize::run(*args),
        Command::Predict(args) => command::predict::run(args),
        Command::Package(args) => command::package::run(args),
        Command::Serve(args) => command::serve::run(*args),
        Command::Bench(args) => command::bench::run(*args),
        Command::Doctor(args) => command::doctor::run(args),
    }
}
