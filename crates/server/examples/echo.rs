//! A bare axum server that answers with the body it is sent: what `scripts/bench_scheduler.py` compares the server with.
//!
//! `echo [PORT]` prints its address and serves until it is killed.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        use std::io::Write;
        writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
        axum::serve(listener, Router::new().route("/", post(|body: Bytes| async { body }))).await
    })
}
