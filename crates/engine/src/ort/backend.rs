//! The process's ONNX Runtime environment, and sessions made in it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use tintype_core::{Error, ErrorKind, ModelSource, Result};

use super::resident::OrtResidentSession;
use super::session::OrtSession;
use super::{Optimized, Places, VERSION, error, operators, optimized, providers};
use crate::{Backend, Device, Optimization, ResidentSession, Session, SessionOptions};

/// The one environment ONNX Runtime allows in a process; made by the first [`OrtBackend::new`] and never released.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// ONNX Runtime, on the CPU and where its library has more, on other devices.
#[derive(Debug, Clone)]
pub struct OrtBackend {
    environment: Environment,
    name: String,
    cache: Option<PathBuf>,
}

impl OrtBackend {
    /// Loads the library (see [`Places::of_process`]) and makes the environment, unless that is done.
    ///
    /// # Errors
    /// `MissingRuntime` when the library is missing or of a wrong version; a later call tries again.
    pub fn new() -> Result<Self> {
        let mut shared = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
        let environment = match &*shared {
            Some(environment) => environment.clone(),
            None => shared.insert(make_environment()?).clone(),
        };
        Ok(Self { environment, name: format!("onnxruntime {VERSION}"), cache: Places::of_process().cache })
    }

    /// With optimised graphs in another folder than tintype's cache.
    pub fn with_cache(self, cache: PathBuf) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// Optimises the graph of `model` for this processor and keeps it in the cache, where every later [load](Self::load)
    /// on the CPU finds it and maps its weights.
    ///
    /// # Errors
    /// Those of [`Backend::load`]; `InvalidModel` when the optimised graph computes something else; `Io` when it cannot
    /// be written; `InvalidConfig` where there is no cache folder.
    pub fn optimize(&self, model: &ModelSource) -> Result<Optimized> {
        let cache = self.cache.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidConfig,
                "no folder to keep it in: `TINTYPE_CACHE` and `HOME` are not set",
            )
        })?;
        // What was kept before must not stand in for the original.
        optimized::make(&Self { cache: None, ..self.clone() }, cache, model)
    }

    /// Writes the optimised graph of `model` to `graph` and its weights to a file `weights` beside it.
    pub(super) fn write_optimized(
        &self,
        model: &ModelSource,
        options: &SessionOptions,
        graph: &Path,
        weights: &str,
    ) -> Result<()> {
        let writer = || -> ort::Result<SessionBuilder> {
            let builder = self.builder(options)?.with_optimized_model_path(graph)?;
            // Below a page, mapping would not spare anything.
            Ok(builder
                .with_config_entry("session.optimized_model_external_initializers_file_name", weights)?
                .with_config_entry(
                    "session.optimized_model_external_initializers_min_size_in_bytes",
                    "4096",
                )?)
        };
        commit(writer().map_err(error::engine)?, model).map(drop)
    }

    fn builder(&self, options: &SessionOptions) -> ort::Result<SessionBuilder> {
        let level = match options.optimization {
            Optimization::Basic => GraphOptimizationLevel::Level1,
            Optimization::Extended => GraphOptimizationLevel::Level2,
            Optimization::All => GraphOptimizationLevel::All,
            Optimization::Done => GraphOptimizationLevel::Disable,
        };
        let builder = ort::session::Session::builder(&self.environment)?
            .with_optimization_level(level)?
            .with_parallel_execution(false)?
            .with_inter_threads(1)?
            .with_intra_threads(options.intra_threads)?
            .with_intra_op_spinning(options.spinning)?
            // Weights have their exact size: out of the arena, which grows in powers of two.
            .with_device_allocated_initializers()?;
        if !options.custom_operators {
            return Ok(builder);
        }
        // In a trained graph the weights are inputs: convolutions cannot be blocked by channels, and blocking the
        // poolings between them only adds copies.
        let builder = builder.with_disabled_optimizers("NchwcTransformer")?;
        Ok(builder.with_operators(operators::domain()?)?)
    }
}

