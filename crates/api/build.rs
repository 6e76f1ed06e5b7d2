//! Compiles `proto/grpc_service.proto` to Rust, and to the descriptors that reflection answers with.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use protox::prost_reflect::prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=../core/proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = protox::compile(["grpc_service.proto"], ["proto", "../core/proto"])?;
    let mut config = prost_build::Config::new();
    // Slices of the message as it was received: tensors are copied out of them, once.
    config.btree_map(["."]).bytes(["."]);
    // The messages of the imported file are `tintype-core`'s.
    let mut import = |name: &str| {
        config.extern_path(format!(".inference.{name}"), format!("::tintype_core::triton::proto::{name}"));
    };
    for file in files.file.iter().filter(|file| file.name() == "model_config.proto") {
        for message in &file.message_type {
            import(message.name());
        }
        for kind in &file.enum_type {
            import(kind.name());
        }
    }
    config.compile_fds(files.clone())?;
    for file in &mut files.file {
        file.source_code_info = None;
    }
    fs::write(out.join("grpc_service.bin"), files.encode_to_vec())?;
    Ok(())
}
