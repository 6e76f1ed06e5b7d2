//! What a server says of itself and its model.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to `GET /`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RootResponse {
    /// Whether the default model can answer.
    pub status: HealthStatus,
    /// Who is speaking.
    #[schema(example = "tintype 0.1.0 is running; see /docs")]
    pub message: String,
}

/// Whether the model can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// It can.
    Healthy,
    /// It cannot, now.
    NotReady,
}

/// The answer to `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthResponse {
    /// Whether the model can answer.
    pub status: HealthStatus,
    /// The same as a boolean.
    pub model_loaded: bool,
    /// How many classes the model tells apart; 0 while it is not loaded.
    #[schema(example = 3)]
    pub num_classes: usize,
    /// The classes by index.
    #[schema(example = json!(["angular_leaf_spot", "bean_rust", "healthy"]))]
    pub classes: Vec<String>,
}

/// The answer to `GET /classes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClassesResponse {
    /// How many classes the model tells apart.
    #[schema(example = 3)]
    pub num_classes: usize,
    /// The classes by index.
    #[schema(example = json!(["angular_leaf_spot", "bean_rust", "healthy"]))]
    pub classes: Vec<String>,
}
