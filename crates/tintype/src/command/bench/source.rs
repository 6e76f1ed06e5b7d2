//! The server that is measured, and the requests for it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tintype_bench::control::Control;
use tintype_bench::input::{self, Fill, TensorOptions};
use tintype_bench::process::ServerProcess;
use tintype_bench::service::{Endpoint, Input, Service};
use tintype_bench::target::Target;
use tintype_bench::transport::grpc::GrpcDriver;
use tintype_bench::transport::http::HttpDriver;
use tintype_core::{Error, ErrorKind, Result};

use super::args::{MeasureArgs, Protocol, invalid};

/// Files that are read at most: all lie in memory.
const MOST_FILES: usize = 1000;

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
}

/// How requests are sent.
pub(super) enum Transport {
    Http(HttpDriver),
    Grpc(GrpcDriver),
}

impl Transport {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Http(_) => "HTTP",
            Self::Grpc(_) => "gRPC",
        }
    }
}

impl Source {
    /// Finds, or starts, the server, and makes the requests.
    ///
    /// # Errors
    /// `Io` when nobody is there; `InvalidArgument` when what is to be sent does not fit the server.
    pub(super) async fn find(args: &MeasureArgs) -> Result<Self> {
        let typed = args.target.as_ref().or(args.url.as_ref()).cloned().unwrap_or_default();
        let limit = Duration::from_secs(args.server_timeout);
        let mut service = args.service();
        let mut endpoint = Endpoint {
            path: String::new(),
            model: args.model_name.clone(),
            version: args.model_version.clone(),
        };
        let of_model = is_model(&typed, args);
        if of_model && service == Service::Tintype && args.service_kind.is_none() && files(args).is_empty() {
            // Without a picture, tensors.
            service = Service::Triton;
        }
        args.check_batch(service)?;
        let (mut server, target) = if of_model {
            if args.server_command.is_some() {
                return Err(invalid("`--server-command` needs the address of the server, not a model"));
            }
            if service == Service::Triton && endpoint.model.is_empty() {
                endpoint.model = name_of(Path::new(&typed))?;
            }
            let (server, target) = serve(&typed, args).await?;
            (Some(server), target)
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
        let authority = target.authority;
        if args.protocol == Protocol::Grpc && service != Service::Triton {
            return Err(invalid("gRPC is spoken with servers of the kind `triton`"));
        }
        if let Some(server) = &mut server {
            server.ready(async || is_ready(args, (service, &endpoint), &authority).await, limit).await?;
        }
        let control = control(args, service, &authority).await?;
        let (mut statistics, inputs) = inputs(args, service, &endpoint, control).await?;
        let transport = match args.protocol {
            Protocol::Http => Transport::Http(http(args, service, &endpoint, (&authority, &inputs))?),
            Protocol::Grpc => Transport::Grpc(grpc(args, &endpoint, (&authority, &inputs))?),
        };
        let told = match &mut statistics {
            Some(control) => control.statistics(None).await.is_some(),
            None => false,
        };
        let statistics = statistics.filter(|_| told);
        Ok(Self { target: typed, service, endpoint, transport, server, statistics })
    }
}

/// Whether `typed` is a path, not an address.
fn is_model(typed: &str, args: &MeasureArgs) -> bool {
    args.url.is_none() && !typed.contains("://") && (Path::new(typed).exists() || !typed.contains(':'))
}

fn name_of(path: &Path) -> Result<String> {
    Ok(tintype_core::Package::open(path, &tintype_core::package::ArchiveLimits::default())?.name)
}

/// Serves a model with this program, on ports of its own.
async fn serve(model: &str, args: &MeasureArgs) -> Result<(ServerProcess, Target)> {
    let program =
        std::env::current_exe().map_err(|e| Error::new(ErrorKind::Io, format!("this program: {e}")))?;
    let mut command = Command::new(program);
    command.args(["--log", "warn", "serve", model]);
    command.args(["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]);
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
    Ok((server, address.parse()?))
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

/// What is sent; and the connection back.
async fn inputs(
    args: &MeasureArgs,
    service: Service,
    endpoint: &Endpoint,
    mut control: Option<Control>,
) -> Result<(Option<Control>, Vec<Input>)> {
    let read = read(args, service)?;
    let Some(control_of_model) = control.as_mut().filter(|_| service == Service::Triton) else {
        if read.is_empty() {
            let hint = "name an image, as in `tintype bench URL photo.jpg`, or a JSON file with the body";
            return Err(invalid("there is nothing to send").with_hint(hint));
        }
        return Ok((control, read));
    };
    if endpoint.model.is_empty() {
        return Err(invalid("a KServe server needs a model's name").with_hint("give it with `-m NAME`"));
    }
    let facts = control_of_model.model(&endpoint.model, &endpoint.version).await?;
    let options: TensorOptions = args.tensors();
    let mut inputs = Vec::new();
    for input in read {
        match input {
            Input::Image { bytes, .. } => {
                inputs.push(Input::Tensors(input::image(&facts, &bytes, &options)?));
            }
            Input::Body(json) if input::is_data(&json) => {
                inputs.extend(input::tensors(&json, &facts, &options)?.into_iter().map(Input::Tensors));
            }
            _ if options.batch_size > 1 => {
                return Err(invalid("`-b` is of tensors, and a JSON body is sent as it is"));
            }
            other => inputs.push(other),
        }
    }
    let zero = args.input_data.iter().any(|data| data == "zero");
    if inputs.is_empty() || zero || args.input_data.iter().any(|data| data == "random") {
        let fill = if zero { Fill::Zero } else { args.fill() };
        inputs.push(Input::Tensors(input::drawn(&facts, &fill, &options)?));
    }
    Ok((control, inputs))
}

/// The files to send, as they were typed.
pub(super) fn files(args: &MeasureArgs) -> Vec<PathBuf> {
    let data = args.input_data.iter().filter(|data| !matches!(data.as_str(), "random" | "zero"));
    args.inputs.iter().cloned().chain(data.map(PathBuf::from)).collect()
}

/// Reads them, directories and globs resolved.
pub(super) fn read(args: &MeasureArgs, service: Service) -> Result<Vec<Input>> {
    let mut found = Vec::new();
    for path in files(args) {
        if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            found.extend(tintype_batch::listing::images(&[path])?);
        } else if service == Service::TorchServe
            && let Ok(text) = std::fs::read(&path)
            && input::is_data(&text)
        {
            found.extend(input::files_in(&text)?);
        } else {
            found.push(path);
        }
    }
    if found.len() > MOST_FILES {
        tracing::warn!("the first {MOST_FILES} of {} files are sent", found.len());
        found.truncate(MOST_FILES);
    }
    found.iter().map(|path| input::file(path)).collect()
}

fn http(
    args: &MeasureArgs,
    service: Service,
    endpoint: &Endpoint,
    (authority, inputs): (&str, &[Input]),
) -> Result<HttpDriver> {
    let prepared = inputs.iter().map(|input| {
        args.headers
            .iter()
            .try_fold(service.prepare(endpoint, input)?, |request, header| request.with_header(header))
    });
    HttpDriver::new(authority, prepared.collect::<Result<_>>()?)
}

fn grpc(
    args: &MeasureArgs,
    endpoint: &Endpoint,
    (authority, inputs): (&str, &[Input]),
) -> Result<GrpcDriver> {
    if !args.headers.is_empty() {
        return Err(invalid("`--header` is sent over HTTP only"));
    }
    let messages = inputs.iter().map(|input| match input {
        Input::Tensors(request) => {
            tintype_api::kserve::ask::message(&endpoint.model, &endpoint.version, request)
        }
        Input::Image { .. } | Input::Body(_) => Err(invalid("JSON bodies cannot be sent over gRPC")),
    });
    GrpcDriver::new(authority, messages.collect::<Result<_>>()?)
}
