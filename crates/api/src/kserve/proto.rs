//! The messages of `proto/grpc_service.proto`, generated.
include!(concat!(env!("OUT_DIR"), "/inference.rs"));

/// The compiled `grpc_service.proto` with what it imports: an encoded `google.protobuf.FileDescriptorSet`, without
/// comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/grpc_service.bin"));
