//! Computes the gradients of the small CNN at its full width, of numbers in files.
//!
//! ```text
//! cargo run -p tintype-engine --example gradients -- FOLDER
//! ```
//! FOLDER holds `image.f32` (32 × 3 × 64 × 64), `targets.f32` (32 × 2) and `<parameter>.f32` for every parameter, little
//! endian without headers; `<parameter>.gradient.f32` is written beside each, and `loss.f32`. What the ReLUs gave is written
//! to `relu1.f32` to `relu5.f32`: it shows which way each of them and each max-pool went.
//! `scripts/compare_gradients.py` makes the numbers and compares the gradients with PyTorch's.

use std::path::{Path, PathBuf};

use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor};
use tintype_engine::ort::OrtBackend;
use tintype_engine::{Backend, SessionOptions};
use tintype_graph::arch::{ArchSpec, find};
use tintype_graph::proto::{DataType, Dimension, ValueInfoProto};
use tintype_graph::{GradientOptions, Model, differentiate};

const BATCH: usize = 32;
const CLASSES: usize = 2;
const IMAGE: usize = 64;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "expected a folder"))?;
    let options = GradientOptions { batch: BATCH, fused: true, trainable: &|_| true };
    let sizes = ArchSpec { image: IMAGE, dropout: Some(0.0), ..ArchSpec::new(CLASSES) };
    let spec = ArchSpec { widths: Some([64, 128, 256, 512]), hidden: Some(100), ..sizes };
    let mut graph = differentiate(&find("small_cnn")?.build(&spec)?, &options)?;
    let relus = add_relus(&mut graph.model);
    let source = ModelSource::Bytes(graph.model.to_bytes().into());
    let options = SessionOptions { intra_threads: 2, custom_operators: true, ..SessionOptions::default() };
    let mut session = OrtBackend::new()?.load(&source, &options)?;

    let mut inputs = vec![
        read(&folder, "image", &[BATCH, 3, IMAGE, IMAGE])?,
        read(&folder, "targets", &[BATCH, CLASSES])?,
    ];
    for parameter in &graph.parameters {
        inputs.push(read(&folder, &parameter.name, &parameter.shape)?);
    }
    let outputs = session.run(&inputs.iter().collect::<Vec<_>>())?;
    write(&folder, "loss", &outputs[0])?;
    for (parameter, gradient) in graph.parameters.iter().zip(&outputs[2..]) {
        write(&folder, &format!("{}.gradient", parameter.name), gradient)?;
    }
    for (i, relu) in (1..).zip(&outputs[outputs.len() - relus..]) {
        write(&folder, &format!("relu{i}"), relu)?;
    }
    Ok(())
}

/// Makes the results of all ReLUs outputs, behind the others, and says how many there are.
fn add_relus(model: &mut Model) -> usize {
    let graph = model.graph_mut();
    let relus = graph.node.iter().filter_map(|node| {
        let rank = match node.op_type.as_str() {
            "BatchNormTrain" => 4,
            "Relu" => 2,
            _ => return None,
        };
        let axes = (0..rank).map(|axis| Dimension::named(&format!("relu_{axis}"))).collect();
        Some(ValueInfoProto::tensor(node.output.first()?, DataType::Float, axes))
    });
    let relus: Vec<_> = relus.collect();
    let count = relus.len();
    graph.output.extend(relus);
    count
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
