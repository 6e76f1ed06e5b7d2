//! The front ends: HTTP and gRPC, limits, deadlines, errors, metrics, and a server that drains.
//!
//! ```text
//! Server::serve          one task a port, until the shutdown signal; then all drain
//!  └ connections         accepts them, serves them, lets them end
//!     ├ door             inference to its handler, the rest to the router
//!     ├ app              HTTP's router; one file an endpoint family in `routes` and `routes::kserve`
//!     │  ├ body          reads a body within its limits, after the runtime admitted the request
//!     │  └ rescue        where an `Error` becomes a response, and is logged
//!     ├ grpc             gRPC's methods, one file a family too
//!     └ kserve           what both wires of KServe do the same way
//!        └ Runtime       does the work
//! ```
//!
//! What the bodies look like is `tintype-api`'s business, and so is the status of an error. TLS and other protocols are
//! not here yet.

mod access;
mod app;
mod body;
mod compression;
mod config;
mod connections;
mod deadline;
mod door;
mod grpc;
mod heavy;
mod kserve;
mod logging;
mod metrics;
mod multipart;
mod params;
mod rescue;
mod routes;
mod server;
mod shared_memory;
mod traced;

pub use access::{Family, Restriction, Restrictions};
pub use config::{ClientSharedMemory, Compression, Listen, Readiness, ServerConfig};
pub use kserve::statistics::reply as statistics_reply;
pub use logging::LogControl;
pub use server::Server;
