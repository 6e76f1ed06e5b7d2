//! The one error type of the workspace's libraries.
//!
//! An [`Error`] has a [`ErrorKind`] that programs act on, a message for people, and sometimes a hint. What a kind
//! means to HTTP or to an exit code is written in one table in `tintype-api`; nothing here knows protocols.

use std::fmt;
use std::time::Duration;

/// `Result` with the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller can act on it.
///
/// Matched without a wildcard where a protocol gives each kind its status, so that a new kind is a compile error there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The bytes are not an image of a known format.
    NotAnImage,
    /// The bytes begin as an image but end early or are damaged.
    CorruptImage,
    /// The format is known but this variety of it is not supported.
    UnsupportedImage,
    /// The header announces more pixels, or decoding would need more memory, than the limits allow.
    ImageTooLarge,
    /// The request or file has more bytes than the limit allows.
    PayloadTooLarge,
    /// The content type of the request is not one that the endpoint takes.
    UnsupportedMediaType,
    /// The request is well-formed but lacks a field or has one of a wrong type.
    InvalidRequest,
    /// A value given by the caller is out of range or of the wrong shape or type.
    InvalidArgument,
    /// A configuration file, spec or override is wrong.
    InvalidConfig,
    /// A package or archive is damaged, hostile or incomplete.
    InvalidPackage,
    /// A model file is damaged or does not fit its spec.
    InvalidModel,
    /// The named model, version, file or route does not exist.
    NotFound,
    /// No model of this name is in any repository. Apart from `NotFound`, because Triton's protocol tells the two apart.
    UnknownModel,
    /// Something of this name is there already.
    AlreadyExists,
    /// The model exists but cannot answer now.
    NotReady,
    /// No capacity; try again later.
    Overloaded,
    /// The request waited longer in the queue than the queue's policy allows.
    QueueTimeout,
    /// The deadline passed before the work was done.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// The caller was too slow in sending its request.
    RequestTimeout,
    /// Understood, but not supported by this build or version.
    Unsupported,
    /// What was made of a model answers worse than the caller allows.
    Inaccurate,
    /// ONNX Runtime's library is missing or of a wrong version.
    MissingRuntime,
    /// The engine failed to run the model.
    Engine,
    /// Reading or writing failed.
    Io,
    /// A fault of tintype itself.
    Internal,
}

impl ErrorKind {
    /// The kind's name as programs see it in JSON, e.g. `not_an_image`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAnImage => "not_an_image",
            Self::CorruptImage => "corrupt_image",
            Self::UnsupportedImage => "unsupported_image",
            Self::ImageTooLarge => "image_too_large",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidArgument => "invalid_argument",
            Self::InvalidConfig => "invalid_config",
            Self::InvalidPackage => "invalid_package",
            Self::InvalidModel => "invalid_model",
            Self::NotFound => "not_found",
            Self::UnknownModel => "unknown_model",
            Self::AlreadyExists => "already_exists",
            Self::NotReady => "not_ready",
            Self::Overloaded => "overloaded",
            Self::QueueTimeout => "queue_timeout",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Cancelled => "cancelled",
            Self::RequestTimeout => "request_timeout",
            Self::Unsupported => "unsupported",
            Self::Inaccurate => "inaccurate",
            Self::MissingRuntime => "missing_runtime",
            Self::Engine => "engine",
            Self::Io => "io",
            Self::Internal => "internal",
        }
    }
}

/// A failure with its kind, a message and, where there is one, a hint and a cause.
///
/// Messages are lowercase, without a final period, with literals in backticks, expected against found.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with a message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                hint: None,
                retry_after: None,
                source: None,
            }),
        }
    }

    /// The same error with advice on how to mend it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// The same error with an estimate of when the same request may succeed.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.inner.retry_after = Some(after);
        self
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// The same error with `context: ` before its message.
    #[must_use]
    pub fn context(self, context: impl fmt::Display) -> Self {
        self.prefixed(format_args!("{context}: "))
    }

    /// The same error with `prefix` right before its message.
    #[must_use]
    pub fn prefixed(mut self, prefix: impl fmt::Display) -> Self {
        self.inner.message = format!("{prefix}{}", self.inner.message);
        self
    }

    /// A failed read or write of `path`.
    pub fn io(path: &std::path::Path, error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        Self::new(kind, format!("`{}`: {error}", path.display())).with_source(error)
    }

    /// What programs act on.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The message, without hint and cause.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Advice on how to mend it.
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// When the same request may succeed, where that can be estimated.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("message", &self.inner.message)
            .field("hint", &self.inner.hint)
            .field("source", &self.inner.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}
