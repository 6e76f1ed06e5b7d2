//! Compiles `proto/model_config.proto` to Rust, and to the descriptors that its text format and JSON are read by.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use protox::prost_reflect::prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = protox::compile(["model_config.proto"], ["proto"])?;
    // Ordered maps, so that what is printed is the same each time.
    prost_build::Config::new().btree_map(["."]).compile_fds(files.clone())?;
    for file in &mut files.file {
        file.source_code_info = None;
    }
    fs::write(out.join("model_config.bin"), files.encode_to_vec())?;
    Ok(())
}
