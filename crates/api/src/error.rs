//! The body of every error answer.

use serde::{Deserialize, Serialize};
use tintype_core::Error;
use utoipa::ToSchema;

use crate::{Audience, status};

/// What a caller reads where the message is the operator's.
const INTERNAL: &str = "internal error";

/// An error as JSON. Clients of FastAPI read `detail`, programs read `error.kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong, for people.
    #[schema(example = "the bytes are not an image of a known format")]
    pub detail: String,
    /// The same for programs.
    pub error: ErrorDetail,
}

/// An error's kind, message and hint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// One of a fixed set of names; see the status codes of each endpoint.
    #[schema(example = "not_an_image")]
    pub kind: String,
    /// What went wrong, for people.
    #[schema(example = "the bytes are not an image of a known format")]
    pub message: String,
    /// How to mend it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub hint: Option<String>,
}

impl From<&Error> for ErrorBody {
    fn from(error: &Error) -> Self {
        match status(error.kind()).audience {
            Audience::Caller => {
                Self::new(error.kind().as_str(), error.message(), error.hint().map(str::to_owned))
            }
            Audience::Operator => Self::new("internal", INTERNAL, None),
        }
    }
}

impl ErrorBody {
    /// A body of kind, message and hint.
    pub fn new(kind: &str, message: &str, hint: Option<String>) -> Self {
        let (kind, message) = (kind.to_owned(), message.to_owned());
        Self { detail: message.clone(), error: ErrorDetail { kind, message, hint } }
    }
}
