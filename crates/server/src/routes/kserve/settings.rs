//! What is traced, and what is logged.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use tintype_api::kserve::settings::{LogSettings, TraceReply, parse_trace_changes};

use super::{Name, Refusal};
use crate::app::App;
use crate::{body, kserve};

/// Of a model where the path names one, otherwise of the server.
pub(crate) async fn trace(
    State(app): State<Arc<App>>,
    model: Option<Name>,
) -> Result<Json<TraceReply>, Refusal> {
    Ok(Json(kserve::trace::trace(&app, name(&model), &[])?.into()))
}

/// As [`trace`], after the changes in the body.
pub(crate) async fn set_trace(
    State(app): State<Arc<App>>,
    model: Option<Name>,
    request: Request,
) -> Result<Json<TraceReply>, Refusal> {
    let changes = parse_trace_changes(&body::whole(request, &app.config).await?)?;
    Ok(Json(kserve::trace::trace(&app, name(&model), &changes)?.into()))
}

fn name(model: &Option<Name>) -> Option<&str> {
    model.as_ref().map(|Path(name)| name.as_str())
}

pub(crate) async fn logging(State(app): State<Arc<App>>) -> Result<Json<LogSettings>, Refusal> {
    Ok(Json(app.logging()?.settings()))
}

pub(crate) async fn set_logging(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<LogSettings>, Refusal> {
    let changes = LogSettings::parse_changes(&body::whole(request, &app.config).await?)?;
    Ok(Json(app.change_logging(changes)?))
}
