//! What the server and its models are.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use tintype_api::kserve::{ModelMetadata, ServerMetadata};
use tintype_core::triton;

use super::Refusal;
use super::target::Target;
use crate::app::App;
use crate::kserve::describe;

pub(crate) async fn server(State(app): State<Arc<App>>) -> Json<ServerMetadata> {
    Json(describe::server(&app))
}

pub(crate) async fn model(
    State(app): State<Arc<App>>,
    target: Target,
) -> Result<Json<ModelMetadata>, Refusal> {
    Ok(Json(describe::model(&app.runtime.describe(&target.model, target.version)?)))
}

pub(crate) async fn config(
    State(app): State<Arc<App>>,
    target: Target,
) -> Result<impl IntoResponse, Refusal> {
    let description = app.runtime.describe(&target.model, target.version)?;
    let json = triton::to_json(&description.config);
    Ok(([(header::CONTENT_TYPE, "application/json")], json))
}
