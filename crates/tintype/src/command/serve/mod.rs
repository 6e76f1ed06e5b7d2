//! `tintype serve`: loads models and answers over HTTP and gRPC until it is told to stop.
//!
//! `args` is what is typed, with Triton's names where Triton has the option; `foreign` is what only Triton has.

mod args;
mod foreign;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tintype_core::{Error, ErrorKind, Package, Result};
use tintype_engine::ort::OrtBackend;
use tintype_runtime::{Control, Runtime};
use tintype_server::Server;
use tokio::signal::unix::{SignalKind, signal};

use super::model;
pub use args::ServeArgs;

/// Serves until SIGTERM or Ctrl-C, then answers what was accepted and ends; a second signal ends it at once.
pub fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    args.log.apply()?;
    args.foreign.check()?;
    let packages: Vec<Package> =
        args.models.iter().map(|path| model::open(path, &args.options)).collect::<Result<_>>()?;
    let options = args.load_options()?;
    let config = args.runtime_config(&options)?;
    let polled = (config.repository.control == Control::Poll).then(|| args.poll_every());
    let runtime = Arc::new(Runtime::new(Arc::new(OrtBackend::new()?), config)?);
    for package in &packages {
        runtime.load(package, &options)?;
    }
    block_on(async {
        // Listening first: a port that is taken is found out before models are loaded.
        let server = Server::bind(args.server_config()?, runtime.clone()).await?;
        let failed = runtime.start_repository().await?;
        if let Some((name, error)) = failed.into_iter().next()
            && args.exit_on_error
        {
            return Err(error.context(format_args!("model `{name}`")));
        }
        announce(&server)?;
        let poll = polled.map(|every| tokio::spawn(poll(runtime.clone(), every)));
        let served = server.serve(stop_signal()?).await;
        if let Some(poll) = poll {
            poll.abort();
        }
        served
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Looks after the repositories until it is aborted. What goes wrong with a model is logged where it does.
async fn poll(runtime: Arc<Runtime>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if let Err(error) = runtime.poll().await {
            tracing::error!(%error, "looking at the model repositories failed");
        }
    }
}

/// Runs `future` to its end on a runtime of its own.
///
/// One thread: the server only moves bytes between sockets and queues, the work is done on the runtime's own threads.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    tokio.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?.block_on(future)
}

/// The addresses, on lines of their own, for programs that started the server on port 0: `http://…`, `grpc://…` and
/// `metrics://…`, of those that it listens on.
pub(super) fn announce(server: &Server) -> Result<()> {
    let addresses =
        [("http", server.http_addr()), ("grpc", server.grpc_addr()), ("metrics", server.metrics_addr())];
    let lines =
        addresses.iter().filter_map(|(scheme, address)| Some(format!("{scheme}://{}\n", (*address)?)));
    // In one piece: who has read the line that it wants may close the pipe.
    std::io::stdout()
        .write_all(lines.collect::<String>().as_bytes())
        .map_err(|e| Error::new(ErrorKind::Io, format!("writing to stdout: {e}")))
}

/// Resolves at the first SIGTERM or SIGINT; a second one then ends the process at once.
///
/// # Errors
/// `Internal` when the system refuses to deliver signals.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>> {
    let listen = |kind| signal(kind).map_err(|e| Error::new(ErrorKind::Internal, format!("signals: {e}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
            // What a shell reports of a process that a signal ended.
            std::process::exit(130);
        });
    })
}
