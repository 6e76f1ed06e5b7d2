//! The ports: binding them, serving them, and draining when told to stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tintype_core::{Error, ErrorKind, Result};
use tintype_runtime::Runtime;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::app::{self, App};
use crate::connections::{Port, Wire};
use crate::door::Door;
use crate::{ServerConfig, grpc};

/// A server that listens, and answers once it [serves](Server::serve).
#[derive(Debug)]
pub struct Server {
    http: Option<Bound>,
    grpc: Option<Bound>,
    metrics: Option<Bound>,
    app: Arc<App>,
}

/// A port that listens.
#[derive(Debug)]
struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens at the config's addresses.
    ///
    /// # Errors
    /// `Io` when that is not possible; `Internal` when the description of gRPC's methods is damaged.
    pub async fn bind(config: ServerConfig, runtime: Arc<Runtime>) -> Result<Self> {
        let listen = config.listen;
        Ok(Self {
            http: bind(listen.http).await?,
            grpc: bind(listen.grpc).await?,
            metrics: bind(listen.metrics).await?,
            app: Arc::new(App::new(runtime, config)),
        })
    }

    /// Where HTTP is answered.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|bound| bound.address)
    }

    /// Where gRPC is answered.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().map(|bound| bound.address)
    }

    /// Where metrics are answered, and nothing else.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|bound| bound.address)
    }

    /// Serves until `shutdown` resolves; then accepts no more, answers everything accepted, and drains the runtime.
    ///
    /// # Errors
    /// `DeadlineExceeded` when draining took longer than the config allows: what was left was cut off.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let Self { http, grpc, metrics, app } = self;
        let port = |bound: Option<Bound>, wire, door| {
            let port =
                bound.map(|Bound { listener, .. }| Port { listener, wire, door, config: app.config.clone() });
            let stopping = app.stop.subscribe();
            async move {
                if let Some(port) = port {
                    port.serve(stopping).await;
                }
            }
        };
        let grpc_router = match &grpc {
            Some(_) => grpc::router(app.clone())?,
            None => axum::Router::new(),
        };
        let ports = async {
            tokio::join!(
                port(http, Wire::Http1, Door::direct(app.clone(), app::router(app.clone()))),
                port(grpc, Wire::Http2, Door::routed(grpc_router)),
                port(metrics, Wire::Http1, Door::routed(app::metrics_router(app.clone()))),
            )
        };
        let stop = async {
            shutdown.await;
            let end = Instant::now() + app.config.drain_timeout;
            app.stop.send_replace(Some(end));
            end
        };
        let end = tokio::select! {
            (_, end) = async { tokio::join!(ports, stop) } => end,
            never = beat() => match never {},
        };
        app.runtime.drain(end.saturating_duration_since(Instant::now())).await
    }
}

/// Keeps a timer pending a second ahead. For every timer that is earlier than all others, so for those of any request
/// that has the server to itself, tokio wakes its own driver by a system call.
async fn beat() -> Infallible {
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    loop {
        beat.tick().await;
    }
}

async fn bind(address: Option<SocketAddr>) -> Result<Option<Bound>> {
    let Some(address) = address else { return Ok(None) };
    let cannot = |error: std::io::Error| {
        Error::new(ErrorKind::Io, format!("listening on `{address}`: {error}")).with_source(error)
    };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    Ok(Some(Bound { listener, address }))
}
