//! The repository of models: index, load and unload.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use tintype_api::kserve::repository::{IndexEntry, Load, only_ready, unload_dependents};
use tintype_core::{Error, ErrorKind};

use super::{Name, Refusal};
use crate::app::App;

use crate::body;
use crate::kserve::repository;

pub(crate) async fn index(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Vec<IndexEntry>>, Refusal> {
    let only_ready = only_ready(&body::whole(request, &app.config).await?)?;
    Ok(Json(repository::index(&app, only_ready).await?))
}

pub(crate) async fn load(
    State(app): State<Arc<App>>,
    Path(model): Name,
    request: Request,
) -> Result<(), Refusal> {
    let load = Load::parse(&body::whole(request, &app.config).await?)?;
    Ok(repository::load(&app, &model, load).await?)
}

pub(crate) async fn unload(
    State(app): State<Arc<App>>,
    Path(model): Name,
    request: Request,
) -> Result<(), Refusal> {
    let dependents = unload_dependents(&body::whole(request, &app.config).await?)?;
    Ok(repository::unload(&app, &model, dependents).await?)
}

/// A path that names one of several repositories.
pub(crate) async fn elsewhere() -> Refusal {
    Error::new(ErrorKind::Unsupported, "'repository_name' specification is not supported").into()
}
