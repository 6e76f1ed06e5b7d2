//! Regions of shared memory.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use tintype_api::kserve::{RegionStatus, Register};

use super::{Name, Refusal};
use crate::app::App;
use crate::{body, kserve};

pub(crate) async fn status(State(app): State<Arc<App>>) -> Result<Json<Vec<RegionStatus>>, Refusal> {
    Ok(Json(app.shared_memory()?.status(None)?))
}

pub(crate) async fn status_of(
    State(app): State<Arc<App>>,
    Path(region): Name,
) -> Result<Json<Vec<RegionStatus>>, Refusal> {
    Ok(Json(app.shared_memory()?.status(Some(&region))?))
}

pub(crate) async fn register(
    State(app): State<Arc<App>>,
    Path(region): Name,
    request: Request,
) -> Result<(), Refusal> {
    let memory = app.shared_memory()?;
    let register = Register::parse(&body::whole(request, &app.config).await?)?;
    Ok(memory.register(&region, register)?)
}

pub(crate) async fn unregister(State(app): State<Arc<App>>) -> Result<(), Refusal> {
    app.shared_memory()?.unregister(None);
    Ok(())
}

pub(crate) async fn unregister_one(State(app): State<Arc<App>>, Path(region): Name) -> Result<(), Refusal> {
    app.shared_memory()?.unregister(Some(&region));
    Ok(())
}

pub(crate) async fn cuda_status() -> Json<[RegionStatus; 0]> {
    Json([])
}

pub(crate) async fn cuda_status_of(Path(region): Name) -> Result<(), Refusal> {
    Ok(kserve::no_cuda_region(Some(&region))?)
}

pub(crate) async fn cuda_register(Path(region): Name) -> Result<(), Refusal> {
    Ok(kserve::register_cuda(&region)?)
}

/// A region that is not there is unregistered already.
pub(crate) async fn cuda_unregister() {}
