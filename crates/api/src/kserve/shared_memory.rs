//! Regions of shared memory.

use serde::{Deserialize, Serialize};
use tintype_core::Result;

use super::parse_json;

/// A request to register a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object")]
pub struct Register {
    /// The object's name, as `shm_open` takes it, e.g. `/input`.
    pub key: String,
    /// Bytes from the object's beginning.
    #[serde(default)]
    pub offset: u64,
    /// How many bytes.
    pub byte_size: u64,
}

impl Register {
    /// Reads the body of a register request.
    ///
    /// # Errors
    /// `InvalidArgument` for a body that is not such a request.
    pub fn parse(body: &[u8]) -> Result<Self> {
        parse_json(body)
    }
}

/// A registered region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionStatus {
    /// The name under which requests speak of it.
    pub name: String,
    /// The object's name.
    pub key: String,
    /// Bytes from the object's beginning.
    pub offset: u64,
    /// How many bytes.
    pub byte_size: u64,
}
