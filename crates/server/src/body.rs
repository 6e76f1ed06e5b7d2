//! Reading a request's body, within its limits.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tintype_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::compression::Coding;
use crate::{ServerConfig, deadline, heavy};

/// A refused body of at most so many bytes is read and thrown away before the refusal is sent, for at most
/// [`DISCARD_TIME`]: a client that still sends when the connection closes may never see the answer.
const DISCARD_BYTES: usize = 1 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// The announced length; `None` for a body in chunks.
///
/// # Errors
/// `PayloadTooLarge` when it is above `limit`.
pub(crate) fn announced(headers: &HeaderMap, limit: usize) -> Result<Option<usize>> {
    // The HTTP layer has refused what is not a number.
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    match length {
        Some(length) if length > limit => Err(too_large(limit, length)),
        length => Ok(length),
    }
}

/// Reads a body into one buffer. Of one whose length was not announced, `grow` takes a place for each piece.
///
/// # Errors
/// `PayloadTooLarge`; those of `grow`; `RequestTimeout` when it comes too slowly; `DeadlineExceeded`; `Cancelled` when
/// the client hangs up.
pub(crate) async fn read(
    body: Body,
    announced: Option<usize>,
    config: &ServerConfig,
    deadline: Instant,
    mut grow: impl FnMut(usize) -> Result<()>,
) -> Result<Bytes> {
    let mut reader = Reader { body, idle: config.body_idle_timeout, deadline };
    let Some(first) = reader.chunk().await? else { return Ok(Bytes::new()) };
    let mut read = first.len();
    let mut reserve = |read: usize, chunk: usize| match announced {
        Some(_) => Ok(()),
        None if read > config.max_body_bytes => Err(too_large(config.max_body_bytes, read)),
        None => grow(chunk),
    };
    reserve(read, first.len())?;
    // HTTP delivers no more than was announced: there is nothing to wait for.
    if announced == Some(read) {
        return Ok(first);
    }
    let Some(second) = reader.chunk().await? else { return Ok(first) };
    let mut whole = BytesMut::with_capacity(announced.unwrap_or(0).max(read + second.len()));
    whole.extend_from_slice(&first);
    drop(first);
    let mut next = Some(second);
    while let Some(chunk) = next {
        read += chunk.len();
        reserve(read, chunk.len())?;
        whole.extend_from_slice(&chunk);
        next = reader.chunk().await?;
    }
    Ok(whole.freeze())
}

/// Reads and decompresses the body of a request that asks no model.
///
/// # Errors
/// As [`read`], and for a body that is not compressed as it says.
pub(crate) async fn whole(request: Request, config: &ServerConfig) -> Result<Bytes> {
    let (parts, body) = request.into_parts();
    let deadline = deadline::of(&parts.headers, config)?;
    let coding = Coding::of_request(&parts.headers)?;
    let limit = config.max_body_bytes;
    let length = announced(&parts.headers, limit)?;
    let body = read(body, length, config, deadline, |_| Ok(())).await?;
    match coding {
        Some(coding) => heavy::run(body.len(), move || coding.decompress(&body, limit)).await,
        None => Ok(body),
    }
}

/// Throws away the body of a refused request, where that is cheap.
pub(crate) async fn discard(body: Body, headers: &HeaderMap) {
    let small = announced(headers, DISCARD_BYTES).is_ok_and(|length| length.is_some());
    // A client that waits for `100 Continue` has sent nothing yet, and will not.
    if !small || headers.contains_key(header::EXPECT) {
        return;
    }
    let mut reader = Reader { body, idle: DISCARD_TIME, deadline: Instant::now() + DISCARD_TIME };
    while let Ok(Some(_)) = reader.chunk().await {}
}

/// A body with its timeouts.
struct Reader {
    body: Body,
    idle: Duration,
    deadline: Instant,
}

impl Reader {
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let now = Instant::now();
        let end = self.deadline.min(now + self.idle);
        loop {
            let frame = match tokio::time::timeout_at(end, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    return Err(Error::new(ErrorKind::Cancelled, "the body ended early").with_source(error));
                }
                Err(_) if end == self.deadline => {
                    return Err(Error::new(
                        ErrorKind::DeadlineExceeded,
                        "the deadline passed while the body was read",
                    ));
                }
                Err(_) => {
                    let message = format!("the body paused for more than {:?}", self.idle);
                    return Err(Error::new(ErrorKind::RequestTimeout, message));
                }
            };
            // Anything else is a trailer.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

fn too_large(limit: usize, found: usize) -> Error {
    Error::new(ErrorKind::PayloadTooLarge, format!("expected a body of at most {limit} bytes, found {found}"))
}
