//! The process's ONNX Runtime environment, and sessions made in it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use tintype_core::{Error, ErrorKind, ModelSource, Result};

use super::resident::OrtResidentSession;
use super::session::OrtSession;
use super::{Places, VERSION, error, operators, providers};
use crate::{Backend, Device, Optimization, ResidentSession, Session, SessionOptions};

/// The one environment ONNX Runtime allows in a process; made by the first [`OrtBackend::new`] and never released.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// ONNX Runtime, on the CPU and where its library has more, on other devices.
#[derive(Debug, Clone)]
pub struct OrtBackend {
    environment: Environment,
    name: String,
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
        Ok(Self { environment, name: format!("onnxruntime {VERSION}") })
    }

    fn builder(&self, options: &SessionOptions) -> ort::Result<SessionBuilder> {
        let level = match options.optimization {
            Optimization::Basic => GraphOptimizationLevel::Level1,
            Optimization::Extended => GraphOptimizationLevel::Level2,
            Optimization::All => GraphOptimizationLevel::All,
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
        let builder = self.builder(options).map_err(error::engine)?;
        let mut builder = providers::add(builder, options)?;
        match model {
            ModelSource::Path(path) => {
                require_file(path)?;
                builder.commit_from_file(path).map_err(|e| error::load(e, Some(path)))
            }
            ModelSource::Bytes(bytes) => builder.commit_from_memory(bytes).map_err(|e| error::load(e, None)),
        }
    }
}

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
