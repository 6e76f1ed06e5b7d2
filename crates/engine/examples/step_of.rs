//! One training step's loss and gradients of any ONNX classifier, at the numbers that its file has.
//!
//! ```text
//! cargo run -p tintype-engine --example step_of -- MODEL.onnx FOLDER
//! ```
//! FOLDER holds `image.f32` (N × 3 × S × S) and `targets.f32` (N × classes), little endian without headers, and `batch` with N
//! as text; `parameters.txt` is written, a name a line, `loss.f32`, and the gradient of line I (from 0) as `<I>.f32`. What has
//! no gradient is an error that names the operator. `scripts/compare_exports.py` compares the numbers with PyTorch's.

use std::path::{Path, PathBuf};

use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor};
use tintype_engine::ort::OrtBackend;
use tintype_engine::{Backend, SessionOptions};
use tintype_graph::{GradientOptions, Model, differentiate};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(file), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err(Error::new(ErrorKind::InvalidArgument, "expected a model and a folder"));
    };
    let text = std::fs::read_to_string(folder.join("batch")).map_err(|e| Error::io(&folder, e))?;
    let batch: usize = text.trim().parse().map_err(|_| {
        Error::new(ErrorKind::InvalidArgument, format!("`batch`: expected a number, found `{text}`"))
    })?;
    let mut model = Model::read(&file)?;
    model.free_batch();
    model.untie();
    let graph = differentiate(&model, &GradientOptions { batch, fused: true, trainable: &|_| true })?;
    let source = ModelSource::Bytes(graph.model.to_bytes().into());
    let options = SessionOptions { intra_threads: 2, custom_operators: true, ..SessionOptions::default() };
    let mut session = OrtBackend::new()?.load(&source, &options)?;

    let seed = Tensor::new([1], vec![0i64])?;
    let image = read(&folder, "image")?;
    let side = ((image.len() / (3 * batch)) as f64).sqrt() as usize;
    let targets = read(&folder, "targets")?;
    let mut inputs = vec![
        Tensor::new([batch, 3, side, side], image)?,
        Tensor::new([batch, targets.len() / batch], targets)?,
    ];
    inputs.extend(graph.has_seed.then_some(seed));
    for parameter in &graph.parameters {
        inputs.push(Tensor::new(parameter.shape.clone(), parameter.values.clone())?);
    }
    let outputs = session.run(&inputs.iter().collect::<Vec<_>>())?;
    write(&folder, "loss", &outputs[0])?;
    let names: String = graph.parameters.iter().map(|p| format!("{}\n", p.name)).collect();
    std::fs::write(folder.join("parameters.txt"), names).map_err(|e| Error::io(&folder, e))?;
    for (index, gradient) in outputs[2..].iter().take(graph.parameters.len()).enumerate() {
        write(&folder, &index.to_string(), gradient)?;
    }
    Ok(())
}

fn read(folder: &Path, name: &str) -> Result<Vec<f32>> {
    let path = folder.join(format!("{name}.f32"));
    let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
    Ok(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

fn write(folder: &Path, name: &str, tensor: &Tensor) -> Result<()> {
    let path = folder.join(format!("{name}.f32"));
    let bytes: Vec<u8> = tensor.values::<f32>()?.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(&path, bytes).map_err(|e| Error::io(&path, e))
}
