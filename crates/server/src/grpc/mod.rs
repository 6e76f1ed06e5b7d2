//! gRPC: `inference.GRPCInferenceService`, `grpc.health.v1.Health` and reflection.
//!
//! `service` is the list of methods; each asks what the HTTP route of the same name asks. `call` is what all have in
//! common: the lock of their family, the count, and the one point where an error becomes a status.

mod call;
mod health;
mod service;
mod stream;

use std::sync::Arc;

use axum::Router;
use tintype_api::kserve::proto::DESCRIPTORS;
use tintype_core::{Error, ErrorKind, Result};
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::Builder;

use crate::Compression;
use crate::app::App;
use health::Health;
use pb::grpc_inference_service_server::GrpcInferenceServiceServer;
use service::Service;

/// The service, generated from `crates/api/proto/grpc_service.proto`.
#[expect(clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated")]
mod pb {
    tonic::include_proto!("inference");
}

/// All methods.
///
/// # Errors
/// `Internal` when the services' descriptions are damaged.
pub(crate) fn router(app: Arc<App>) -> Result<Router> {
    let most = app.config.max_message_bytes;
    let mut inference = GrpcInferenceServiceServer::new(Service { app: app.clone() })
        .max_decoding_message_size(most)
        .max_encoding_message_size(usize::MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate);
    if app.config.grpc_compression == Compression::Offered {
        inference = inference
            .send_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Deflate);
    }
    let damaged =
        |error| Error::new(ErrorKind::Internal, "the description of gRPC's methods").with_source(error);
    let described = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::new(inference)
        .add_service(HealthServer::new(Health { app }))
        .add_service(described().build_v1().map_err(damaged)?)
        .add_service(described().build_v1alpha().map_err(damaged)?);
    Ok(routes.into_axum_router())
}
