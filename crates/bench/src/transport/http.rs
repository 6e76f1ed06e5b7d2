//! HTTP/1.1: requests that were prepared once, sent over a connection a lane.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tintype_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::driver::{Driver, Failure, Lane, Stages};
use crate::requests::{Requests, Taken};

/// A request as it is sent again and again.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Path and query.
    pub uri: Uri,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Sends prepared requests in turn.
#[derive(Debug, Clone)]
pub struct HttpDriver {
    authority: Arc<str>,
    requests: Requests<Prepared>,
}

impl HttpDriver {
    /// Sends `requests` to `authority`, which is host and port.
    pub fn new(authority: &str, requests: Requests<Prepared>) -> Self {
        Self { authority: authority.into(), requests }
    }
}

impl Prepared {
    /// The same request with one more header, `NAME:VALUE`.
    ///
    /// # Errors
    /// `InvalidArgument` when it is none.
    pub fn with_header(mut self, header: &str) -> Result<Self> {
        let parsed = header.split_once(':').and_then(|(name, value)| {
            Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
        });
        let wrong = || {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("expected a header `NAME:VALUE`, found `{header}`"),
            )
        };
        let (name, value) = parsed.ok_or_else(wrong)?;
        self.headers.insert(name, value);
        Ok(self)
    }
}

/// Whether `path` of `authority` answers with success.
pub async fn answers(authority: &str, path: &str) -> bool {
    let Ok(mut connection) = Connection::open(authority).await else { return false };
    connection.exchange(authority, path, None).await.is_ok_and(|(status, _)| status.is_success())
}

impl Driver for HttpDriver {
    type Lane = HttpLane;

    async fn open(&self) -> Result<HttpLane> {
        let connection = Connection::open(&self.authority).await?;
        Ok(HttpLane { connection, requests: self.requests.take()? })
    }
}

/// A connection, and what is sent over it.
#[derive(Debug)]
pub struct HttpLane {
    connection: Connection,
    requests: Taken<Prepared>,
}

impl Lane for HttpLane {
    async fn ready(&mut self) -> bool {
        self.connection.sender.ready().await.is_ok()
    }

    async fn ask(&mut self, number: u64) -> Result<Stages, Failure> {
        let Prepared { uri, headers, body } = self.requests.at(number);
        let began = Instant::now();
        let connection = &mut self.connection;
        let answer = connection.send(Method::POST, uri.clone(), headers.clone(), body.clone()).await;
        let answer = answer.map_err(|e| Failure::lost(e.message()))?;
        let send = Duration::from_nanos(connection.taken.load(Ordering::Relaxed))
            .saturating_sub(began - connection.opened);
        let head = began.elapsed();
        let (parts, mut body) = answer.into_parts();
        if !parts.status.is_success() {
            let text = body.collect().await.map_err(|e| Failure::lost(e.to_string()))?.to_bytes();
            return Err(Failure::refused(refusal(parts.status, &text)));
        }
        while let Some(frame) = body.frame().await {
            frame.map_err(|e| Failure::lost(format!("the answer broke off: {e}")))?;
        }
        let wait = head.saturating_sub(send);
        Ok(Stages { send, wait, receive: began.elapsed().saturating_sub(head) })
    }
}

/// A connection that takes one request after the other.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: http1::SendRequest<Upload>,
    opened: Instant,
    /// When the last body was handed to the connection, in nanoseconds after `opened`.
    taken: Arc<AtomicU64>,
}

impl Connection {
    /// Connects to `authority`, host and port.
    pub(crate) async fn open(authority: &str) -> Result<Self> {
        let stream = super::connect(authority).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends with the sender. What goes wrong with it is told to whoever waits for an answer.
        tokio::spawn(connection);
        Ok(Self { sender, opened: Instant::now(), taken: Arc::default() })
    }

    async fn send(
        &mut self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<hyper::Response<Incoming>> {
        let upload = Upload { body: Some(body), opened: self.opened, taken: self.taken.clone() };
        let mut request = Request::new(upload);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        self.sender.send_request(request).await.map_err(broken)
    }

    /// Asks for `path`, or posts a body there: the status, and the whole body of the answer.
    pub(crate) async fn exchange(
        &mut self,
        authority: &str,
        path: &str,
        posted: Option<Bytes>,
    ) -> Result<(StatusCode, Bytes)> {
        let wrong =
            |what: &str| Error::new(ErrorKind::InvalidArgument, format!("`{what}` cannot be asked for"));
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(authority).map_err(|_| wrong(authority))?);
        let uri = path.parse().map_err(|_| wrong(path))?;
        self.sender.ready().await.map_err(broken)?;
        let method = if posted.is_some() { Method::POST } else { Method::GET };
        let answer = self.send(method, uri, headers, posted.unwrap_or_default()).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await.map_err(broken)?.to_bytes()))
    }
}

fn broken(error: hyper::Error) -> Error {
    // Its own words are general; the cause says what happened.
    let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
    Error::new(ErrorKind::Io, format!("the connection broke: {error}{cause}"))
}

/// A body that says when it was taken.
#[derive(Debug)]
struct Upload {
    body: Option<Bytes>,
    opened: Instant,
    taken: Arc<AtomicU64>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let now = self.opened.elapsed().as_nanos();
        self.taken.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
        Poll::Ready(self.body.take().filter(|body| !body.is_empty()).map(|body| Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.as_ref().map_or(0, |body| body.len() as u64))
    }
}

/// What a refusal says, on one line, in the shapes that the known servers use.
pub(crate) fn refusal(status: StatusCode, body: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let said = ["detail", "message", "error"].iter().find_map(|key| json.get(key)?.as_str());
    let text = String::from_utf8_lossy(body);
    let said = said.unwrap_or_else(|| text.lines().next().unwrap_or_default()).trim();
    let status = status.as_u16();
    if said.is_empty() { format!("status {status}") } else { format!("status {status}: {said}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_in_every_shape() {
        let said = |body: &str| refusal(StatusCode::SERVICE_UNAVAILABLE, body.as_bytes());
        assert_eq!(
            said(r#"{"detail": "too busy", "error": {"kind": "overloaded"}}"#),
            "status 503: too busy"
        );
        assert_eq!(said(r#"{"error": "no model"}"#), "status 503: no model");
        assert_eq!(said(r#"{"code": 503, "message": "no worker"}"#), "status 503: no worker");
        assert_eq!(said("Service Unavailable\nretry"), "status 503: Service Unavailable");
        assert_eq!(said(""), "status 503");
    }
}
