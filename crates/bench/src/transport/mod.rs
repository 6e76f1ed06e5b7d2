//! The two transports: HTTP/1.1 with a connection a lane, and gRPC over HTTP/2.

pub mod grpc;
pub mod http;

use std::time::Duration;

use tintype_core::{Error, ErrorKind, Result};
use tokio::net::TcpStream;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Whether anybody listens on `authority`, host and port.
pub async fn is_taken(authority: &str) -> bool {
    connect(authority).await.is_ok()
}

/// A connection to `authority`, host and port.
async fn connect(authority: &str) -> Result<TcpStream> {
    let failed =
        |reason: &str| Error::new(ErrorKind::Io, format!("cannot connect to `{authority}`: {reason}"));
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(authority)).await;
    let stream =
        connected.map_err(|_| failed("no answer within 10 s"))?.map_err(|e| failed(&e.to_string()))?;
    stream.set_nodelay(true).map_err(|e| failed(&e.to_string()))?;
    Ok(stream)
}
