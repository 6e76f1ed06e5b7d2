//! Connections: accepting them, serving them, and draining when told to stop.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tintype_core::{Error, ErrorKind, Result};
use tintype_runtime::Runtime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::{ServerConfig, app};

/// Bytes of a request's head, and its headers: far above what clients send, far below what would hurt.
const MAX_HEADER_BYTES: usize = 32 << 10;
const MAX_HEADERS: usize = 100;

/// How long to wait after a failure to accept, which is mostly a want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that listens, and answers once it [serves](Server::serve).
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    router: Router,
    config: ServerConfig,
    runtime: Arc<Runtime>,
}

impl Server {
    /// Listens at the config's address.
    ///
    /// # Errors
    /// `Io` when that is not possible.
    pub async fn bind(config: ServerConfig, runtime: Arc<Runtime>) -> Result<Self> {
        let cannot = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("listening on `{}`: {error}", config.address))
                .with_source(error)
        };
        let listener = TcpListener::bind(config.address).await.map_err(cannot)?;
        let local_addr = listener.local_addr().map_err(cannot)?;
        let router = app::router(runtime.clone(), config.clone());
        Ok(Self { listener, local_addr, router, config, runtime })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown` resolves; then accepts no more, answers everything accepted, and drains the runtime.
    ///
    /// # Errors
    /// `DeadlineExceeded` when draining took longer than the config allows: what was left was cut off.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let Self { listener, router, config, runtime, .. } = self;
        let graceful = GracefulShutdown::new();
        let slots = Arc::new(Semaphore::new(config.max_connections));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                (slot, stream) = accept(&listener, &slots) => {
                    let connection = serve_connection(stream, router.clone(), &config, &graceful);
                    connections.spawn(async move {
                        connection.await;
                        drop(slot);
                    });
                }
                Some(ended) = connections.join_next() => report(ended),
            }
        }
        drop(listener);
        tracing::info!(connections = connections.len(), "draining");
        let end = Instant::now() + config.drain_timeout;
        if tokio::time::timeout_at(end, graceful.shutdown()).await.is_err() {
            tracing::warn!(connections = connections.len(), "connections were cut off by the drain timeout");
        }
        connections.shutdown().await;
        runtime.drain(end.saturating_duration_since(Instant::now())).await
    }
}

/// The next connection, once there is a slot for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (Option<OwnedSemaphorePermit>, TcpStream) {
    // `None` would mean that the semaphore was closed, which nobody does.
    let slot = slots.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (slot, stream),
            // The client gave up between connecting and being accepted.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection to its end. A client that hangs up drops its handler, and so cancels its request.
fn serve_connection(
    stream: TcpStream,
    router: Router,
    config: &ServerConfig,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    // Answers are written whole: waiting to fill a packet would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "setting TCP_NODELAY failed");
    }
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    async move {
        if let Err(error) = connection.await {
            // A client that hung up or sent nonsense: ordinary.
            tracing::debug!(%error, "connection ended");
        }
    }
}

fn report(ended: std::result::Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "serving a connection panicked");
    }
}
