//! Errors in this protocol's shape.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tintype_api::kserve::ErrorBody;
use tintype_api::status;
use tintype_core::{Error, ErrorKind};

use crate::access::{self, Family};
use crate::app::App;
use crate::rescue;

/// What a handler fails with: the other point where an [`Error`] becomes a response.
#[derive(Debug)]
pub(crate) struct Refusal(Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(error) = self;
        rescue::respond(status(error.kind()).kserve, &error, Json(ErrorBody::from(&error)))
    }
}

/// A word of HTTP's alone, so not one of the table's kinds.
pub(crate) fn wrong_method() -> Response {
    plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

pub(crate) fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "Not Found")
}

/// Lets requests pass that have the key of their family.
pub(crate) async fn restrict(
    State((app, family)): State<(Arc<App>, Family)>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let missing = access::missing(&app.config.restrictions.http, "", family, |name| {
        headers.get(name).map(HeaderValue::as_bytes)
    });
    match missing {
        None => next.run(request).await,
        Some(header) => {
            plain(StatusCode::FORBIDDEN, &format!("This API is restricted, expecting header '{header}'"))
        }
    }
}

fn plain(status: StatusCode, message: &str) -> Response {
    (status, Json(ErrorBody { error: message.to_owned() })).into_response()
}

/// What is wrong with a request before any model is asked.
pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal(Error::new(ErrorKind::InvalidArgument, message))
}
