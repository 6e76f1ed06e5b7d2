//! What models did.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tintype_api::kserve::StatisticsReply;

use super::Refusal;
use super::target::Target;
use crate::app::App;
use crate::kserve::statistics::statistics;

pub(crate) async fn all(State(app): State<Arc<App>>) -> Result<Json<StatisticsReply>, Refusal> {
    Ok(Json(statistics(&app, None, None)?))
}

pub(crate) async fn model(
    State(app): State<Arc<App>>,
    target: Target,
) -> Result<Json<StatisticsReply>, Refusal> {
    Ok(Json(statistics(&app, Some(&target.model), target.version)?))
}
