//! KServe's open inference protocol, version 2, with Triton's extensions: what its two wires say.
//!
//! ```text
//! request::decode   HTTP body ──┐                              ┌── response::encode   HTTP body
//! raw::decode       bare bytes ─┼─► Request ─► (runtime) ─► reply
//! grpc::decode      protobuf  ──┘                              └── grpc::encode       protobuf
//! ```
//!
//! Both wires meet in [`Request`] and [`Reply`]. A request becomes typed tensors in one copy: a JSON array is parsed
//! straight into the vector that the model gets, a binary blob is copied there once. Numbers of a request are bounded
//! by the bytes that it has, so a short body cannot ask for a large allocation.
//!
//! Which names, types and shapes a model takes is deliberately elsewhere (`tintype_core::Signature`), and so are
//! sockets, compression, shared memory and the routes (`tintype-server`).

pub mod ask;
pub mod binary;
pub mod classification;
mod data;
mod depth;
pub mod generate;
mod given;
pub mod grpc;
mod metadata;
mod parameters;
pub mod proto;
pub mod raw;
mod reply;
pub mod repository;
pub mod request;
pub mod response;
pub mod settings;
mod shared_memory;
mod statistics;

pub use metadata::{ModelMetadata, ServerMetadata, TensorMetadata};
pub use parameters::{Options, Parameter, Parameters};
pub use reply::{Content, Outputs, Reply, ReplyOutput};
pub use request::{Form, Input, Output, Region, Request, Value};
pub use shared_memory::{RegionStatus, Register};
pub use statistics::{
    BatchStatistics, Duration, InferStatistics, MemoryUsage, ModelStatistics, StatisticsReply,
};

use serde::{Deserialize, Serialize};
use tintype_core::{Error, ErrorKind};

use crate::{Audience, status};

/// The body of every error answer of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, for people.
    pub error: String,
}

impl From<&Error> for ErrorBody {
    fn from(error: &Error) -> Self {
        Self { error: message(error).to_owned() }
    }
}

/// What a caller may read of `error`.
pub fn message(error: &Error) -> &str {
    match status(error.kind()).audience {
        Audience::Caller => error.message(),
        Audience::Operator => "internal error",
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// Parses a JSON body whose text, not its meaning, may be wrong.
fn parse_json<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Error> {
    if !depth::is_shallow(text) {
        return Err(invalid("failed to parse the request JSON buffer: it nests too deep"));
    }
    sonic_rs::from_slice(text).map_err(|error| {
        // The whole text shows an excerpt of the body over several lines; its first line says what is wrong.
        let text = error.to_string();
        let reason = text.lines().next().unwrap_or_default();
        invalid(format!("failed to parse the request JSON buffer: {reason}"))
    })
}
