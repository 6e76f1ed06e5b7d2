//! `POST /predict`: the JSON request and its answer.

mod reader;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tintype_core::{Error, ErrorKind, Prediction, Result};
use utoipa::ToSchema;

pub use reader::PredictReader;

/// The JSON form of a request. Its image is borrowed from the body unless it holds escapes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictJson<'a> {
    /// The encoded image in standard base64 with padding; a `data:…;base64,` prefix is tolerated.
    #[serde(borrow)]
    #[schema(value_type = String, content_encoding = "base64", example = "/9j/4AAQSkZJRgABAQAAAQABAAD…")]
    pub image: Cow<'a, str>,
}

impl<'a> PredictJson<'a> {
    /// Parses a request body.
    ///
    /// # Errors
    /// `InvalidRequest` for bad syntax, and for missing, unknown and wrongly typed fields.
    pub fn parse(body: &'a [u8]) -> Result<Self> {
        sonic_rs::from_slice(body).map_err(|error| refused(&error, true))
    }
}

/// What is wrong with a body, and at `located` also where.
fn refused(error: &sonic_rs::Error, located: bool) -> Error {
    // The whole text shows an excerpt of the body over several lines; its first line says what is wrong.
    let text = error.to_string();
    let mut reason = text.lines().next().unwrap_or_default();
    if let Some((without, _)) = reason.rsplit_once(" at line ").filter(|_| !located) {
        reason = without;
    }
    Error::new(ErrorKind::InvalidRequest, format!("the body is not the JSON that was expected: {reason}"))
        .with_hint("send `{\"image\": \"<base64 of the encoded image>\"}`")
}

/// The bytes behind `text`: standard base64 with padding, perhaps as a data URL.
///
/// # Errors
/// `InvalidRequest` when it is not base64.
pub fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let payload = match text.strip_prefix("data:") {
        Some(url) => url.split_once(";base64,").map(|(_, payload)| payload).ok_or_else(not_base64)?,
        None => text,
    };
    base64_simd::STANDARD.decode_to_vec(payload).map_err(|_| not_base64())
}

fn not_base64() -> Error {
    Error::new(ErrorKind::InvalidRequest, "field `image`: expected standard base64 with padding")
}

/// The answer to `POST /predict`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PredictResponse {
    /// The most probable class.
    #[schema(example = "healthy")]
    pub prediction: String,
    /// The most probable classes, best first.
    pub predictions: Vec<ScoredLabel>,
    /// The first of them.
    pub top_prediction: ScoredLabel,
    /// Whether the model is too unsure: the confidence is below its class's threshold. Only where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = false)]
    pub abstain: Option<bool>,
}

/// A class with its probability, under the two names by which clients know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoredLabel {
    /// The class.
    #[schema(example = "healthy")]
    pub label: String,
    /// Its probability, 0 to 1.
    #[schema(example = 0.93, minimum = 0, maximum = 1)]
    pub confidence: f32,
    /// The same number.
    #[schema(example = 0.93, minimum = 0, maximum = 1)]
    pub probability: f32,
}

impl PredictResponse {
    /// The answer that holds `predictions`, best first.
    ///
    /// # Errors
    /// `Internal` when there are none.
    pub fn new(predictions: Vec<Prediction>) -> Result<Self> {
        let predictions: Vec<ScoredLabel> = predictions.into_iter().map(ScoredLabel::from).collect();
        let top_prediction = predictions
            .first()
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "an answer needs at least one prediction"))?;
        Ok(Self { prediction: top_prediction.label.clone(), predictions, top_prediction, abstain: None })
    }
}

impl From<Prediction> for ScoredLabel {
    fn from(prediction: Prediction) -> Self {
        let Prediction { label, confidence, .. } = prediction;
        Self { label, confidence, probability: confidence }
    }
}
