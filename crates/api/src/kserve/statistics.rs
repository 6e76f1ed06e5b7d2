//! What models did, in Triton's groups.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The answer to `GET /v2/models/stats` and its like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatisticsReply {
    /// A version of a model each.
    pub model_stats: Vec<ModelStatistics>,
}

/// What one version of a model did since it was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelStatistics {
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// When the last request came, in milliseconds since 1970; 0 for never.
    pub last_inference: u64,
    /// Rows computed.
    pub inference_count: u64,
    /// Batches computed.
    pub execution_count: u64,
    /// Times by stage.
    pub inference_stats: InferStatistics,
    /// Of decoupled models, which are not here: always empty.
    pub response_stats: BTreeMap<String, Duration>,
    /// Times by the size of the batch.
    pub batch_stats: Vec<BatchStatistics>,
    /// What its sessions take, where that is known.
    pub memory_usage: Vec<MemoryUsage>,
}

/// How often, and for how long in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duration {
    /// How often.
    pub count: u64,
    /// Nanoseconds in all.
    pub ns: u64,
}

/// Times of requests by stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InferStatistics {
    /// From the request to its answer, of those that succeeded.
    pub success: Duration,
    /// The same of those that failed.
    pub fail: Duration,
    /// Waiting for an instance.
    pub queue: Duration,
    /// Preparing the inputs.
    pub compute_input: Duration,
    /// Running the model.
    pub compute_infer: Duration,
    /// Extracting the outputs.
    pub compute_output: Duration,
    /// Answering from the cache.
    pub cache_hit: Duration,
    /// Looking in vain, and storing what was computed then.
    pub cache_miss: Duration,
}

/// Times of batches of one size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchStatistics {
    /// Rows in the batch.
    pub batch_size: u64,
    /// Preparing the inputs.
    pub compute_input: Duration,
    /// Running the model.
    pub compute_infer: Duration,
    /// Extracting the outputs.
    pub compute_output: Duration,
}

/// Memory of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUsage {
    /// The kind, e.g. `CPU`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which of them.
    pub id: i64,
    /// How many bytes.
    pub byte_size: u64,
}
