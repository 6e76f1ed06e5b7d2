//! The messages of `proto/model_config.proto`, generated.
include!(concat!(env!("OUT_DIR"), "/inference.rs"));

/// The compiled `model_config.proto`: an encoded `google.protobuf.FileDescriptorSet`, without comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/model_config.bin"));
