//! Requests that no route takes.

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tintype_api::ErrorBody;
use tintype_core::{Error, ErrorKind};

use crate::rescue::Rescue;
use crate::routes::kserve;

pub(crate) async fn not_found(uri: Uri) -> Response {
    if kserve::owns(uri.path()) {
        return kserve::not_found();
    }
    let error = Error::new(ErrorKind::NotFound, format!("no route `{}`", uri.path())).with_hint("see /docs");
    Rescue::from(error).into_response()
}

/// A word of HTTP's alone, so not one of the table's kinds.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Response {
    if kserve::owns(uri.path()) {
        return kserve::wrong_method();
    }
    let message = format!("`{}` does not take `{method}`", uri.path());
    let body = ErrorBody::new("method_not_allowed", &message, Some("see /docs".to_owned()));
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}
