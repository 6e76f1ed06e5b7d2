//! What the server says of itself and its models: `GET /`, `/health`, `/classes`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tintype_api::{ClassesResponse, HealthResponse, HealthStatus, RootResponse};
use tintype_core::{Error, ErrorKind, Result};
use tintype_runtime::{ModelState, ModelStatus};

use crate::app::App;
use crate::params::Params;
use crate::rescue::Rescue;
use crate::routes::docs;

/// Which model is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelQuery {
    model: Option<String>,
}

/// A greeting for programs, the page of `/docs` for browsers.
pub(crate) async fn root(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Rescue> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        return Ok(docs::page().await.into_response());
    }
    let status = health_of(status(&app, None)?.as_ref());
    let message = format!("tintype {} is running; see /docs", env!("CARGO_PKG_VERSION"));
    Ok(Json(RootResponse { status, message }).into_response())
}

/// Always 200: who wants to know reads `status`.
pub(crate) async fn health(
    State(app): State<Arc<App>>,
    Params(query): Params<ModelQuery>,
) -> Result<Json<HealthResponse>, Rescue> {
    let model = status(&app, query.model.as_deref())?;
    let status = health_of(model.as_ref());
    let classes = model.map_or_else(Vec::new, |model| model.classes.to_vec());
    let model_loaded = status == HealthStatus::Healthy;
    Ok(Json(HealthResponse { status, model_loaded, num_classes: classes.len(), classes }))
}

pub(crate) async fn classes(
    State(app): State<Arc<App>>,
    Params(query): Params<ModelQuery>,
) -> Result<Json<ClassesResponse>, Rescue> {
    let model = app.runtime.status(query.model.as_deref())?;
    if model.classes.is_empty() {
        return Err(Error::new(
            ErrorKind::NotReady,
            format!("the classes of model `{}` are not known", model.name),
        )
        .into());
    }
    let classes = model.classes.to_vec();
    Ok(Json(ClassesResponse { num_classes: classes.len(), classes }))
}

/// A model's status; `None` when no model is loaded at all.
fn status(app: &App, model: Option<&str>) -> Result<Option<ModelStatus>> {
    match app.runtime.status(model) {
        Ok(status) => Ok(Some(status)),
        Err(error) if error.kind() == ErrorKind::NotReady => Ok(None),
        Err(error) => Err(error),
    }
}

fn health_of(model: Option<&ModelStatus>) -> HealthStatus {
    match model {
        Some(ModelStatus { state: ModelState::Ready, .. }) => HealthStatus::Healthy,
        _ => HealthStatus::NotReady,
    }
}
