//! The router and what its handlers share.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tintype_runtime::Runtime;

use crate::ServerConfig;
use crate::metrics::HttpMetrics;
use crate::routes::{docs, info, metrics, missing, predict};

/// What handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) config: ServerConfig,
    pub(crate) metrics: HttpMetrics,
}

/// All routes.
pub(crate) fn router(runtime: Arc<Runtime>, config: ServerConfig) -> Router {
    let app = Arc::new(App { runtime, config, metrics: HttpMetrics::new() });
    Router::new()
        .route("/", get(info::root))
        .route("/health", get(info::health))
        .route("/classes", get(info::classes))
        .route("/predict", post(predict::predict))
        .route("/predict/", post(predict::predict))
        .route("/metrics", get(metrics::metrics))
        .route("/docs", get(docs::page))
        .route("/openapi.json", get(docs::openapi))
        .method_not_allowed_fallback(missing::wrong_method)
        .fallback(missing::not_found)
        .layer(axum::middleware::from_fn_with_state(app.clone(), crate::metrics::count))
        .with_state(app)
}
