//! Where an [`Error`] becomes a response; failures are logged here and nowhere else.
//!
//! KServe's routes and gRPC's methods have bodies of their own, and come here for the rest.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::error::Error as _;
use std::time::Duration;
use tintype_api::{Audience, ErrorBody, status};
use tintype_core::{Error, ErrorKind};

/// What a handler fails with.
#[derive(Debug)]
pub(crate) struct Rescue(Error);

impl From<Error> for Rescue {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Rescue {
    fn into_response(self) -> Response {
        let Self(error) = self;
        respond(status(error.kind()).http, &error, Json(ErrorBody::from(&error)))
    }
}

/// The response to `error`, which is logged here.
pub(crate) fn respond(status: u16, error: &Error, body: impl IntoResponse) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    log(error);
    let mut response = (status, body).into_response();
    if let Some(after) = retry_after(error) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after));
    }
    response
}

/// Faults of the server are errors; those of a caller, and refusals under load, are not worth a line each.
pub(crate) fn log(error: &Error) {
    let (kind, hint) = (error.kind().as_str(), error.hint());
    let cause = error.source().map(ToString::to_string);
    match status(error.kind()).audience {
        Audience::Operator => tracing::error!(kind, %error, hint, cause, "request failed"),
        Audience::Caller => tracing::debug!(kind, %error, hint, "request refused"),
    }
}

/// Whole seconds, at least one, for the kinds that may succeed later.
fn retry_after(error: &Error) -> Option<u64> {
    match error.kind() {
        ErrorKind::Overloaded | ErrorKind::NotReady => {
            let after = error.retry_after().unwrap_or(Duration::from_secs(1));
            Some(after.as_secs_f64().ceil().max(1.0) as u64)
        }
        _ => None,
    }
}
