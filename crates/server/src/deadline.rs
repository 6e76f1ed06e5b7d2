//! When a request's answer is of no use any more.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tintype_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::app::App;
use crate::rescue::Rescue;

/// The header with which a client says how many milliseconds it will wait.
const HEADER: &str = "x-request-timeout-ms";

/// The sooner of what the client asks for and what the server allows, counted from when the head was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(pub(crate) Instant);

impl FromRequestParts<Arc<App>> for Deadline {
    type Rejection = Rescue;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Rescue> {
        let now = Instant::now();
        let asked = match parts.headers.get(HEADER) {
            Some(value) => parse(value.as_bytes())?,
            None => Duration::MAX,
        };
        Ok(Self(now + asked.min(app.config.request_timeout)))
    }
}

fn parse(value: &[u8]) -> Result<Duration> {
    let text = String::from_utf8_lossy(value);
    match text.trim().parse::<u64>() {
        Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err(Error::new(
            ErrorKind::InvalidRequest,
            format!(
                "header `X-Request-Timeout-Ms`: expected a positive number of milliseconds, found `{text}`"
            ),
        )),
    }
}
