//! The OpenAPI document: the types of this crate, and the routes that the server gives them.
//!
//! It is checked in as `openapi.json`; a test fails when that is stale, and with `TINTYPE_BLESS=1` rewrites it. The
//! server's tests ask for every path in it.

use utoipa::OpenApi;

use crate::{ClassesResponse, ErrorBody, HealthResponse, PredictJson, PredictResponse, RootResponse};

/// The document as it is checked in and served.
pub const JSON: &str = include_str!("../openapi.json");

/// The document as the types say it must be.
///
/// # Errors
/// `Internal` when it cannot be written as JSON.
pub fn generate() -> tintype_core::Result<String> {
    let text = Document::openapi().to_pretty_json();
    text.map(|json| json + "\n").map_err(|error| {
        tintype_core::Error::new(tintype_core::ErrorKind::Internal, "writing OpenAPI").with_source(error)
    })
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tintype",
        description = "Classifies images. Every error has the same body; `429` and `503` say in `Retry-After` when \
                       to return.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(predict, health, classes, root, metrics),
    components(schemas(PredictJson))
)]
struct Document;

/// Classify one image
///
/// The image comes in one of three ways: as the field `file` of a form, in base64 in a JSON object, or as the body
/// itself. `/predict/` is the same endpoint.
#[utoipa::path(
    post,
    path = "/predict",
    params(
        ("top_k" = Option<usize>, Query, description = "How many predictions to answer with; the model's own number by default", minimum = 1),
        ("model" = Option<String>, Query, description = "Which of several models; the first by default"),
        ("abstain" = Option<bool>, Query, description = "Whether to say if the model is too unsure to answer; the package's choice by default"),
        ("X-Request-Timeout-Ms" = Option<u64>, Header, description = "After so many milliseconds the answer is of no use", minimum = 1),
    ),
    request_body(content(
        (PredictJson<'static> = "application/json"),
        (Form = "multipart/form-data"),
        (Vec<u8> = "image/*"),
        (Vec<u8> = "application/octet-stream"),
    )),
    responses(
        (status = 200, description = "The most probable classes, best first", body = PredictResponse),
        (status = 400, description = "Not an image, corrupt, unsupported, or too many pixels", body = ErrorBody),
        (status = 404, description = "No model has that name", body = ErrorBody),
        (status = 408, description = "The body came too slowly", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "The content type is none of those above", body = ErrorBody),
        (status = 422, description = "A field is missing, unknown or wrong", body = ErrorBody),
        (status = 429, description = "Too many requests are in flight", body = ErrorBody),
        (status = 500, description = "A fault of the server", body = ErrorBody),
        (status = 503, description = "The model cannot answer now", body = ErrorBody),
        (status = 504, description = "The deadline passed", body = ErrorBody),
    )
)]
#[expect(dead_code, reason = "carries the description of a route; the handler is the server's")]
fn predict() {}

/// Whether the model can answer, and its classes
///
/// The status code is always 200; read `status`.
#[utoipa::path(
    get,
    path = "/health",
    params(("model" = Option<String>, Query, description = "Which of several models; the first by default")),
    responses(
        (status = 200, description = "How the model is", body = HealthResponse),
        (status = 404, description = "No model has that name", body = ErrorBody),
    )
)]
#[expect(dead_code, reason = "carries the description of a route; the handler is the server's")]
fn health() {}

/// The classes that the model tells apart
#[utoipa::path(
    get,
    path = "/classes",
    params(("model" = Option<String>, Query, description = "Which of several models; the first by default")),
    responses(
        (status = 200, description = "The classes by index", body = ClassesResponse),
        (status = 404, description = "No model has that name", body = ErrorBody),
        (status = 503, description = "The model is not loaded", body = ErrorBody),
    )
)]
#[expect(dead_code, reason = "carries the description of a route; the handler is the server's")]
fn classes() {}

/// Who is speaking
#[utoipa::path(
    get,
    path = "/",
    responses((status = 200, description = "A greeting; the page of `/docs` for a browser", body = RootResponse))
)]
#[expect(dead_code, reason = "carries the description of a route; the handler is the server's")]
fn root() {}

/// Counters and latency histograms in Prometheus' text format
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, description = "Metrics", content_type = "application/openmetrics-text", body = String))
)]
#[expect(dead_code, reason = "carries the description of a route; the handler is the server's")]
fn metrics() {}

/// A form with an image.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "carries the description of a form")]
struct Form {
    /// The encoded image.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}
