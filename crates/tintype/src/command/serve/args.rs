//! The options of `tintype serve`. Those that Triton has go by Triton's names, and ours beside them where they differ.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, builder::BoolishValueParser};
use tintype_core::triton::{parse_metrics_config, parse_trace_config};
use tintype_core::{Error, ErrorKind, Result};
use tintype_runtime::{Control, LoadOptions, MetricsConfig, RepositoryConfig, RuntimeConfig};
use tintype_server::{
    ClientSharedMemory, Compression, Listen, Readiness, Restriction, Restrictions, ServerConfig,
};

use super::foreign::ForeignArgs;
use crate::command::model::ModelOptions;
use crate::telemetry::{self, LogArgs};

/// Options of `tintype serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Model directories, `.mar` archives, `.onnx` files or training runs; the first answers where none is named
    #[arg(required_unless_present = "model_repository", value_name = "MODEL")]
    pub(super) models: Vec<PathBuf>,

    /// A folder of model directories; may be repeated
    #[arg(long, alias = "model-store", value_name = "DIR")]
    model_repository: Vec<PathBuf>,

    /// When models of a repository are loaded: all at the start, again when their files change, or on request
    #[arg(long, value_name = "none|poll|explicit", default_value = "none")]
    model_control_mode: ControlMode,

    /// A model to load at the start under `--model-control-mode explicit`, or `*`; may be repeated
    #[arg(long, value_name = "MODEL")]
    load_model: Vec<String>,

    /// How often a repository is looked at under `--model-control-mode poll`
    #[arg(long, value_name = "S", default_value_t = 15)]
    repository_poll_secs: u64,

    /// Models that are loaded at a time
    #[arg(long, value_name = "N", default_value_t = 4)]
    model_load_thread_count: usize,

    /// Read `configs/<NAME>.pbtxt` of a model instead of its `config.pbtxt`, where it has that
    #[arg(long, value_name = "NAME")]
    model_config_name: Option<String>,

    /// Do not complete a model's configuration from the model
    #[arg(long, num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = BoolishValueParser::new())]
    disable_auto_complete_config: bool,

    /// The old name of `--disable-auto-complete-config`
    #[arg(long, hide = true, action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    strict_model_config: Option<bool>,

    /// End when a model of a repository cannot be loaded at the start
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, value_parser = BoolishValueParser::new())]
    pub(super) exit_on_error: bool,

    /// The server is ready only when all its models are
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, value_parser = BoolishValueParser::new())]
    strict_readiness: bool,

    /// A cache of answers, for models that ask for it: `local,size=<bytes>`
    #[arg(long, value_name = "CACHE", value_parser = cache_size)]
    cache_config: Option<usize>,

    /// A setting of an engine; `default-max-batch-size=N` is the one there is
    #[arg(long, value_name = "[ENGINE,]KEY=VALUE", value_parser = default_max_batch_size)]
    backend_config: Vec<usize>,

    /// What is traced, as in `triton,file=trace.json`, `level=TIMESTAMPS`, `rate=100`, `count=50`; may be repeated
    #[arg(long, value_name = "[triton,]KEY=VALUE")]
    trace_config: Vec<String>,

    /// What instances for GPUs do where there is none: `cpu` lets them run on the CPU
    #[arg(long, value_name = "cpu")]
    gpu_fallback: Option<GpuFallback>,

    /// The name by which the server calls itself
    #[arg(long, value_name = "NAME", default_value = "tintype")]
    id: String,

    /// The port of HTTP; 0 lets the system choose
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    http_port: u16,

    /// The port of gRPC
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    grpc_port: u16,

    /// The port of metrics, which HTTP answers too
    #[arg(long, value_name = "PORT", default_value_t = 8002)]
    metrics_port: u16,

    /// The address; `0.0.0.0` is reached from other machines
    #[arg(long, alias = "http-address", value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,

    /// The address of gRPC, where it is another
    #[arg(long, value_name = "IP")]
    grpc_address: Option<IpAddr>,

    /// The address of metrics, where it is another
    #[arg(long, value_name = "IP")]
    metrics_address: Option<IpAddr>,

    /// Answer HTTP
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, value_parser = BoolishValueParser::new())]
    allow_http: bool,

    /// Answer gRPC
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, value_parser = BoolishValueParser::new())]
    allow_grpc: bool,

    /// Answer metrics on their own port
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, value_parser = BoolishValueParser::new())]
    allow_metrics: bool,

    /// Tell the load of processors and memory among the metrics
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, value_parser = BoolishValueParser::new())]
    allow_cpu_metrics: bool,

    /// Tell the load of GPUs among the metrics, where there are any
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, value_parser = BoolishValueParser::new())]
    allow_gpu_metrics: bool,

    /// How latencies are told, as in `summary_latencies=true`, `counter_latencies=false`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    metrics_config: Vec<String>,

    /// Let clients put tensors into shared memory
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = false, value_parser = BoolishValueParser::new())]
    allow_client_shm: bool,

    /// Answer these families of HTTP's routes only to who sends a header: `<api>[,<api>…]:<header>=<value>`
    #[arg(long, value_name = "RESTRICTION")]
    http_restricted_api: Vec<Restriction>,

    /// The same for gRPC, where `triton-grpc-protocol-` comes before the header
    #[arg(long, value_name = "RESTRICTION")]
    grpc_restricted_protocol: Vec<Restriction>,

    /// Compress gRPC's answers for clients that take it
    #[arg(long, value_name = "none|low|medium|high", default_value = "none")]
    grpc_infer_response_compression_level: CompressionLevel,

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

    /// Most bytes in a request's body, and in a message of gRPC
    #[arg(long, alias = "http-max-input-size", value_name = "BYTES", default_value_t = ServerConfig::default().max_body_bytes)]
    max_body_bytes: usize,

    /// How long a shutdown waits for what was accepted
    #[arg(long, alias = "exit-timeout-secs", value_name = "S", default_value_t = 30)]
    drain_timeout_s: u64,

    #[command(flatten)]
    pub(super) log: LogArgs,

    #[command(flatten)]
    pub(super) foreign: ForeignArgs,

    #[command(flatten)]
    pub(super) options: ModelOptions,
}

