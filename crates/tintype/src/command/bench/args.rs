//! The options of `tintype bench`. Those that perf_analyzer has go by its names.

use std::path::PathBuf;
use std::time::Duration;

use tintype_bench::arrivals::Distribution;
use tintype_bench::input::{Fill, TensorOptions};
use tintype_bench::measure::{Metric, Rules, WindowRule};
use tintype_bench::profile::{Loads, Profile, Search};
use tintype_bench::range::Range;
use tintype_bench::service::Service;
use tintype_core::{Error, ErrorKind, Result};

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
    #[arg(value_name = "URL|MODEL", required_unless_present = "url")]
    pub(super) target: Option<String>,

    /// Image files, directories and glob patterns, or JSON files, which are sent in turn
    #[arg(value_name = "INPUT")]
    pub(super) inputs: Vec<PathBuf>,

    /// The server's address, as perf_analyzer takes it
    #[arg(short = 'u', long, value_name = "HOST:PORT", conflicts_with = "target")]
    pub(super) url: Option<String>,

    /// What kind of server it is; `triton` speaks KServe v2, and is meant where a model is named
    #[arg(long, value_name = "KIND")]
    pub(super) service_kind: Option<ServiceKind>,

    /// The model that is asked
    #[arg(short = 'm', long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(super) model_name: String,

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

    /// Requests under way at most under `--request-rate-range`; further ones start late
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

    /// Send just so many requests at each load, in one window
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    request_count: Option<u64>,

    /// Requests before the first window of each load
    #[arg(long, value_name = "N", default_value_t = 0)]
    warmup_request_count: u64,

    /// By how many percent throughput and latency of the last three windows may differ
    #[arg(short = 's', long, value_name = "PERCENT", default_value_t = 10.0)]
    stability_percentage: f64,

    /// Look at this percentile of the latency instead of the mean
    #[arg(long, value_name = "P")]
    percentile: Option<f64>,

    /// Windows at most
    #[arg(short = 'r', long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..))]
    max_trials: u32,

    /// The highest latency that is wanted; the first load beyond it is the last
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

    /// How tensors go over HTTP
    #[arg(long, value_name = "binary|json", default_value = "binary")]
    input_tensor_format: TensorFormat,

    /// Accepted for perf_analyzer's sake: outputs come as inputs go
    #[arg(long, value_name = "binary|json", hide = true)]
    output_tensor_format: Option<TensorFormat>,

    /// Accepted for perf_analyzer's sake: tensors are never shared
    #[arg(long = "shared-memory", value_name = "none", value_parser = ["none"], hide = true)]
    _shared_memory: Option<String>,

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

    /// Milliseconds between two looks at the server's memory
    #[arg(long, value_name = "MS", default_value_t = 100)]
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

    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,

    /// Accepted for perf_analyzer's sake: requests never wait for each other's threads here
    #[arg(short = 'a', long = "async", hide = true, conflicts_with = "sync")]
    _async: bool,

    /// As `--async`
    #[arg(long, hide = true)]
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

impl MeasureArgs {
    /// What is measured.
    pub(super) fn profile(&self) -> Result<Profile> {
        let window = match (self.request_count, self.measurement_mode) {
            (Some(count), _) => WindowRule::All(count),
            (None, MeasurementMode::Time) => {
                WindowRule::Time(Duration::from_millis(self.measurement_interval))
            }
            (None, MeasurementMode::Count) => WindowRule::Count(self.measurement_request_count),
        };
        let metric = match self.percentile {
            None => Metric::Mean,
            Some(p) if p > 0.0 && p < 100.0 => Metric::Percentile(p),
            Some(p) => {
                return Err(invalid(format!(
                    "`--percentile`: expected a number within 0 and 100, found {p}"
                )));
            }
        };
        let threshold = self.latency_threshold.map(|ms| Duration::try_from_secs_f64(ms / 1e3)).transpose();
        let threshold = threshold.map_err(|e| invalid(format!("`--latency-threshold`: {e}")))?;
        if self.stability_percentage.is_nan() || self.stability_percentage <= 0.0 {
            return Err(invalid("`--stability-percentage`: expected a number above 0"));
        }
        if self.output_tensor_format.is_some_and(|format| format != self.input_tensor_format) {
            return Err(invalid(
                "`--output-tensor-format`: outputs come as inputs go, expected what `--input-tensor-format` is",
            ));
        }
        Ok(Profile {
            loads: self.loads()?,
            search: if self.binary_search { Search::Binary } else { Search::Linear },
            rules: Rules {
                window,
                warm_up: self.warmup_request_count,
                stability_percent: self.stability_percentage,
                metric,
                max_trials: self.max_trials as usize,
                threshold,
            },
            threads: self.max_threads as usize,
            batch_size: self.batch_size as usize,
        })
    }

    fn loads(&self) -> Result<Loads> {
        if let Some(range) = self.request_rate_range {
            let distribution = match self.request_distribution {
                RequestDistribution::Constant => Distribution::Constant,
                RequestDistribution::Poisson => Distribution::Poisson,
            };
            let (seed, most_outstanding) = (self.random_seed, self.max_outstanding as usize);
            return Ok(Loads::Rate { range, distribution, seed, most_outstanding });
        }
        let range = self.concurrency_range.map_or_else(|| "1".parse(), Ok)?;
        if !range.is_whole() {
            return Err(invalid("`--concurrency-range`: expected whole numbers"));
        }
        Ok(Loads::Concurrency(range))
    }

    /// How tensors are made.
    pub(super) fn tensors(&self) -> TensorOptions {
        let form = match self.input_tensor_format {
            TensorFormat::Binary => tintype_api::kserve::Form::Binary,
            TensorFormat::Json => tintype_api::kserve::Form::Json,
        };
        TensorOptions { batch_size: self.batch_size as usize, shapes: self.shape.clone(), form }
    }

    /// What drawn tensors are filled with.
    pub(super) fn fill(&self) -> Fill {
        match &self.string_data {
            Some(text) => Fill::Text(text.clone()),
            None => Fill::Random { seed: self.random_seed, string_length: self.string_length },
        }
    }

    /// Refuses a batch that no request would carry: throughput would count its rows all the same.
    pub(super) fn check_batch(&self, service: Service) -> Result<()> {
        if self.batch_size > 1 && service != Service::Triton {
            return Err(invalid("`-b` is of tensors, which only servers of the kind `triton` take"));
        }
        Ok(())
    }

    /// The kind of the server: what was said, or KServe where a model is named.
    pub(super) fn service(&self) -> Service {
        match self.service_kind {
            Some(ServiceKind::Tintype) => Service::Tintype,
            Some(ServiceKind::Triton) => Service::Triton,
            Some(ServiceKind::TorchServe) => Service::TorchServe,
            Some(ServiceKind::LitServe) => Service::LitServe,
            Some(ServiceKind::ModelServing) => Service::ModelServing,
            None if self.model_name.is_empty() && self.protocol == Protocol::Http => Service::Tintype,
            None => Service::Triton,
        }
    }
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