impl OrtBackend {
    fn session(&self, model: &ModelSource, options: &SessionOptions) -> Result<ort::session::Session> {
        if options.intra_threads == 0 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "`intra_threads` must be at least 1, found 0",
            ));
        }
        if let Some(graph) = optimized::find(self.cache.as_deref(), model, options) {
            let options = SessionOptions { optimization: Optimization::Done, ..options.clone() };
            match self.plain_session(&ModelSource::Path(graph.clone()), &options) {
                Ok(session) => {
                    tracing::debug!(graph = %graph.display(), "loaded a graph that was optimised ahead");
                    return Ok(session);
                }
                Err(error) => tracing::warn!(graph = %graph.display(), %error, "not loaded: the original is"),
            }
        }
        self.plain_session(model, options)
    }

    fn plain_session(&self, model: &ModelSource, options: &SessionOptions) -> Result<ort::session::Session> {
        let builder = self.builder(options).map_err(error::engine)?;
        commit(providers::add(builder, options)?, model)
    }
}

fn commit(mut builder: SessionBuilder, model: &ModelSource) -> Result<ort::session::Session> {
    let session = match model {
        ModelSource::Path(path) => {
            require_file(path)?;
            builder.commit_from_file(path).map_err(|e| error::load(e, Some(path)))
        }
        ModelSource::Bytes(bytes) => builder.commit_from_memory(bytes).map_err(|e| error::load(e, None)),
    };
    give_back_memory();
    session
}

/// Returns what loading has left in the C library's heap to the system: half of a model's memory otherwise.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "no safe binding has it")]
fn give_back_memory() {
    // SAFETY: it may be called at any time, from any thread.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back_memory() {}

impl Backend for OrtBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn load(&self, model: &ModelSource, options: &SessionOptions) -> Result<Box<dyn Session>> {
        Ok(Box::new(OrtSession::new(self.session(model, options)?)?))
    }

    fn load_resident(
        &self,
        model: &ModelSource,
        options: &SessionOptions,
    ) -> Result<Box<dyn ResidentSession>> {
        let device = match options.device {
            Device::Cuda { id, .. } => Device::Cuda { id, or_cpu: false },
            Device::Cpu => Device::Cpu,
        };
        let session = self.session(model, &SessionOptions { device, ..options.clone() })?;
        Ok(Box::new(OrtResidentSession::new(session, device)?))
    }
}

fn require_file(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if metadata.is_file() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidModel, format!("`{}` is not a file", path.display())))
}

fn make_environment() -> Result<Environment> {
    let library = Places::of_process().find()?;
    let environment = ort::init_from(&library)
        .map_err(|e| Error::new(ErrorKind::MissingRuntime, e.to_string()))?
        .with_name("tintype")
        .with_telemetry(false)
        .with_logger(Arc::new(|level, _category: &str, id: &str, _location: &str, message: &str| {
            log(level, id, message);
        }))
        .build()
        .map_err(error::engine)?;
    // Messages below the level are never formatted; the library's default would format all of them.
    environment.set_log_level(if tracing::enabled!(target: TARGET, tracing::Level::TRACE) {
        LogLevel::Info
    } else {
        LogLevel::Warning
    });
    tracing::debug!(library = %library.display(), "loaded ONNX Runtime {VERSION}");
    Ok(environment)
}

const TARGET: &str = "onnxruntime";

/// One step quieter than ONNX Runtime's own levels: what it calls an error is also returned to the caller, who logs
/// it once, and its warnings are about optimisations.
fn log(level: LogLevel, id: &str, message: &str) {
    match level {
        LogLevel::Fatal => tracing::error!(target: TARGET, id, "{message}"),
        LogLevel::Error => tracing::warn!(target: TARGET, id, "{message}"),
        LogLevel::Warning => tracing::debug!(target: TARGET, id, "{message}"),
        LogLevel::Info | LogLevel::Verbose => tracing::trace!(target: TARGET, id, "{message}"),
    }
}