/// When models of a repository are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ControlMode {
    None,
    Poll,
    Explicit,
}

/// What instances for GPUs do where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum GpuFallback {
    Cpu,
}

/// Triton's levels; anything but none is for speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CompressionLevel {
    None,
    Low,
    Medium,
    High,
}

impl ServeArgs {
    /// Where the log goes.
    pub fn log_args(&self) -> &LogArgs {
        &self.log
    }

    pub(super) fn poll_every(&self) -> Duration {
        Duration::from_secs(self.repository_poll_secs.max(1))
    }

    pub(super) fn runtime_config(&self, options: &LoadOptions) -> Result<RuntimeConfig> {
        let default = RuntimeConfig::default();
        let control = match self.model_control_mode {
            ControlMode::Explicit => Control::Explicit(self.load_model.clone()),
            _ if !self.load_model.is_empty() => {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    "`--load-model` needs `--model-control-mode explicit`",
                ));
            }
            ControlMode::Poll => Control::Poll,
            ControlMode::None => Control::None,
        };
        Ok(RuntimeConfig {
            prepare_threads: self.prepare_threads.unwrap_or(default.prepare_threads),
            cache_bytes: self.cache_config.unwrap_or(default.cache_bytes),
            repository: RepositoryConfig {
                paths: self.model_repository.clone(),
                control,
                config_name: self.model_config_name.clone(),
                options: options.clone(),
                load_threads: self.model_load_thread_count,
            },
            trace: parse_trace_config(self.trace_config.iter().map(String::as_str))?,
            metrics: MetricsConfig {
                latencies: parse_metrics_config(self.metrics_config.iter().map(String::as_str))?,
                cpu: self.allow_cpu_metrics,
                gpu: self.allow_gpu_metrics,
            },
            ..default
        })
    }

    pub(super) fn load_options(&self) -> Result<LoadOptions> {
        let default = LoadOptions::default();
        let delay = Duration::try_from_secs_f64(self.max_queue_delay_ms / 1e3);
        Ok(LoadOptions {
            instances: self.instances.unwrap_or(default.instances),
            max_batch_size: self.max_batch_size.or(self.backend_config.last().copied()),
            max_queue_delay: delay.map_err(|e| {
                let found = self.max_queue_delay_ms;
                Error::new(ErrorKind::InvalidArgument, format!("`--max-queue-delay-ms {found}`: {e}"))
            })?,
            max_queue_size: self.max_queue_size,
            auto_complete: !(self.disable_auto_complete_config || self.strict_model_config == Some(true)),
            gpu_fallback: self.gpu_fallback == Some(GpuFallback::Cpu),
            ..default
        })
    }

    /// # Errors
    /// `InvalidArgument` when nothing would be answered.
    pub(super) fn server_config(&self) -> Result<ServerConfig> {
        let at = |allowed: bool, address: Option<IpAddr>, port| {
            allowed.then(|| SocketAddr::new(address.unwrap_or(self.host), port))
        };
        let listen = Listen {
            http: at(self.allow_http, None, self.http_port),
            grpc: at(self.allow_grpc, self.grpc_address, self.grpc_port),
            metrics: at(self.allow_metrics, self.metrics_address, self.metrics_port),
        };
        if listen.http.is_none() && listen.grpc.is_none() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "with `--allow-http false` and `--allow-grpc false` nobody could ask anything",
            ));
        }
        Ok(ServerConfig {
            listen,
            name: self.id.clone(),
            max_body_bytes: self.max_body_bytes,
            max_message_bytes: self.max_body_bytes,
            drain_timeout: Duration::from_secs(self.drain_timeout_s),
            readiness: if self.strict_readiness { Readiness::AllModels } else { Readiness::Live },
            client_shared_memory: match self.allow_client_shm {
                true => ClientSharedMemory::Allowed,
                false => ClientSharedMemory::Refused,
            },
            grpc_compression: match self.grpc_infer_response_compression_level {
                CompressionLevel::None => Compression::Off,
                _ => Compression::Offered,
            },
            restrictions: Restrictions {
                http: self.http_restricted_api.as_slice().into(),
                grpc: self.grpc_restricted_protocol.as_slice().into(),
            },
            logging: telemetry::control(),
            ..ServerConfig::default()
        })
    }
}

