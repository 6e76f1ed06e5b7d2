//! Serves one model: `cargo run --release -p tintype-server --example serve -- MODEL [PORT] [INSTANCES] [BATCH]`.

use std::path::Path;
use std::sync::Arc;

use tintype_core::{ErrorKind, Package, Result, package::ArchiveLimits};
use tintype_engine::ort::OrtBackend;
use tintype_runtime::{ModelConfig, Runtime, RuntimeConfig};
use tintype_server::{Server, ServerConfig};

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let missing = || tintype_core::Error::new(ErrorKind::InvalidArgument, "expected a model");
    let package =
        Package::open(Path::new(&arguments.next().ok_or_else(missing)?), &ArchiveLimits::default())?;
    let mut number = |default: usize| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let port = number(8000);
    let defaults = ModelConfig::default();
    let model =
        ModelConfig { instances: number(defaults.instances), max_batch_size: Some(number(8)), ..defaults };
    let runtime = Arc::new(Runtime::new(Arc::new(OrtBackend::new()?), RuntimeConfig::default())?);
    runtime.load(&package, &model)?;
    let mut config = ServerConfig::default();
    config.address.set_port(u16::try_from(port).unwrap_or(8000));
    let server = Server::bind(config, runtime).await?;
    tracing::info!(address = %server.local_addr(), "serving");
    server
        .serve(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await
}
