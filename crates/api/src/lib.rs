//! The wire: types of requests and answers, what an error means to each protocol, the OpenAPI document, a client.
//!
//! Nothing here reads a socket or knows the runtime: the server, the command line and the client share these types, so
//! that what one writes the other reads. [`status`] is the one place where an [`ErrorKind`](tintype_core::ErrorKind)
//! becomes a number.

#[cfg(feature = "client")]
mod client;
mod error;
mod info;
pub mod kserve;
pub mod openapi;
mod predict;
mod status;

#[cfg(feature = "client")]
pub use client::Client;
pub use error::{ErrorBody, ErrorDetail};
pub use info::{ClassesResponse, HealthResponse, HealthStatus, RootResponse};
pub use predict::{PredictJson, PredictReader, PredictResponse, ScoredLabel, decode_base64};
pub use status::{Audience, Grpc, Status, status};
