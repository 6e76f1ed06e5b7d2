//! Triton's model configuration.

pub mod proto;

pub use proto::ModelConfig;
