//! `GET /metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text;
use tintype_core::{Error, ErrorKind};

use crate::app::App;
use crate::rescue::Rescue;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Rescue> {
    let mut out = String::new();
    app.runtime.write_metrics(&mut out)?;
    app.metrics
        .write(&mut out)
        .and_then(|()| text::encode_eof(&mut out))
        .map_err(|error| Error::new(ErrorKind::Internal, "writing metrics").with_source(error))?;
    Ok(([(header::CONTENT_TYPE, OPENMETRICS)], out).into_response())
}
