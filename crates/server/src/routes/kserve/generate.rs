//! `POST …/generate` and `…/generate_stream`: a request of names and values.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tintype_api::kserve::generate as codec;
use tintype_core::Result;

use super::Refusal;
use super::infer::{Received, packed, receive};
use super::target::Target;
use crate::app::App;
use crate::compression::Coding;
use crate::kserve::{describe, infer as run};
use crate::traced::Wire;

pub(crate) async fn generate(
    State(app): State<Arc<App>>,
    target: Target,
    request: Request,
) -> Result<Response, Refusal> {
    let coding = Coding::of_answer(request.headers());
    let mut response = packed(answer(&app, &target, request).await?, coding).await?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// No model here answers more than once, so the stream has a single event.
pub(crate) async fn generate_stream(
    State(app): State<Arc<App>>,
    target: Target,
    request: Request,
) -> Result<Response, Refusal> {
    let json = answer(&app, &target, request).await?;
    let event = [b"data: ", &*json, b"\n\n"].concat();
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, event).into_response())
}

async fn answer(app: &App, target: &Target, request: Request) -> Result<Vec<u8>> {
    let (parts, body) = request.into_parts();
    let Received { admitted, body, deadline } = receive(app, target, parts.headers, body).await?;
    let description = app.runtime.describe(admitted.model(), Some(admitted.version()))?;
    let request = codec::decode(&describe::named_inputs(&description)?, &body)?;
    let (reply, _sending) = run::infer(app, admitted, request, Some(deadline), Wire::Http).await?;
    codec::encode(&reply)
}
