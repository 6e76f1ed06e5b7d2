//! `GET /metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tintype_core::{Error, ErrorKind};

use crate::app::App;
use crate::heavy;
use crate::metrics;
use crate::rescue::Rescue;

/// As Triton says it.
const PLAIN: &str = "text/plain; charset=utf-8";

pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Rescue> {
    // GPUs take milliseconds to answer, in which requests would wait.
    let text = heavy::elsewhere(move || {
        let mut out = String::new();
        app.runtime.write_metrics(&mut out)?;
        app.metrics
            .write(&mut out)
            .map_err(|error| Error::new(ErrorKind::Internal, "writing metrics").with_source(error))?;
        Ok(metrics::plain(&out))
    });
    Ok(([(header::CONTENT_TYPE, PLAIN)], text.await?).into_response())
}
