//! `tintype serve`: loads models and answers over HTTP until it is told to stop.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tintype_core::{Error, ErrorKind, Package, Result};
use tintype_engine::ort::OrtBackend;
use tintype_runtime::{LoadOptions, Runtime, RuntimeConfig};
use tintype_server::{Server, ServerConfig};
use tokio::signal::unix::{SignalKind, signal};

use super::model::{self, ModelOptions};

/// Options of `tintype serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Model directories, `.mar` archives, `.onnx` files or training runs; the first answers where none is named
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<PathBuf>,

    /// The port; 0 lets the system choose
    #[arg(long, default_value_t = 8000)]
    pub http_port: u16,

    /// The address; `0.0.0.0` is reached from other machines
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,

    /// Sessions of each model, each with its own thread; one a core by default
    #[arg(long, value_name = "N")]
    instances: Option<usize>,

    /// Most images in one run of a model
    #[arg(long, value_name = "N")]
    max_batch_size: Option<usize>,

    /// How long an idle instance waits for a batch to fill
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    max_queue_delay_ms: f64,

    /// Most requests of one model at once; more are refused with 429
    #[arg(long, value_name = "N", default_value_t = LoadOptions::default().max_queue_size)]
    max_queue_size: usize,

    /// Threads that decode and preprocess; one a core by default
    #[arg(long, value_name = "N")]
    prepare_threads: Option<usize>,

    /// Most bytes in a request's body
    #[arg(long, value_name = "BYTES", default_value_t = ServerConfig::default().max_body_bytes)]
    max_body_bytes: usize,

    /// How long a shutdown waits for what was accepted
    #[arg(long, value_name = "S", default_value_t = 30)]
    drain_timeout_s: u64,

    #[command(flatten)]
    options: ModelOptions,
}

impl ServeArgs {
    fn runtime_config(&self) -> RuntimeConfig {
        let default = RuntimeConfig::default();
        RuntimeConfig { prepare_threads: self.prepare_threads.unwrap_or(default.prepare_threads), ..default }
    }

    fn model_config(&self) -> Result<LoadOptions> {
        let default = LoadOptions::default();
        let delay = Duration::try_from_secs_f64(self.max_queue_delay_ms / 1e3);
        Ok(LoadOptions {
            instances: self.instances.unwrap_or(default.instances),
            max_batch_size: self.max_batch_size,
            max_queue_delay: delay.map_err(|e| {
                let found = self.max_queue_delay_ms;
                Error::new(ErrorKind::InvalidArgument, format!("`--max-queue-delay-ms {found}`: {e}"))
            })?,
            max_queue_size: self.max_queue_size,
            ..default
        })
    }

    fn server_config(&self) -> ServerConfig {
        ServerConfig {
            address: SocketAddr::new(self.host, self.http_port),
            max_body_bytes: self.max_body_bytes,
            drain_timeout: Duration::from_secs(self.drain_timeout_s),
            ..ServerConfig::default()
        }
    }
}

/// Serves until SIGTERM or Ctrl-C, then answers what was accepted and ends; a second signal ends it at once.
pub fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let packages: Vec<Package> =
        args.models.iter().map(|path| model::open(path, &args.options)).collect::<Result<_>>()?;
    let runtime = Runtime::new(Arc::new(OrtBackend::new()?), args.runtime_config())?;
    let config = args.model_config()?;
    for package in &packages {
        runtime.load(package, &config)?;
    }
    block_on(async {
        let server = Server::bind(args.server_config(), Arc::new(runtime)).await?;
        announce(&server)?;
        server.serve(stop_signal()?).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `future` to its end on a runtime of its own.
///
/// One thread: the server only moves bytes between sockets and queues, the work is done on the runtime's own threads.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    tokio.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?.block_on(future)
}

/// The address, on a line of its own, for programs that started the server on port 0.
pub(super) fn announce(server: &Server) -> Result<()> {
    writeln!(std::io::stdout(), "http://{}", server.local_addr())
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
