//! Reading a request's body, within its limits.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::Frame;
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

/// A request's body on its way in.
pub(crate) struct Incoming<'a> {
    pub(crate) body: Body,
    /// Its length, if it was [announced].
    pub(crate) announced: Option<usize>,
    pub(crate) config: &'a ServerConfig,
    pub(crate) deadline: Instant,
}

impl Incoming<'_> {
    /// Gives the body to `take` piece by piece. Of one whose length was not announced, `grow` takes a place for each.
    ///
    /// # Errors
    /// `PayloadTooLarge`; those of `grow`; `RequestTimeout` when it comes too slowly; `DeadlineExceeded`; `Cancelled`
    /// when the client hangs up.
    pub(crate) async fn pieces(
        self,
        mut grow: impl FnMut(usize) -> Result<()>,
        mut take: impl FnMut(Bytes),
    ) -> Result<()> {
        let Self { body, announced, config, deadline } = self;
        let mut reader = Reader { body, idle: config.body_idle_timeout, deadline };
        let mut read = 0;
        // HTTP delivers no more than was announced: once that is here there is nothing to wait for.
        while announced.is_none_or(|length| read < length) {
            let Some(piece) = reader.chunk().await? else { break };
            read += piece.len();
            match announced {
                Some(_) => {}
                None if read > config.max_body_bytes => return Err(too_large(config.max_body_bytes, read)),
                None => grow(piece.len())?,
            }
            // Not kept over the next wait: the connection reads into the same memory again when nobody holds it.
            take(piece);
        }
        Ok(())
    }

    /// Reads the body into one buffer.
    ///
    /// # Errors
    /// As [`Self::pieces`].
    pub(crate) async fn whole(self, grow: impl FnMut(usize) -> Result<()>) -> Result<Bytes> {
        let announced = self.announced;
        let (mut only, mut all) = (Bytes::new(), BytesMut::new());
        self.pieces(grow, |piece| match announced {
            // Nothing to join, nothing to copy.
            Some(length) if piece.len() == length => only = piece,
            _ => {
                if all.is_empty() {
                    all.reserve(announced.unwrap_or(0).max(piece.len()));
                }
                all.extend_from_slice(&piece);
            }
        })
        .await?;
        Ok(if all.is_empty() { only } else { all.freeze() })
    }
}

/// Reads and decompresses the body of a request that asks no model.
///
/// # Errors
/// As [`Incoming::pieces`], and for a body that is not compressed as it says.
pub(crate) async fn whole(request: Request, config: &ServerConfig) -> Result<Bytes> {
    let (parts, body) = request.into_parts();
    let deadline = deadline::of(&parts.headers, config)?;
    let coding = Coding::of_request(&parts.headers)?;
    let limit = config.max_body_bytes;
    let announced = announced(&parts.headers, limit)?;
    let body = Incoming { body, announced, config, deadline }.whole(|_| Ok(())).await?;
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
        loop {
            // A small body comes with its head, and needs neither the clock nor a timer.
            let frame = match self.body.frame().now_or_never() {
                Some(frame) => frame,
                None => self.frame().await?,
            };
            let frame = frame.transpose().map_err(|error| {
                Error::new(ErrorKind::Cancelled, "the body ended early").with_source(error)
            })?;
            // Anything else is a trailer.
            match frame.map(Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) => return Ok(Some(data)),
                Some(Err(_)) => {}
            }
        }
    }

    /// Waits for what comes next.
    async fn frame(&mut self) -> Result<Option<std::result::Result<Frame<Bytes>, axum::Error>>> {
        let end = self.deadline.min(Instant::now() + self.idle);
        match tokio::time::timeout_at(end, self.body.frame()).await {
            Ok(frame) => Ok(frame),
            Err(_) if end == self.deadline => {
                Err(Error::new(ErrorKind::DeadlineExceeded, "the deadline passed while the body was read"))
            }
            Err(_) => {
                let message = format!("the body paused for more than {:?}", self.idle);
                Err(Error::new(ErrorKind::RequestTimeout, message))
            }
        }
    }
}

fn too_large(limit: usize, found: usize) -> Error {
    Error::new(ErrorKind::PayloadTooLarge, format!("expected a body of at most {limit} bytes, found {found}"))
}
