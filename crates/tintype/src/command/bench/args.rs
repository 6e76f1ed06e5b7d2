//! The options of `tintype bench`, as they are typed. Those that perf_analyzer has go by its names.

mod chosen;

use std::path::PathBuf;

use tintype_bench::range::Range;
use tintype_core::{Error, ErrorKind};

use crate::command::model::ModelOptions;

/// Options of `tintype bench`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub(super) command: Option<BenchCommand>,

    #[command(flatten)]
    pub(super) measure: MeasureArgs,
}

/// What else `tintype bench` does.
#[derive(Debug, clap::Subcommand)]
pub enum BenchCommand {
    /// Show two measurements side by side, from the files that `--out` wrote
    Compare(CompareArgs),
}

/// Options of `tintype bench compare`.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// The one that changes count from
    pub(super) a: PathBuf,
    /// The other
    pub(super) b: PathBuf,
}

/// What is measured, and how.
#[derive(Debug, clap::Args)]
pub struct MeasureArgs {
    /// A server's address, as in `http://127.0.0.1:8000`, or a model, which is served for the measurement
    #[arg(value_name = "URL|MODEL", required_unless_present_any = ["url", "model_name"])]
    pub(super) target: Option<String>,

    /// Image files, directories and glob patterns, or JSON files, which are sent in turn
    #[arg(value_name = "INPUT")]
    pub(super) inputs: Vec<PathBuf>,

    /// The server's address, as perf_analyzer takes it; port 8000 or 8001 of this machine where only `-m` is given
    #[arg(short = 'u', long, value_name = "HOST:PORT", conflicts_with = "target")]
    pub(super) url: Option<String>,

    /// What kind of server it is; `triton` speaks KServe v2, and is meant where a model is named
    #[arg(long, value_name = "KIND")]
    pub(super) service_kind: Option<ServiceKind>,

    /// The model that is asked
    #[arg(short = 'm', long, value_name = "NAME")]
    pub(super) model_name: Option<String>,

    /// Its version
    #[arg(short = 'x', long, value_name = "N", default_value = "", hide_default_value = true)]
    pub(super) model_version: String,

    /// The protocol
    #[arg(short = 'i', long, value_name = "http|grpc", default_value = "http", ignore_case = true)]
    pub(super) protocol: Protocol,

    /// Rows of a request, of tensors
    #[arg(short = 'b', long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,

    /// Requests under way: `START:END:STEP`, `START:END:x2` for doubling
    #[arg(long, value_name = "RANGE", conflicts_with = "request_rate_range")]
    concurrency_range: Option<Range>,

    /// Requests a second, which start at their times whatever became of the ones before; a range as above
    #[arg(long, value_name = "RANGE")]
    request_rate_range: Option<Range>,

    /// How the starts of `--request-rate-range` are spread
    #[arg(long, value_name = "constant|poisson", default_value = "constant")]
    request_distribution: RequestDistribution,

