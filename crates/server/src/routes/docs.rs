//! `GET /docs`, a page that renders the OpenAPI document and sends an image; `GET /openapi.json`, the document.

use axum::http::header;
use axum::response::{Html, IntoResponse};

/// The page loads nothing from elsewhere, and says so to the browser.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      connect-src 'self'; img-src blob: data:; frame-ancestors 'none'; base-uri 'none'";

pub(crate) async fn page() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(include_str!("docs.html")))
}

pub(crate) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], tintype_api::openapi::JSON)
}
