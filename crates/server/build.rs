//! Generates the gRPC service of `crates/api/proto/grpc_service.proto`, over the messages that `tintype-api` has.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../api/proto");
    println!("cargo:rerun-if-changed=../core/proto");
    let files = protox::compile(["grpc_service.proto"], ["../api/proto", "../core/proto"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".inference", "::tintype_api::kserve::proto")
        .compile_fds(files)?;
    Ok(())
}
