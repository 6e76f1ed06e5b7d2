//! Requests that no route takes.

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tintype_api::ErrorBody;
use tintype_core::{Error, ErrorKind};

use crate::rescue::Rescue;

pub(crate) async fn not_found(uri: Uri) -> Rescue {
    Error::new(ErrorKind::NotFound, format!("no route `{}`", uri.path())).with_hint("see /docs").into()
}

/// A word of HTTP's alone, so not one of the table's kinds.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Response {
    let message = format!("`{}` does not take `{method}`", uri.path());
    let body = ErrorBody::new("method_not_allowed", &message, Some("see /docs".to_owned()));
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}
