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

/// A status code of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Grpc {
    /// `CANCELLED`
    Cancelled = 1,
    /// `INVALID_ARGUMENT`
    InvalidArgument = 3,
    /// `DEADLINE_EXCEEDED`
    DeadlineExceeded = 4,
    /// `NOT_FOUND`
    NotFound = 5,
    /// `ALREADY_EXISTS`
    AlreadyExists = 6,
    /// `RESOURCE_EXHAUSTED`
    ResourceExhausted = 8,
    /// `UNIMPLEMENTED`
    Unimplemented = 12,
    /// `INTERNAL`
    Internal = 13,
    /// `UNAVAILABLE`
    Unavailable = 14,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status code of tintype's own routes.
    pub http: u16,
    /// The HTTP status code of KServe's routes, which is what Triton answers.
    pub kserve: u16,
    /// The gRPC status code.
    pub grpc: Grpc,
    /// The exit code of a command that fails so; those of `sysexits.h` where one fits.
    pub exit: u8,
    /// Who may read the message that a server answers with.
    pub audience: Audience,
}

/// The table. There is no wildcard: a new kind must say here what it means.
pub fn status(kind: ErrorKind) -> Status {
    use Audience::{Caller, Operator};
    let (http, kserve, grpc, exit, audience) = match kind {
        ErrorKind::NotAnImage => (400, 400, Grpc::InvalidArgument, 65, Caller),
        ErrorKind::CorruptImage => (400, 400, Grpc::InvalidArgument, 65, Caller),
        ErrorKind::UnsupportedImage => (400, 400, Grpc::InvalidArgument, 65, Caller),
        ErrorKind::ImageTooLarge => (400, 400, Grpc::InvalidArgument, 65, Caller),
        ErrorKind::PayloadTooLarge => (413, 400, Grpc::ResourceExhausted, 65, Caller),
        ErrorKind::UnsupportedMediaType => (415, 415, Grpc::Unimplemented, 65, Caller),
        ErrorKind::InvalidRequest => (422, 400, Grpc::InvalidArgument, 65, Caller),
        ErrorKind::InvalidArgument => (400, 400, Grpc::InvalidArgument, 64, Caller),
        ErrorKind::NotFound => (404, 404, Grpc::NotFound, 66, Caller),
        ErrorKind::UnknownModel => (404, 400, Grpc::InvalidArgument, 66, Caller),
        ErrorKind::AlreadyExists => (409, 400, Grpc::AlreadyExists, 65, Caller),
        ErrorKind::RequestTimeout => (408, 408, Grpc::DeadlineExceeded, 75, Caller),
        ErrorKind::Overloaded => (429, 503, Grpc::Unavailable, 75, Caller),
        // nginx's number for a caller that hung up: nobody reads it but the log.
        ErrorKind::Cancelled => (499, 400, Grpc::Cancelled, 130, Caller),
        ErrorKind::Unsupported => (501, 501, Grpc::Unimplemented, 69, Caller),
        ErrorKind::NotReady => (503, 503, Grpc::Unavailable, 69, Caller),
        ErrorKind::QueueTimeout => (503, 503, Grpc::Unavailable, 75, Caller),
        ErrorKind::DeadlineExceeded => (504, 504, Grpc::DeadlineExceeded, 75, Caller),
        // Of commands alone; a number of its own, which scripts can tell from every failure.
        ErrorKind::Inaccurate => (500, 500, Grpc::Internal, 3, Operator),
        // Wrong on the server's own disk: no request can cause these.
        ErrorKind::InvalidConfig => (500, 500, Grpc::Internal, 78, Operator),
        ErrorKind::InvalidPackage => (500, 500, Grpc::Internal, 65, Operator),
        ErrorKind::InvalidModel => (500, 500, Grpc::Internal, 65, Operator),
        ErrorKind::MissingRuntime => (500, 500, Grpc::Internal, 69, Operator),
        ErrorKind::Engine => (500, 500, Grpc::Internal, 70, Operator),
        ErrorKind::Io => (500, 500, Grpc::Internal, 74, Operator),
        ErrorKind::Internal => (500, 500, Grpc::Internal, 70, Operator),
    };
    Status { http, kserve, grpc, exit, audience }
}
