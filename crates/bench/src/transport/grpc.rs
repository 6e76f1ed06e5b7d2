//! KServe's gRPC: calls, or a stream, over a connection a lane, without generated code.

mod stream;

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::LocalBoxFuture;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tintype_api::kserve::proto::{ModelInferRequest, ModelInferResponse};
use tintype_core::{Error, ErrorKind, Result};
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use crate::driver::{Driver, Failure, Lane, Stages};
use crate::requests::{Requests, Taken};

pub use stream::streamed;

use stream::InferStream;

/// Larger answers than any model gives.
const MOST_BYTES: usize = 1 << 30;

/// Bytes of answers that may be under way on a connection.
const WINDOW: u32 = 8 << 20;

/// How requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// A `ModelInfer` each.
    Unary,
    /// Over one `ModelStreamInfer` a lane; requests are to be [`streamed`].
    Stream,
}

/// Sends requests in turn.
#[derive(Debug, Clone)]
pub struct GrpcDriver {
    authority: Arc<str>,
    requests: Requests<ModelInferRequest>,
    calls: Calls,
}

impl GrpcDriver {
    /// Sends `requests` to `authority`, which is host and port.
    pub fn new(authority: &str, requests: Requests<ModelInferRequest>, calls: Calls) -> Self {
        Self { authority: authority.into(), requests, calls }
    }

    /// How it sends them.
    pub fn calls(&self) -> Calls {
        self.calls
    }
}

impl Driver for GrpcDriver {
    type Lane = GrpcLane;

    async fn open(&self) -> Result<GrpcLane> {
        let stream = match self.calls {
            Calls::Unary => None,
            Calls::Stream => Some(InferStream::default()),
        };
        let (channel, requests) = (Channel::open(&self.authority).await?, self.requests.take()?);
        Ok(GrpcLane { channel, requests, stream })
    }
}

/// A connection, and what is sent over it.
#[derive(Debug)]
pub struct GrpcLane {
    channel: Channel,
    requests: Taken<ModelInferRequest>,
    /// Where they go, unless each is a call.
    stream: Option<InferStream>,
}

impl Lane for GrpcLane {
    async fn ready(&mut self) -> bool {
        self.channel.grpc.ready().await.is_ok()
    }

    async fn ask(&mut self, number: u64) -> Result<Stages, Failure> {
        let request = self.requests.at(number).clone();
        if let Some(stream) = &mut self.stream {
            return stream.ask(&mut self.channel, request).await;
        }
        let began = Instant::now();
        match self.channel.call::<_, ModelInferResponse>("ModelInfer", request).await {
            // Encoding and decoding happen on the way; nothing here tells them apart.
            Ok(_) => Ok(Stages { wait: began.elapsed(), ..Stages::default() }),
            Err(status) => Err(failure(&status)),
        }
    }
}

fn failure(status: &Status) -> Failure {
    let what = format!("{:?}: {}", status.code(), status.message());
    // A status that the server sent has no cause here.
    let lost = std::error::Error::source(status).is_some();
    if lost { Failure::lost(what) } else { Failure::refused(what) }
}

/// A connection that takes calls.
#[derive(Debug)]
pub(crate) struct Channel {
    grpc: Grpc<Http2>,
}

impl Channel {
    /// Connects to `authority`, host and port.
    pub(crate) async fn open(authority: &str) -> Result<Self> {
        let failed = |error: String| {
            Error::new(ErrorKind::Io, format!("cannot speak gRPC with `{authority}`: {error}"))
        };
        let stream = super::connect(authority).await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            // Fixed: measuring the window would ask the server for a ping at every answer.
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| failed(e.to_string()))?;
        // Ends with the sender. What goes wrong with it is told to whoever waits for an answer.
        tokio::spawn(connection);
        let origin: Uri = format!("http://{authority}").parse().map_err(|_| failed("no host".to_owned()))?;
        let grpc = Grpc::with_origin(Http2(sender), origin).max_decoding_message_size(MOST_BYTES);
        Ok(Self { grpc })
    }

    /// Calls `method` of KServe's service.
    pub(crate) async fn call<Q, A>(&mut self, method: &str, message: Q) -> Result<A, Status>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let path = self.ready(method).await?;
        let codec = ProstCodec::<Q, A>::default();
        self.grpc.unary(tonic::Request::new(message), path, codec).await.map(tonic::Response::into_inner)
    }

    /// Calls `method` with a stream, for a stream of answers.
    async fn stream<Q, A>(
        &mut self,
        method: &str,
        messages: impl Stream<Item = Q> + Send + 'static,
    ) -> Result<Streaming<A>, Status>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let path = self.ready(method).await?;
        let codec = ProstCodec::<Q, A>::default();
        let request = tonic::Request::new(messages);
        self.grpc.streaming(request, path, codec).await.map(tonic::Response::into_inner)
    }

    /// The path of `method`, once it can be called.
    async fn ready(&mut self, method: &str) -> Result<PathAndQuery, Status> {
        self.grpc.ready().await.map_err(|e| Status::from_error(e.into()))?;
        let path = format!("/inference.GRPCInferenceService/{method}");
        path.parse().map_err(|_| Status::internal(format!("`{method}` is not a method")))
    }
}

/// What tonic's client sends through.
#[derive(Debug, Clone)]
struct Http2(http2::SendRequest<tonic::body::Body>);

impl tower::Service<Request<tonic::body::Body>> for Http2 {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, hyper::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let answer = self.0.send_request(request);
        Box::pin(answer)
    }
}
