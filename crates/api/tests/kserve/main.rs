//! KServe's wire: what is read, what is written, and that one gives back the other.

mod ask;
mod classification;
mod generate;
mod grpc;
mod identity;
mod request;
mod response;
mod small;
mod support;
