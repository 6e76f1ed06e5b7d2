//! The server that is measured, and the requests for it.

mod inputs;
mod transport;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tintype_bench::control::Control;
use tintype_bench::metrics::Metrics;
use tintype_bench::process::ServerProcess;
use tintype_bench::service::{Endpoint, Service};
use tintype_bench::target::Target;
use tintype_core::{Error, ErrorKind, Result};

use super::args::{MeasureArgs, Protocol, invalid};
pub(super) use inputs::{files, read};
pub(super) use transport::{Shared, Transport};

/// A server, and what is sent to it.
pub(super) struct Source {
    /// What was typed.
    pub target: String,
    pub service: Service,
    pub endpoint: Endpoint,
    pub transport: Transport,
    /// The server, where it was started for this; it ends with this value.
    pub server: Option<ServerProcess>,
    /// Where its statistics are asked for, if it has any.
    pub statistics: Option<Control>,
    /// Where its metrics are read, if they are.
    pub metrics: Option<Metrics>,
    /// The tensors in shared memory, where they are; the server does not know of it yet.
    pub shared: Option<Shared>,
}

impl Source {
    /// Finds, or starts, the server, and makes the requests for `lanes` at a time.
    ///
    /// # Errors
    /// `Io` when nobody is there; `InvalidArgument` when what is to be sent does not fit the server.
    pub(super) async fn find(args: &MeasureArgs, lanes: usize) -> Result<Self> {
        let typed = args.target.as_ref().or(args.url.as_ref()).cloned();
        let typed = typed.unwrap_or_else(|| usual_address(args.protocol).to_owned());
        let limit = Duration::from_secs(args.server_timeout);
        let mut service = args.service();
        let mut endpoint = Endpoint {
            model: args.model_name.clone().unwrap_or_default(),
            version: args.model_version.clone(),
            ..Endpoint::default()
        };
        let of_model = is_model(&typed, args);
        if of_model && service == Service::Tintype && args.service_kind.is_none() && files(args).is_empty() {
            // Without a picture, tensors.
            service = Service::Triton;
        }
        args.check_tensors(service)?;
        let mut metrics_url = args.metrics_url.clone();
        let (mut server, target) = if of_model {
            if args.server_command.is_some() {
                return Err(invalid("`--server-command` needs the address of the server, not a model"));
            }
            if service == Service::Triton && endpoint.model.is_empty() {
                endpoint.model = name_of(Path::new(&typed))?;
            }
            let served = serve(&typed, args).await?;
            metrics_url = metrics_url.or(served.metrics);
            (Some(served.server), served.target)
        } else {
            let target: Target = typed.parse()?;
            endpoint.path = target.path.clone();
            if args.server_command.is_some() && tintype_bench::transport::is_taken(&target.authority).await {
                let message =
                    format!("something listens on `{}` already, and would be measured", target.authority);
                return Err(Error::new(ErrorKind::AlreadyExists, message));
            }
            (args.server_command.as_deref().map(ServerProcess::shell).transpose()?, target)
        };
        endpoint.authority = target.authority;
        let authority = &endpoint.authority;
        if args.protocol == Protocol::Grpc && service != Service::Triton {
            return Err(invalid("gRPC is spoken with servers of the kind `triton`"));
        }
        if let Some(server) = &mut server {
            server.ready(async || is_ready(args, (service, &endpoint), authority).await, limit).await?;
        }
        let mut statistics = control(args, service, authority).await?;
        let sent = inputs::inputs(args, service, &endpoint, statistics.as_mut()).await?;
        let (transport, shared) = transport::made(args, service, &endpoint, (sent, lanes))?;
        let told = match &mut statistics {
            Some(control) => control.statistics(None).await.is_some(),
            None => false,
        };
        let statistics = statistics.filter(|_| told);
        let metrics = if args.collect_metrics {
            let url = metrics_url.unwrap_or_else(|| usual_metrics(authority));
            Some(Metrics::open(&url, Duration::from_millis(args.metrics_interval)).await?)
        } else {
            None
        };
        Ok(Self { target: typed, service, endpoint, transport, server, statistics, metrics, shared })
    }
}

/// Where perf_analyzer looks for a server.
fn usual_address(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "localhost:8000",
        Protocol::Grpc => "localhost:8001",
    }
}

/// Where a Triton server on the host of `authority` has its metrics.
fn usual_metrics(authority: &str) -> String {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    format!("{host}:8002/metrics")
}

/// Whether `typed` is a path, not an address.
fn is_model(typed: &str, args: &MeasureArgs) -> bool {
    args.url.is_none() && !typed.contains("://") && (Path::new(typed).exists() || !typed.contains(':'))
}

fn name_of(path: &Path) -> Result<String> {
    Ok(tintype_core::Package::open(path, &tintype_core::package::ArchiveLimits::default())?.name)
}

/// A model that this program serves.
struct Served {
    server: ServerProcess,
    /// Where it is asked.
    target: Target,
    /// Where its metrics are.
    metrics: Option<String>,
}

/// Serves a model with this program, on ports of its own.
async fn serve(model: &str, args: &MeasureArgs) -> Result<Served> {
    let program =
        std::env::current_exe().map_err(|e| Error::new(ErrorKind::Io, format!("this program: {e}")))?;
    let mut command = Command::new(program);
    command.args(["--log", "warn", "serve", model]);
    command.args(["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]);
    if args.shares_memory() {
        command.args(["--allow-client-shm", "true"]);
    }
    let options = &args.options;
    for (flag, file) in [("--spec", &options.spec), ("--labels", &options.labels)] {
        if let Some(file) = file {
            command.arg(flag).arg(file);
        }
    }
    if let Some(preset) = options.preprocess {
        command.arg("--preprocess").arg(preset.as_str());
    }
    let (server, addresses) =
        ServerProcess::announcing(command, Duration::from_secs(args.server_timeout)).await?;
    let scheme = if args.protocol == Protocol::Grpc { "grpc://" } else { "http://" };
    let address = addresses.iter().find(|address| address.starts_with(scheme));
    let address =
        address.ok_or_else(|| Error::new(ErrorKind::Internal, "the server did not say where it listens"))?;
    let metrics = addresses.iter().find_map(|address| address.strip_prefix("metrics://"));
    Ok(Served { server, target: address.parse()?, metrics: metrics.map(str::to_owned) })
}

async fn is_ready(args: &MeasureArgs, (service, endpoint): (Service, &Endpoint), authority: &str) -> bool {
    if args.protocol == Protocol::Http {
        return tintype_bench::transport::http::answers(authority, service.ready_path()).await;
    }
    match Control::grpc(authority).await {
        Ok(mut control) => control.model(&endpoint.model, &endpoint.version).await.is_ok(),
        Err(_) => false,
    }
}

/// A connection for questions, where the server may answer any.
async fn control(args: &MeasureArgs, service: Service, authority: &str) -> Result<Option<Control>> {
    Ok(match (service, args.protocol) {
        (Service::Tintype | Service::Triton, Protocol::Http) => Some(Control::http(authority).await?),
        (Service::Triton, Protocol::Grpc) => Some(Control::grpc(authority).await?),
        _ => None,
    })
}
