//! What a model is asked, and what it answers. The way in between is [`Admitted`](crate::Admitted)'s.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tintype_core::{NamedTensor, Prediction};

/// An image to classify.
#[derive(Debug, Clone)]
pub struct Request {
    /// The model's name; `None` for the one that was loaded first.
    pub model: Option<String>,
    /// The encoded image.
    pub image: Bytes,
    /// The rest.
    pub options: InferOptions,
}

/// What a caller may choose.
#[derive(Debug, Clone, Copy, Default)]
pub struct InferOptions {
    /// How many predictions to answer with; the model's own number where `None`.
    pub top_k: Option<usize>,
    /// When the answer is of no use any more.
    pub deadline: Option<tokio::time::Instant>,
    /// Whether to say if the model is too unsure to answer; the package's choice where `None`.
    pub abstain: Option<bool>,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The classes, best first; never empty.
    pub predictions: Vec<Prediction>,
    /// Whether the best is below its class's threshold; `None` where nobody asked.
    pub abstain: Option<bool>,
}

/// Tensors for a model, in KServe's terms.
#[derive(Debug, Clone, Default)]
pub struct InferRequest {
    /// What the client calls it; errors name it.
    pub id: String,
    /// Raw tensors, or encoded images, as the model's configuration declares them.
    pub inputs: Vec<NamedTensor>,
    /// The outputs wanted, by name; all where empty.
    pub outputs: Vec<String>,
    /// 1 is the most urgent; 0 asks for the model's default.
    pub priority: u64,
    /// How long it may wait in the queue, as far as the queue's policy leaves that to requests; where it does not, how
    /// long the whole request may take.
    pub timeout: Option<Duration>,
    /// When the answer is of no use any more.
    pub deadline: Option<tokio::time::Instant>,
}

/// The answer to an [`InferRequest`].
#[derive(Debug, Clone, PartialEq)]
pub struct InferResponse {
    /// The model that answered.
    pub model: Arc<str>,
    /// Its version.
    pub version: u64,
    /// The outputs, in the order asked for, or in the model's.
    pub outputs: Vec<NamedTensor>,
}
