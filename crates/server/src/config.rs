//! What the operator chooses.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::access::Restrictions;
use crate::logging::LogControl;

/// Limits and times of the server. The defaults suit a server that strangers can reach through a proxy.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen.
    pub listen: Listen,
    /// The name by which the server calls itself in its metadata; `tintype` by default.
    pub name: String,
    /// Most bytes in a request's body, as it is sent and once it is decompressed; 64 MiB by default.
    pub max_body_bytes: usize,
    /// Most bytes in a message of gRPC; 64 MiB by default.
    pub max_message_bytes: usize,
    /// Most connections of each protocol at once; more wait to be accepted. 4,096 by default.
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
    /// When the server calls itself ready; when all its models are, by default.
    pub readiness: Readiness,
    /// Whether clients may put tensors into shared memory; no by default, because it lets them read and write memory of
    /// other processes of the same user.
    pub client_shared_memory: ClientSharedMemory,
    /// Whether gRPC answers are compressed for clients that take it; no by default.
    pub grpc_compression: Compression,
    /// Routes that want a key.
    pub restrictions: Restrictions,
    /// What settings of the log act on; nobody may change them where `None`.
    pub logging: Option<Arc<dyn LogControl>>,
}

/// Where to listen; port 0 lets the system choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// HTTP. `127.0.0.1:8000` by default: nobody else reaches it.
    pub http: Option<SocketAddr>,
    /// gRPC; not by default.
    pub grpc: Option<SocketAddr>,
    /// Metrics alone, which HTTP answers too; not by default.
    pub metrics: Option<SocketAddr>,
}

/// When the server calls itself ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// When all its models are.
    AllModels,
    /// As soon as it answers at all.
    Live,
}

/// Whether clients may put tensors into shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientSharedMemory {
    /// They may.
    Allowed,
    /// Its routes answer that they are not there.
    Refused,
}

/// Whether answers are compressed for clients that take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// They are.
    Offered,
    /// They are not.
    Off,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            name: "tintype".to_owned(),
            max_body_bytes: 64 << 20,
            max_message_bytes: 64 << 20,
            max_connections: 4096,
            header_timeout: Duration::from_secs(30),
            body_idle_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            readiness: Readiness::AllModels,
            client_shared_memory: ClientSharedMemory::Refused,
            grpc_compression: Compression::Off,
            restrictions: Restrictions::default(),
            logging: None,
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self { http: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8000))), grpc: None, metrics: None }
    }
}
