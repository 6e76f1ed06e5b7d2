//! Whether the server and its models can answer: 200 or 400, without a body.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use tintype_core::{Error, ErrorKind};

use super::Refusal;
use super::target::Target;
use crate::app::App;

pub(crate) async fn live(State(app): State<Arc<App>>) -> StatusCode {
    status(app.runtime.is_live())
}

pub(crate) async fn ready(State(app): State<Arc<App>>) -> StatusCode {
    status(app.is_ready())
}

pub(crate) async fn model_ready(State(app): State<Arc<App>>, target: Target) -> Result<(), Refusal> {
    match app.runtime.model_ready(&target.model, target.version)? {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::InvalidArgument, "Model version not ready").into()),
    }
}

fn status(yes: bool) -> StatusCode {
    if yes { StatusCode::OK } else { StatusCode::BAD_REQUEST }
}
