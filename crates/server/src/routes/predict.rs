//! `POST /predict`: one image in, ranked labels out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::Deserialize;
use tintype_api::{PredictReader, PredictResponse};
use tintype_core::{Error, ErrorKind, Result};
use tintype_runtime::InferOptions;
use tokio::time::Instant;

use crate::app::App;
use crate::body::{self, Incoming};
use crate::params::Params;
use crate::rescue::Rescue;
use crate::traced::{self, Wire};
use crate::{deadline, multipart};

/// What the query may choose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PredictQuery {
    top_k: Option<usize>,
    model: Option<String>,
    abstain: Option<bool>,
}

impl PredictQuery {
    fn options(&self, deadline: Instant) -> Result<InferOptions> {
        match self.top_k {
            Some(0) => {
                Err(Error::new(ErrorKind::InvalidRequest, "query: `top_k`: expected at least 1, found 0"))
            }
            top_k => Ok(InferOptions { top_k, deadline: Some(deadline), abstain: self.abstain }),
        }
    }
}

pub(crate) async fn predict(
    State(app): State<Arc<App>>,
    Params(query): Params<PredictQuery>,
    request: Request,
) -> Result<Json<PredictResponse>, Rescue> {
    let (parts, body) = request.into_parts();
    let deadline = deadline::of(&parts.headers, &app.config)?;
    let options = query.options(deadline)?;
    let length = body::announced(&parts.headers, app.config.max_body_bytes)?;
    let admitted = Encoding::of(&parts.headers).and_then(|encoding| {
        let admitted = app.runtime.admit(query.model.as_deref(), length.unwrap_or(0))?.by(deadline)?;
        Ok((encoding, admitted))
    });
    let (encoding, mut admitted) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => {
            body::discard(body, &parts.headers).await;
            return Err(refusal.into());
        }
    };
    let incoming = Incoming { body, announced: length, config: &app.config, deadline };
    let image = encoding.image(incoming, |more| admitted.grow(more)).await?;
    let (admitted, sending) = traced::sample(&app, admitted, Wire::Http);
    let answer = admitted.classify(image, options).await?;
    sending.begin();
    Ok(Json(PredictResponse { abstain: answer.abstain, ..PredictResponse::new(answer.predictions)? }))
}

/// How a body holds its image.
#[derive(Debug, PartialEq, Eq)]
enum Encoding {
    Json,
    Form { boundary: String },
    Raw,
}

impl Encoding {
    /// What the content type says.
    ///
    /// # Errors
    /// `UnsupportedMediaType`; `InvalidRequest` for a form without a boundary.
    fn of(headers: &HeaderMap) -> Result<Self> {
        let value =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match multipart::media_type(value).to_ascii_lowercase().as_str() {
            "application/json" => Ok(Self::Json),
            "multipart/form-data" => match multipart::parameter(value, "boundary") {
                Some(boundary) => Ok(Self::Form { boundary }),
                None => Err(Error::new(
                    ErrorKind::InvalidRequest,
                    "the content type of a form lacks its `boundary`",
                )),
            },
            "application/octet-stream" => Ok(Self::Raw),
            image if image.starts_with("image/") => Ok(Self::Raw),
            other => Err(Error::new(
                ErrorKind::UnsupportedMediaType,
                format!(
                    "expected content type `multipart/form-data`, `application/json`, `image/*` or \
                     `application/octet-stream`, found `{other}`"
                ),
            )
            .with_hint("with curl: `-F file=@image.jpg`")),
        }
    }

    /// The encoded image in a body, which is read as [`Incoming`] does.
    async fn image(self, body: Incoming<'_>, grow: impl FnMut(usize) -> Result<()>) -> Result<Bytes> {
        match self {
            Self::Raw => body.whole(grow).await,
            Self::Form { boundary } => multipart::only_field(&body.whole(grow).await?, &boundary, "file"),
            Self::Json => {
                let mut reader = PredictReader::new(body.announced);
                body.pieces(grow, |piece| reader.push(&piece)).await?;
                Ok(reader.finish()?.into())
            }
        }
    }
}