/// The size in `local,size=N`.
fn cache_size(text: &str) -> Result<usize, String> {
    let size = text.strip_prefix("local,size=").and_then(|size| size.parse().ok());
    size.ok_or_else(|| "expected `local,size=<bytes>`".to_owned())
}

/// The number in `default-max-batch-size=N`, perhaps after an engine's name.
fn default_max_batch_size(text: &str) -> Result<usize, String> {
    let (engine, setting) = text.split_once(',').unwrap_or(("", text));
    if !matches!(engine, "" | "onnxruntime") {
        return Err(format!("there is no engine `{engine}`, only `onnxruntime`"));
    }
    let size = setting.strip_prefix("default-max-batch-size=").and_then(|size| size.parse().ok());
    size.ok_or_else(|| "expected `default-max-batch-size=<number>`".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn parse(line: &str) -> ServeArgs {
        let words = std::iter::once("serve").chain(line.split(' '));
        Line::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}")).args
    }

    #[test]
    fn a_line_written_for_triton_is_taken() {
        let args = parse(
            "--model-store=/models --model-repository /more --model-control-mode=explicit --load-model=a --load-model b \
             --strict-readiness false --http-address 0.0.0.0 --allow-metrics=0 --id here --exit-timeout-secs 5 \
             --backend-config=onnxruntime,default-max-batch-size=16 --cache-config local,size=1000 --trace-config level=OFF \
             --http-thread-count=3 --http-restricted-api=health,metadata:key=value --allow-client-shm=1 --allow-gpu-metrics=0 \
             --metrics-config summary_latencies=true --metrics-config=counter_latencies=false",
        );
        let options = args.load_options().unwrap();
        assert_eq!(options.max_batch_size, Some(16));
        let runtime = args.runtime_config(&options).unwrap();
        assert_eq!(runtime.repository.control, Control::Explicit(vec!["a".into(), "b".into()]));
        assert_eq!((runtime.repository.paths.len(), runtime.cache_bytes), (2, 1000));
        let metrics = runtime.metrics;
        assert_eq!((metrics.cpu, metrics.gpu), (true, false));
        assert_eq!((metrics.latencies.summaries, metrics.latencies.counters), (true, false));
        let server = args.server_config().unwrap();
        assert_eq!(server.listen.http, Some(SocketAddr::from(([0, 0, 0, 0], 8000))));
        assert_eq!(server.listen.grpc, Some(SocketAddr::from(([0, 0, 0, 0], 8001))));
        assert_eq!((server.listen.metrics, server.readiness), (None, Readiness::Live));
        assert_eq!((server.name.as_str(), server.drain_timeout.as_secs()), ("here", 5));
        assert_eq!(server.client_shared_memory, ClientSharedMemory::Allowed);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let load = parse("m --load-model a");
        assert!(load.runtime_config(&load.load_options().unwrap()).is_err());
        let traced = parse("m --trace-config level=TIMESTAMPS");
        assert!(traced.runtime_config(&traced.load_options().unwrap()).is_err(), "into no file");
        let unknown = parse("m --metrics-config summary=true");
        assert!(unknown.runtime_config(&unknown.load_options().unwrap()).is_err());
        assert!(parse("m --http-header-forward-pattern x.*").foreign.check().is_err());
        assert!(parse("m --allow-http=false --allow-grpc=false").server_config().is_err());
        for line in [
            "",
            "m --cache-config redis,host=x",
            "m --backend-config=tensorflow,version=2",
            "m --http-restricted-api=nothing:key=value",
            "m --grpc-restricted-protocol=health",
        ] {
            let words = std::iter::once("serve").chain(line.split_whitespace());
            assert!(Line::try_parse_from(words).is_err(), "{line}");
        }
    }
}
