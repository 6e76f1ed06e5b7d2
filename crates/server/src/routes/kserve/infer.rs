//! `POST …/infer`: tensors in JSON, binary, or as the bare body, and the answer in the form that was asked for.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use tintype_api::kserve::{self, Content, Reply, raw, request, response};
use tintype_core::{Result, TensorData};
use tintype_runtime::Admitted;
use tokio::time::Instant;

use super::Refusal;
use super::refusal::invalid;
use super::target::Target;
use crate::app::App;
use crate::compression::Coding;
use crate::kserve::{describe, infer as run};
use crate::traced::Wire;
use crate::{body, deadline, heavy};

/// Where the JSON of a body ends, or of an answer.
static HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

pub(crate) fn infer(
    State(app): State<Arc<App>>,
    target: Target,
    request: Request,
) -> impl Future<Output = Result<Response, Refusal>> + Send {
    // Of the head only this is kept while the model runs.
    let (Parts { headers, .. }, body) = request.into_parts();
    let (header, coding) = (header_length(&headers), Coding::of_answer(&headers));
    async move {
        let Received { admitted, body, deadline } = receive(&app, &target, headers, body).await?;
        let request = match header? {
            Some(0) => {
                let description = app.runtime.describe(admitted.model(), Some(admitted.version()))?;
                raw::decode(admitted.model(), &describe::raw_inputs(&description)?, &body)?
            }
            header => {
                let model = admitted.model().clone();
                let json = header.unwrap_or(body.len());
                heavy::run(json, move || request::decode(&model, header, &body)).await?
            }
        };
        let (reply, _sending) = run::infer(&app, admitted, request, Some(deadline), Wire::Http).await?;
        respond(reply, coding).await
    }
}

/// A request that was let in, with its body.
pub(super) struct Received {
    pub(super) admitted: Admitted,
    pub(super) body: Bytes,
    pub(super) deadline: Instant,
}

/// Lets a request in, and reads its body.
pub(super) async fn receive(app: &App, target: &Target, headers: HeaderMap, body: Body) -> Result<Received> {
    let deadline = deadline::of(&headers, &app.config)?;
    let coding = Coding::of_request(&headers)?;
    let limit = app.config.max_body_bytes;
    let length = body::announced(&headers, limit);
    let admitted = length.and_then(|length| {
        let admitted = app.runtime.admit_version(&target.model, target.version, length.unwrap_or(0))?;
        Ok((length, admitted.by(deadline)?))
    });
    let (length, mut admitted) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => {
            body::discard(body, &headers).await;
            return Err(refusal);
        }
    };
    drop(headers);
    let incoming = body::Incoming { body, announced: length, config: &app.config, deadline };
    let mut body = incoming.whole(|more| admitted.grow(more)).await?;
    if let Some(coding) = coding {
        let packed = body;
        body = heavy::run(packed.len(), move || coding.decompress(&packed, limit)).await?;
        admitted.grow(body.len())?;
    }
    Ok(Received { admitted, body, deadline })
}

fn header_length(headers: &HeaderMap) -> Result<Option<usize>, Refusal> {
    let Some(value) = headers.get(&HEADER_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    length.map(Some).ok_or_else(|| {
        let found = String::from_utf8_lossy(value.as_bytes());
        invalid(format!("Unable to parse Inference-Header-Content-Length, got: {found}"))
    })
}

async fn respond(reply: Reply, coding: Option<Coding>) -> Result<Response, Refusal> {
    let encoded = heavy::run(json_elements(&reply), move || response::encode(&reply)).await?;
    let kind = match encoded.header_len {
        Some(_) => "application/octet-stream",
        None => "application/json",
    };
    let mut response = packed(encoded.body, coding).await?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(length) = encoded.header_len {
        headers.insert(HEADER_LENGTH.clone(), HeaderValue::from(length));
    }
    Ok(response)
}

/// How many elements will be written as text.
fn json_elements(reply: &Reply) -> usize {
    let in_json = reply.outputs.iter().filter(|output| output.content == Content::Json);
    let sizes = in_json.map(|output| match output.tensor.data() {
        TensorData::Bytes(_) => kserve::binary::size(output.tensor.data()),
        data => data.len(),
    });
    sizes.sum()
}

/// A body, compressed if the client likes that; its type is left to say.
pub(super) async fn packed(body: Vec<u8>, coding: Option<Coding>) -> Result<Response> {
    let Some(coding) = coding else { return Ok(Response::new(body.into())) };
    let body = heavy::run(body.len(), move || coding.compress(&body)).await?;
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    Ok(response)
}
