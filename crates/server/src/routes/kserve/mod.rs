//! KServe's routes, one file an endpoint family.

mod generate;
mod health;
pub(crate) mod infer;
mod metadata;
mod refusal;
mod repository;
mod settings;
mod shared_memory;
mod statistics;
mod target;

pub(crate) use refusal::{Refusal, not_found, restrict, wrong_method};
pub(crate) use target::Target;

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use crate::access::Family;
use crate::app::App;

/// Whether `path` is one of this protocol's, whatever it is.
pub(crate) fn owns(path: &str) -> bool {
    path.strip_prefix("/v2").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// All routes, those that want a key behind their families' locks.
pub(crate) fn router(app: &Arc<App>) -> Router<Arc<App>> {
    let locked = |family, router| locked(app, family, router);
    Router::new()
        .merge(locked(Family::Health, health()))
        .merge(locked(Family::Metadata, metadata()))
        .merge(locked(Family::Inference, inference()))
        .merge(locked(Family::ModelConfig, of_model("/config", get(metadata::config))))
        .merge(locked(Family::Statistics, statistics()))
        .merge(locked(Family::ModelRepository, repository()))
        .merge(locked(Family::SharedMemory, shared_memory()))
        .merge(locked(Family::Trace, trace()))
        .merge(locked(
            Family::Logging,
            Router::new().route("/v2/logging", get(settings::logging).post(settings::set_logging)),
        ))
}

/// `router` behind the lock of its family, if that has one.
pub(crate) fn locked(app: &Arc<App>, family: Family, router: Router<Arc<App>>) -> Router<Arc<App>> {
    if !app.config.restrictions.locks_http(family) {
        return router;
    }
    router.route_layer(from_fn_with_state((app.clone(), family), restrict))
}

/// A route of a model, and of one of its versions.
fn of_model(suffix: &str, method: MethodRouter<Arc<App>>) -> Router<Arc<App>> {
    Router::new()
        .route(&format!("/v2/models/{{model}}{suffix}"), method.clone())
        .route(&format!("/v2/models/{{model}}/versions/{{version}}{suffix}"), method)
}

fn health() -> Router<Arc<App>> {
    Router::new()
        .route("/v2/health/live", get(health::live))
        .route("/v2/health/ready", get(health::ready))
        .merge(of_model("/ready", get(health::model_ready)))
}

fn metadata() -> Router<Arc<App>> {
    Router::new()
        .route("/v2", get(metadata::server))
        .route("/v2/", get(metadata::server))
        .merge(of_model("", get(metadata::model)))
}

fn inference() -> Router<Arc<App>> {
    Router::new()
        .merge(of_model("/infer", post(infer::infer)))
        .merge(of_model("/generate", post(generate::generate)))
        .merge(of_model("/generate_stream", post(generate::generate_stream)))
}

fn statistics() -> Router<Arc<App>> {
    Router::new()
        .route("/v2/models/stats", get(statistics::all))
        .merge(of_model("/stats", get(statistics::model)))
}

fn repository() -> Router<Arc<App>> {
    Router::new()
        .route("/v2/repository/index", post(repository::index))
        .route("/v2/repository/{repository}/index", post(repository::elsewhere))
        .route("/v2/repository/models/{model}/load", post(repository::load))
        .route("/v2/repository/models/{model}/unload", post(repository::unload))
        .route("/v2/repository/{repository}/models/{model}/load", post(repository::elsewhere))
        .route("/v2/repository/{repository}/models/{model}/unload", post(repository::elsewhere))
}

fn shared_memory() -> Router<Arc<App>> {
    Router::new()
        .route("/v2/systemsharedmemory/status", get(shared_memory::status))
        .route("/v2/systemsharedmemory/region/{region}/status", get(shared_memory::status_of))
        .route("/v2/systemsharedmemory/region/{region}/register", post(shared_memory::register))
        .route("/v2/systemsharedmemory/unregister", post(shared_memory::unregister))
        .route("/v2/systemsharedmemory/region/{region}/unregister", post(shared_memory::unregister_one))
        .route("/v2/cudasharedmemory/status", get(shared_memory::cuda_status))
        .route("/v2/cudasharedmemory/region/{region}/status", get(shared_memory::cuda_status_of))
        .route("/v2/cudasharedmemory/region/{region}/register", post(shared_memory::cuda_register))
        .route("/v2/cudasharedmemory/unregister", post(shared_memory::cuda_unregister))
        .route("/v2/cudasharedmemory/region/{region}/unregister", post(shared_memory::cuda_unregister))
}

fn trace() -> Router<Arc<App>> {
    Router::new()
        .route("/v2/trace/setting", get(settings::trace).post(settings::set_trace))
        .route("/v2/models/{model}/trace/setting", get(settings::trace).post(settings::set_trace))
}

/// The one parameter of a path.
type Name = Path<String>;
