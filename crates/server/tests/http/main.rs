//! The server over real sockets on a port that the system chose, with a scripted engine behind it.

mod client;
mod connections;
mod docs;
mod grpc;
mod info;
mod kserve;
mod limits;
mod metrics;
mod missing;
mod predict;
mod support;
mod traces;
