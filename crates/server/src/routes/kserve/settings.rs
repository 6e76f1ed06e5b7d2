//! What is traced, and what is logged.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use tintype_api::kserve::settings::LogSettings;

use super::Refusal;
use crate::app::App;
use crate::{body, kserve};

pub(crate) async fn trace() -> Refusal {
    kserve::no_tracing().into()
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
