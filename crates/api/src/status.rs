//! What an [`ErrorKind`] means outside: one row a kind, one column a protocol.

use tintype_core::ErrorKind;

/// Who may read an error's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The caller, who can act on it.
    Caller,
    /// The operator alone: the message may name paths and internals; a caller reads `internal error`.
    Operator,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status code.
    pub http: u16,
    /// The exit code of a command that fails so; those of `sysexits.h` where one fits.
    pub exit: u8,
    /// Who may read the message that a server answers with.
    pub audience: Audience,
}

/// The table. There is no wildcard: a new kind must say here what it means.
pub fn status(kind: ErrorKind) -> Status {
    use Audience::{Caller, Operator};
    let (http, exit, audience) = match kind {
        ErrorKind::NotAnImage => (400, 65, Caller),
        ErrorKind::CorruptImage => (400, 65, Caller),
        ErrorKind::UnsupportedImage => (400, 65, Caller),
        ErrorKind::ImageTooLarge => (400, 65, Caller),
        ErrorKind::PayloadTooLarge => (413, 65, Caller),
        ErrorKind::UnsupportedMediaType => (415, 65, Caller),
        ErrorKind::InvalidRequest => (422, 65, Caller),
        ErrorKind::InvalidArgument => (400, 64, Caller),
        ErrorKind::NotFound => (404, 66, Caller),
        ErrorKind::UnknownModel => (404, 66, Caller),
        ErrorKind::AlreadyExists => (409, 65, Caller),
        ErrorKind::RequestTimeout => (408, 75, Caller),
        ErrorKind::Overloaded => (429, 75, Caller),
        // nginx's number for a caller that hung up: nobody reads it but the log.
        ErrorKind::Cancelled => (499, 130, Caller),
        ErrorKind::Unsupported => (501, 69, Caller),
        ErrorKind::NotReady => (503, 69, Caller),
        ErrorKind::DeadlineExceeded => (504, 75, Caller),
        // Wrong on the server's own disk: no request can cause these.
        ErrorKind::InvalidConfig => (500, 78, Operator),
        ErrorKind::InvalidPackage => (500, 65, Operator),
        ErrorKind::InvalidModel => (500, 65, Operator),
        ErrorKind::MissingRuntime => (500, 69, Operator),
        ErrorKind::Engine => (500, 70, Operator),
        ErrorKind::Io => (500, 74, Operator),
        ErrorKind::Internal => (500, 70, Operator),
    };
    Status { http, exit, audience }
}
