//! The connections of one port: accepting them, serving them, and letting them end.

mod header_timer;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::ServerConfig;
use crate::door::Door;
use header_timer::HeaderTimer;

/// Bytes of a request's head: far above what clients send, far below what would hurt. Headers are no more than hyper's
/// own 100, for which it needs no memory.
const MAX_HEADER_BYTES: u32 = 32 << 10;
/// Bytes that a connection reads at a time; hyper would go on to 400 KiB for each of thousands of connections.
const READ_BUFFER: usize = 64 << 10;

/// How much a client may send on one stream, and on all of a connection, before it must wait: a tensor of an image at
/// once, since a wait costs a round trip.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The largest piece that is sent at once.
const MAX_FRAME_BYTES: u32 = 256 << 10;

/// How long a connection of many streams may rest before its client is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long to wait after a failure to accept, which is mostly a want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 from the first byte, as gRPC has it.
    Http2,
}

/// A port with what answers on it.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) wire: Wire,
    pub(crate) door: Door,
    pub(crate) config: ServerConfig,
}

impl Port {
    /// Serves until `stopping` says by when to have stopped; then accepts no more and answers everything accepted.
    /// What is left at the end is cut off.
    pub(crate) async fn serve(self, mut stopping: watch::Receiver<Option<Instant>>) {
        let Self { listener, wire, door, config } = self;
        let graceful = GracefulShutdown::new();
        let slots = Arc::new(Semaphore::new(config.max_connections));
        let mut connections = JoinSet::new();
        // A sender that is gone has told nobody to go on.
        let mut stopped = pin!(async move {
            match stopping.wait_for(Option::is_some).await {
                Ok(end) => end.unwrap_or_else(Instant::now),
                Err(_) => Instant::now(),
            }
        });
        let end = loop {
            tokio::select! {
                end = &mut stopped => break end,
                (slot, stream) = accept(&listener, &slots) => {
                    let connection = wire.serve(stream, door.clone(), config.header_timeout, graceful.watcher());
                    connections.spawn(async move {
                        connection.await;
                        drop(slot);
                    });
                }
                Some(ended) = connections.join_next() => report(ended),
            }
        };
        drop(listener);
        tracing::info!(connections = connections.len(), wire = ?wire, "draining");
        if tokio::time::timeout_at(end, graceful.shutdown()).await.is_err() {
            tracing::warn!(connections = connections.len(), "connections were cut off by the drain timeout");
        }
        connections.shutdown().await;
    }
}

/// The next connection, once there is a slot for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (Option<OwnedSemaphorePermit>, TcpStream) {
    // `None` would mean that the semaphore was closed, which nobody does.
    let slot = slots.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written whole: waiting to fill a packet would only delay them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "setting TCP_NODELAY failed");
                }
                return (slot, stream);
            }
            // The client gave up between connecting and being accepted.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Wire {
    /// Serves one connection to its end. A client that hangs up, or resets its stream, drops the handler, and so cancels
    /// its request.
    async fn serve(self, stream: TcpStream, door: Door, header_timeout: Duration, graceful: Watcher) {
        let service =
            hyper::service::service_fn(move |request: hyper::Request<Incoming>| door.answer(request));
        let stream = TokioIo::new(stream);
        match self {
            Self::Http1 => {
                let connection = http1::Builder::new()
                    .timer(HeaderTimer::new(header_timeout))
                    .header_read_timeout(header_timeout)
                    .max_buf_size(READ_BUFFER)
                    .max_header_size(MAX_HEADER_BYTES as usize)
                    .serve_connection(stream, service);
                log_end(graceful.watch(connection).await);
            }
            Self::Http2 => {
                let connection = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(STREAM_WINDOW)
                    .initial_connection_window_size(CONNECTION_WINDOW)
                    .max_frame_size(MAX_FRAME_BYTES)
                    .max_header_list_size(MAX_HEADER_BYTES)
                    // A client that is gone without a word is found out.
                    .keep_alive_interval(KEEP_ALIVE)
                    .serve_connection(stream, service);
                log_end(graceful.watch(connection).await);
            }
        }
    }
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        // A client that hung up or sent nonsense: ordinary.
        tracing::debug!(%error, "connection ended");
    }
}

fn report(ended: std::result::Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "serving a connection panicked");
    }
}
