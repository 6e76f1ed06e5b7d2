//! What the operator chooses.

use std::path::PathBuf;
use std::time::Duration;

use tintype_core::image::Limits;
use tintype_core::triton::{Defaults, LatencyMetrics, TraceSettings};
use tintype_core::{Error, ErrorKind, Result, cores};

/// The largest batch where neither the operator nor the model says otherwise; Triton's number.
///
/// On a CPU batching gains 1.0 to 1.25 times and more rows only add latency and memory.
pub const DEFAULT_MAX_BATCH_SIZE: usize = 4;

/// Choices that all models share.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Threads that decode and preprocess; the number of cores by default.
    pub prepare_threads: usize,
    /// Bytes of request bodies that may be in flight at once, over all models; 512 MiB by default.
    pub max_inflight_bytes: usize,
    /// What decoding one image may cost.
    pub limits: Limits,
    /// Bytes of answers that are kept for models whose configuration asks for it; 0, the default, keeps none.
    pub cache_bytes: usize,
    /// Where models come from; none by default.
    pub repository: RepositoryConfig,
    /// Which requests are traced; none by default.
    pub trace: TraceSettings,
    /// What is told at `/metrics`.
    pub metrics: MetricsConfig,
}

/// What is told at `/metrics` beside counts.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsConfig {
    /// How latencies are told; as counters by default.
    pub latencies: LatencyMetrics,
    /// The load of processors and memory; told by default, where Linux keeps it.
    pub cpu: bool,
    /// The load of GPUs; told by default, where NVIDIA's library NVML is found.
    pub gpu: bool,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { latencies: LatencyMetrics::default(), cpu: true, gpu: true }
    }
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            prepare_threads: cores(),
            max_inflight_bytes: 512 << 20,
            limits: Limits::default(),
            cache_bytes: 0,
            repository: RepositoryConfig::default(),
            trace: TraceSettings::default(),
            metrics: MetricsConfig::default(),
        }
    }
}

impl RuntimeConfig {
    /// # Errors
    /// `InvalidConfig` for a zero.
    pub(crate) fn validate(&self) -> Result<()> {
        at_least_one("prepare_threads", self.prepare_threads)?;
        at_least_one("max_inflight_bytes", self.max_inflight_bytes)
    }
}

/// Where models come from, and when they are loaded.
#[derive(Debug, Clone, Default)]
pub struct RepositoryConfig {
    /// Folders of model directories; a name may occur in one of them only.
    pub paths: Vec<PathBuf>,
    /// When models are loaded.
    pub control: Control,
    /// Reads `configs/<name>.pbtxt` instead of `config.pbtxt`, where a model has it.
    pub config_name: Option<String>,
    /// For every model.
    pub options: LoadOptions,
    /// Models that are loaded at a time; 4 where 0.
    pub load_threads: usize,
}

/// When models are loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Control {
    /// All at start, and never again.
    #[default]
    None,
    /// All at start, and whenever their directories have changed: see [`Runtime::poll`](crate::Runtime::poll).
    Poll,
    /// On request; these at start, or all that there are for `*`.
    Explicit(Vec<String>),
}

/// Choices for one model, where its `config.pbtxt` says nothing.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Sessions, each with its own thread; the number of cores by default.
    pub instances: usize,
    /// Threads with which one session computes; 1 by default, which uses the cores best when instances fill them.
    pub intra_threads: usize,
    /// Most rows in one run of a model with a dynamic first axis; 4 by default, as in Triton.
    pub max_batch_size: Option<usize>,
    /// How long an idle instance waits for a batch to fill; zero by default: it never waits.
    pub max_queue_delay: Duration,
    /// Most requests in flight, waiting and running; more are refused. 512 by default.
    pub max_queue_size: usize,
    /// Whether what is missing in a configuration is taken from the model.
    pub auto_complete: bool,
    /// The GPUs that there are; a model that names no instances runs on them.
    pub gpus: Vec<i32>,
    /// Whether instances on GPUs run on the CPU where there is no GPU, or no library for it.
    pub gpu_fallback: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            instances: cores(),
            intra_threads: 1,
            max_batch_size: None,
            max_queue_delay: Duration::ZERO,
            max_queue_size: 512,
            auto_complete: true,
            gpus: Vec::new(),
            gpu_fallback: false,
        }
    }
}

impl LoadOptions {
    /// # Errors
    /// `InvalidConfig` for a zero where there must be at least one.
    pub(crate) fn validate(&self) -> Result<()> {
        at_least_one("instances", self.instances)?;
        at_least_one("intra_threads", self.intra_threads)?;
        at_least_one("max_batch_size", self.max_batch_size.unwrap_or(1))?;
        at_least_one("max_queue_size", self.max_queue_size)?;
        if u32::try_from(self.max_queue_size).is_err() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("`max_queue_size`: expected at most {}, found {}", u32::MAX, self.max_queue_size),
            ));
        }
        Ok(())
    }

    /// The same for configurations.
    pub(crate) fn triton(&self) -> Defaults {
        Defaults {
            auto_complete: self.auto_complete,
            max_batch_size: self.max_batch_size.unwrap_or(DEFAULT_MAX_BATCH_SIZE),
            instances: self.instances,
            gpus: self.gpus.clone(),
        }
    }
}

fn at_least_one(key: &str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::new(ErrorKind::InvalidConfig, format!("`{key}`: expected at least 1, found 0"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_refused_by_name() {
        let config = LoadOptions { instances: 0, ..LoadOptions::default() };
        let error = config.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(error.message(), "`instances`: expected at least 1, found 0");
        assert!(RuntimeConfig { prepare_threads: 0, ..RuntimeConfig::default() }.validate().is_err());
    }
}
