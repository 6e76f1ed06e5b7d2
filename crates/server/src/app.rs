//! The routers and what their handlers share.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tintype_api::kserve::Parameters;
use tintype_api::kserve::settings::LogSettings;
use tintype_core::{Error, ErrorKind, Result};
use tintype_runtime::Runtime;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::access::Family;
use crate::logging::LogControl;
use crate::metrics::RequestMetrics;
use crate::routes::{docs, info, kserve, metrics, missing, predict};
use crate::shared_memory::SharedMemory;
use crate::{ClientSharedMemory, Readiness, ServerConfig};

/// What handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) config: ServerConfig,
    pub(crate) metrics: RequestMetrics,
    /// By when the server must have stopped, once it was told to.
    pub(crate) stop: watch::Sender<Option<Instant>>,
    shared_memory: SharedMemory,
    /// One change of the log's settings at a time.
    changing_logging: Mutex<()>,
}

impl App {
    pub(crate) fn new(runtime: Arc<Runtime>, config: ServerConfig) -> Self {
        Self {
            runtime,
            config,
            metrics: RequestMetrics::new(),
            stop: watch::channel(None).0,
            shared_memory: SharedMemory::default(),
            changing_logging: Mutex::default(),
        }
    }

    /// Whether the server calls itself ready.
    pub(crate) fn is_ready(&self) -> bool {
        match self.config.readiness {
            Readiness::AllModels => self.runtime.is_ready(),
            Readiness::Live => self.runtime.is_live(),
        }
    }

    /// When a request that begins now must be answered.
    pub(crate) fn latest(&self) -> Instant {
        Instant::now() + self.config.request_timeout
    }

    /// Resolves once the server stops.
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stop.subscribe();
        async move {
            // The sender lives as long as the server; where it is gone, that has stopped.
            drop(stopping.wait_for(Option::is_some).await);
        }
    }

    /// # Errors
    /// `Unsupported` unless the operator allows it.
    pub(crate) fn shared_memory(&self) -> Result<&SharedMemory> {
        match self.config.client_shared_memory {
            ClientSharedMemory::Allowed => Ok(&self.shared_memory),
            ClientSharedMemory::Refused => Err(Error::new(
                ErrorKind::Unsupported,
                "client shared memory is not allowed; start the server with --allow-client-shm=true",
            )),
        }
    }

    /// # Errors
    /// `Unsupported` where nothing logs that could be told.
    pub(crate) fn logging(&self) -> Result<&dyn LogControl> {
        let control = self.config.logging.as_deref();
        control.ok_or_else(|| Error::new(ErrorKind::Unsupported, "log settings are not supported"))
    }

    /// # Errors
    /// As [`App::logging`] and [`LogSettings::with`].
    pub(crate) fn change_logging(&self, changes: Parameters) -> Result<LogSettings> {
        let control = self.logging()?;
        let guard = self.changing_logging.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = control.settings().with(changes)?;
        control.apply(&settings)?;
        drop(guard);
        Ok(settings)
    }
}

/// The routes of the HTTP port.
pub(crate) fn router(app: Arc<App>) -> Router {
    let locked = |family, router| kserve::locked(&app, family, router);
    let inference =
        Router::new().route("/predict", post(predict::predict)).route("/predict/", post(predict::predict));
    Router::new()
        .route("/", get(info::root))
        .merge(locked(Family::Health, Router::new().route("/health", get(info::health))))
        .merge(locked(Family::Metadata, Router::new().route("/classes", get(info::classes))))
        .merge(locked(Family::Inference, inference))
        .merge(kserve::router(&app))
        .route("/metrics", get(metrics::metrics))
        .route("/metrics/", get(metrics::metrics))
        .route("/docs", get(docs::page))
        .route("/openapi.json", get(docs::openapi))
        .method_not_allowed_fallback(missing::wrong_method)
        .fallback(missing::not_found)
        .layer(from_fn_with_state(app.clone(), crate::metrics::count))
        .with_state(app)
}

/// The routes of the port of metrics.
pub(crate) fn metrics_router(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/metrics/", get(metrics::metrics))
        .method_not_allowed_fallback(missing::wrong_method)
        .fallback(missing::not_found)
        .with_state(app)
}
