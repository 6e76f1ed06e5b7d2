//! Computes the gradients of the small CNN at its full width, of numbers in files.
//!
//! ```text
//! cargo run -p tintype-engine --example gradients -- FOLDER
//! ```
//! FOLDER holds `image.f32` (32 × 3 × 64 × 64), `targets.f32` (32 × 2) and `<parameter>.f32` for every parameter, little
//! endian without headers; `<parameter>.gradient.f32` is written beside each, and `loss.f32`.
//! `scripts/compare_gradients.py` makes the numbers and compares the gradients with PyTorch's.

use std::path::{Path, PathBuf};

use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor};
use tintype_engine::ort::OrtBackend;
use tintype_engine::{Backend, SessionOptions};
use tintype_graph::arch::{SmallCnn, small_cnn};
use tintype_graph::{GradientOptions, differentiate};

const BATCH: usize = 32;
const SPEC: SmallCnn =
    SmallCnn { classes: 2, image: 64, widths: [64, 128, 256, 512], hidden: 100, dropout: 0.0, seed: 0 };

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "expected a folder"))?;
    let options = GradientOptions { batch: BATCH, fused: true, trainable: &|_| true };
    let graph = differentiate(&small_cnn(&SPEC)?, &options)?;
    let source = ModelSource::Bytes(graph.model.to_bytes().into());
    let options = SessionOptions { intra_threads: 2, custom_operators: true, ..SessionOptions::default() };
    let mut session = OrtBackend::new()?.load(&source, &options)?;

    let mut inputs = vec![
        read(&folder, "image", &[BATCH, 3, SPEC.image, SPEC.image])?,
        read(&folder, "targets", &[BATCH, SPEC.classes])?,
    ];
    for parameter in &graph.parameters {
        inputs.push(read(&folder, &parameter.name, &parameter.shape)?);
    }
    let outputs = session.run(&inputs.iter().collect::<Vec<_>>())?;
    write(&folder, "loss", &outputs[0])?;
    for (parameter, gradient) in graph.parameters.iter().zip(&outputs[2..]) {
        write(&folder, &format!("{}.gradient", parameter.name), gradient)?;
    }
    Ok(())
}

fn read(folder: &Path, name: &str, shape: &[usize]) -> Result<Tensor> {
    let path = folder.join(format!("{name}.f32"));
    let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
    Tensor::new(shape, bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<_>>())
}

fn write(folder: &Path, name: &str, tensor: &Tensor) -> Result<()> {
    let path = folder.join(format!("{name}.f32"));
    let bytes: Vec<u8> = tensor.values::<f32>()?.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(&path, bytes).map_err(|e| Error::io(&path, e))
}
