//! What the operator chooses.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Limits and times of the server. The defaults suit a server that strangers can reach through a proxy.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 lets the system choose. `127.0.0.1:8000` by default: nobody else reaches it.
    pub address: SocketAddr,
    /// Most bytes in a request's body; 64 MiB by default.
    pub max_body_bytes: usize,
    /// Most connections at once; more wait to be accepted. 4,096 by default.
    pub max_connections: usize,
    /// How long a connection may take for a request's head, or rest between two requests; 30 s by default.
    pub header_timeout: Duration,
    /// How long a body may pause; 10 s by default.
    pub body_idle_timeout: Duration,
    /// How long a request may take, its body included; what `X-Request-Timeout-Ms` asks may only be shorter. 60 s by
    /// default.
    pub request_timeout: Duration,
    /// How long a shutdown waits for what was accepted; 30 s by default.
    pub drain_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            max_body_bytes: 64 << 20,
            max_connections: 4096,
            header_timeout: Duration::from_secs(30),
            body_idle_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
        }
    }
}