    /// Start requests at recorded distances: a file of microseconds, a line each, over and over
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["concurrency_range", "request_rate_range", "binary_search"]
    )]
    request_intervals: Option<PathBuf>,

    /// Requests under way at most where they start at their times; further ones start late
    #[arg(long, value_name = "N", default_value = "512", value_parser = clap::value_parser!(u32).range(1..))]
    max_outstanding: u32,

    /// Whether a window ends after a time or after a count of requests
    #[arg(long, value_name = "MODE", default_value = "time_windows")]
    measurement_mode: MeasurementMode,

    /// Milliseconds of a window
    #[arg(short = 'p', long, value_name = "MS", default_value = "5000", value_parser = clap::value_parser!(u64).range(1..))]
    measurement_interval: u64,

    /// Requests of a window
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u64).range(1..))]
    measurement_request_count: u64,

    /// Send just so many requests at each load, in one window; 0 for windows until they agree
    #[arg(long, value_name = "N", default_value_t = 0)]
    request_count: u64,

    /// Requests before the first window of each load
    #[arg(long, value_name = "N", default_value_t = 0)]
    warmup_request_count: u64,

    /// By how many percent throughput and latency of the last three windows may differ
    #[arg(short = 's', long, value_name = "PERCENT", default_value_t = 10.0)]
    stability_percentage: f64,

    /// Look at this percentile of the latency instead of the mean; -1 for the mean
    #[arg(long, value_name = "P", default_value_t = -1.0, allow_negative_numbers = true)]
    percentile: f64,

    /// Windows at most
    #[arg(short = 'r', long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..))]
    max_trials: u32,

    /// The highest latency that is wanted; the first load beyond it is the last. 0 for none
    #[arg(short = 'l', long, value_name = "MS")]
    latency_threshold: Option<f64>,

    /// Close in on the highest load within the threshold
    #[arg(long, requires = "latency_threshold")]
    binary_search: bool,

    /// Threads that send
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    max_threads: u32,

    /// What to send beside INPUT: `random` or `zero` tensors, or a file or directory; may be repeated
    #[arg(long, value_name = "random|zero|PATH")]
    pub(super) input_data: Vec<String>,

    /// The shape of an input that the model leaves open, without the batch; may be repeated
    #[arg(long, value_name = "NAME:N,N,…", value_parser = shape)]
    shape: Vec<(String, Vec<i64>)>,

    /// The length of random texts
    #[arg(long, value_name = "N", default_value_t = 128)]
    string_length: usize,

    /// The text for all inputs of texts
    #[arg(long, value_name = "TEXT")]
    string_data: Option<String>,

    /// How inputs go over HTTP
    #[arg(long, value_name = "binary|json", default_value = "binary")]
    input_tensor_format: TensorFormat,

    /// How outputs come over HTTP
    #[arg(long, value_name = "binary|json", default_value = "binary")]
    output_tensor_format: TensorFormat,

    /// Put inputs and outputs into shared memory of this machine; `cuda` is not supported
    #[arg(long, value_name = "none|system|cuda", default_value = "none")]
    shared_memory: SharedMemoryKind,

    /// Bytes of shared memory for a row of an output whose size the model leaves open, and for texts
    #[arg(long, value_name = "BYTES", default_value = "102400", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) output_shared_memory_size: u64,

    /// What random inputs and starts follow from
    #[arg(long, value_name = "N", default_value_t = 0)]
    random_seed: u64,

    /// A header of every request over HTTP; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE")]
    pub(super) headers: Vec<String>,

    /// Start the server with this command line, and measure its start, its CPU time and its memory
    #[arg(long, value_name = "COMMAND")]
    pub(super) server_command: Option<String>,

    /// Seconds that a server may take to become ready
    #[arg(long, value_name = "S", default_value_t = 120)]
    pub(super) server_timeout: u64,

    /// Milliseconds between two looks at the memory of a server that was started for this
    #[arg(long, value_name = "MS", default_value_t = 100)]
    pub(super) memory_interval: u64,

    /// Read the server's Prometheus metrics meanwhile, for the load of its GPUs
    #[arg(long, conflicts_with = "in_process")]
    pub(super) collect_metrics: bool,

    /// Where they are; `/metrics` at port 8002 of the server by default
    #[arg(long, value_name = "URL", requires = "collect_metrics")]
    pub(super) metrics_url: Option<String>,

    /// Milliseconds between two readings
    #[arg(
        long,
        value_name = "MS",
        default_value = "1000",
        requires = "collect_metrics",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(super) metrics_interval: u64,

    /// Measure the runtime in this process, without sockets; the target is a MODEL then
    #[arg(long, conflicts_with_all = ["server_command", "url", "service_kind", "model_name"])]
    pub(super) in_process: bool,

    /// Write CSV with perf_analyzer's columns into this file
    #[arg(short = 'f', long, value_name = "F.csv")]
    pub(super) latency_report_file: Option<PathBuf>,

    /// More columns in it
    #[arg(long, requires = "latency_report_file")]
    pub(super) verbose_csv: bool,

    /// Write the measurement as JSON into this file, for `bench compare`
    #[arg(long, value_name = "F.json")]
    pub(super) out: Option<PathBuf>,

    /// Write one HTML file with charts
    #[arg(long, value_name = "F.html")]
    pub(super) report: Option<PathBuf>,

    /// Write each request with its times into this file, in perf_analyzer's JSON
    #[arg(long, value_name = "F.json")]
    pub(super) profile_export_file: Option<PathBuf>,

    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,

    /// Send requests over one stream a connection, each after the answer to the one before; of gRPC only
    #[arg(long, conflicts_with = "sync")]
    pub(super) streaming: bool,

    /// Without effect, for perf_analyzer's command lines: one thread has many requests under way here in any case
    #[arg(short = 'a', long = "async", conflicts_with = "sync")]
    _async: bool,

    /// Without effect too: how many threads send is `--max-threads`
    #[arg(long)]
    sync: bool,

    #[command(flatten)]
    pub(super) options: ModelOptions,
}

/// A kind of server, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ServiceKind {
    Tintype,
    #[value(alias = "kserve")]
    Triton,
    #[value(name = "torchserve")]
    TorchServe,
    #[value(name = "litserve")]
    LitServe,
    ModelServing,
}

/// A protocol, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Protocol {
    Http,
    Grpc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum RequestDistribution {
    Constant,
    Poisson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum MeasurementMode {
    #[value(name = "time_windows")]
    Time,
    #[value(name = "count_windows")]
    Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TensorFormat {
    Binary,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SharedMemoryKind {
    None,
    System,
    Cuda,
}

fn shape(text: &str) -> Result<(String, Vec<i64>), String> {
    let wrong = || format!("expected `NAME:N,N,…`, found `{text}`");
    let (name, sizes) = text.rsplit_once(':').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
    let sizes = sizes.split(',').map(|size| size.trim().parse::<i64>().ok().filter(|&size| size > 0));
    Ok((name.to_owned(), sizes.collect::<Option<_>>().ok_or_else(wrong)?))
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}
