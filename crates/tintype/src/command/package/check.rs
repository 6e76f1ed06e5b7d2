//! Whether a package's spec and labels fit its ONNX graph.

use tintype_core::image::Limits;
use tintype_core::triton::Defaults;
use tintype_core::{Error, ErrorKind, ImageClassifier, Package, Result, Signature, TensorSpec};
use tintype_graph::Model;

/// What a model takes and gives.
#[derive(Debug)]
pub struct Interface {
    pub inputs: Vec<TensorSpec>,
    pub outputs: Vec<TensorSpec>,
}

/// Reads what a package's ONNX file says of its inputs and outputs.
pub fn interface(package: &Package) -> Result<Interface> {
    let model = Model::from_bytes(&package.model.bytes()?)?;
    Ok(Interface { inputs: model.inputs()?, outputs: model.outputs()? })
}

/// Checks a package as it will be used: by its `config.pbtxt` where it has one, as an image classifier where it has a
/// preprocessing, and by its labels alone where raw tensors go in.
pub fn fits(package: &Package) -> Result<()> {
    let interface = interface(package)?;
    if package.config.is_some() {
        let (limits, defaults) = (Limits::default(), Defaults::default());
        Signature::new(package, &interface.inputs, &interface.outputs, limits, &defaults)?;
    }
    if package.spec.preprocess.is_some() {
        ImageClassifier::new(package, &interface.inputs, &interface.outputs, Limits::default()).map(|_| ())
    } else {
        labels_fit(package, &interface.outputs)
    }
}

fn labels_fit(package: &Package, outputs: &[TensorSpec]) -> Result<()> {
    let scores = match &package.spec.output {
        Some(name) => outputs.iter().find(|output| output.name == *name),
        None => outputs.first(),
    };
    // Batch first, then a score for each class; a dynamic axis says nothing.
    let classes = scores.and_then(|scores| scores.shape.get(1).copied().flatten());
    match classes.filter(|n| !package.labels.is_empty() && *n != package.labels.len()) {
        Some(classes) => Err(Error::new(
            ErrorKind::InvalidModel,
            format!("expected {classes} labels, found {}", package.labels.len()),
        )),
        None => Ok(()),
    }
}
