//! Completing a configuration from the model, as Triton's ONNX Runtime backend does.

use super::declare::{Made, Source, dims};
use super::{Model, invalid_config};
use crate::triton::proto::model_config::SchedulingChoice;
use crate::triton::proto::{
    DataType, ModelConfig, ModelDynamicBatching, ModelInput, ModelOutput, ModelTensorReshape,
};
use crate::triton::{self, Defaults};
use crate::{Result, TensorSpec};

/// The package's configuration, or an empty one, with what follows from the model and the defaults; checked.
pub(super) fn complete(model: &Model<'_>, defaults: &Defaults) -> Result<ModelConfig> {
    let package = model.package;
    let mut config = package.config.as_deref().cloned().unwrap_or_default();
    if config.name.is_empty() {
        config.name.clone_from(&package.name);
    } else if config.name != package.name {
        return Err(invalid_config(format!(
            "unexpected directory name '{}' for model '{}', directory name must equal model name",
            package.name, config.name
        )));
    }
    triton::complete_backend(&mut config)?;
    let is_onnx = config.is_onnx();
    if !defaults.auto_complete && package.config.is_none() {
        return Err(invalid_config(format!(
            "model configuration is not provided for '{}', and completing it is switched off",
            config.name
        )));
    }
    if defaults.auto_complete {
        // Triton completes what its backend knows about; a Python model says for itself what it takes.
        if is_onnx
            && config.max_batch_size == 0
            && model.has_batch_axis()
            && !declares_batch_axis(model, &config)?
        {
            config.max_batch_size = i32::try_from(defaults.max_batch_size).unwrap_or(i32::MAX);
        }
        if is_onnx && config.max_batch_size > 1 && config.scheduling_choice.is_none() {
            config.scheduling_choice =
                Some(SchedulingChoice::DynamicBatching(ModelDynamicBatching::default()));
        }
        complete_inputs(model, &mut config)?;
        complete_outputs(model, &mut config)?;
    }
    triton::normalize(&mut config, defaults);
    triton::check(&config)?;
    Ok(config)
}

/// Whether the configuration writes out a whole shape of the model, batch axis included.
fn declares_batch_axis(model: &Model<'_>, config: &ModelConfig) -> Result<bool> {
    for input in config.input.iter().filter(|input| !input.dims.is_empty()) {
        if let Source::Tensor(index) = model.source(&input.name)? {
            let written = input.reshape.as_ref().map_or(&input.dims, |reshape| &reshape.shape);
            return Ok(written.len() == model.inputs[index].shape.len());
        }
    }
    for output in config.output.iter().filter(|output| !output.dims.is_empty()) {
        if let Made::Tensor(index) = model.made(&output.name)? {
            let written = output.reshape.as_ref().map_or(&output.dims, |reshape| &reshape.shape);
            return Ok(written.len() == model.outputs[index].shape.len());
        }
    }
    Ok(false)
}

/// What is missing of a tensor: type, shape, and the shape that the model sees.
fn missing(spec: &TensorSpec, batching: bool) -> (DataType, Vec<i64>, Option<ModelTensorReshape>) {
    let (dims, reshape) = dims(spec, batching);
    (spec.dtype.into(), dims, reshape.map(|shape| ModelTensorReshape { shape }))
}

fn complete_inputs(model: &Model<'_>, config: &mut ModelConfig) -> Result<()> {
    let batching = config.max_batch_size > 0;
    let serving = &model.package.spec.serving.inputs;
    let new = |name: &String| ModelInput { name: name.clone(), ..ModelInput::default() };
    // What `[serving]` names, then the model's own that are not fed by any of them.
    let named = serving.iter().filter(|(_, meaning)| meaning.as_str() != "ignored").map(|(name, _)| name);
    let absent: Vec<ModelInput> =
        named.filter(|name| config.input.iter().all(|input| input.name != **name)).map(new).collect();
    config.input.extend(absent);
    let sources: Vec<Source> =
        config.input.iter().map(|input| model.source(&input.name)).collect::<Result<_>>()?;
    if !sources.contains(&Source::Image) {
        let unfed = model.inputs.iter().enumerate().filter(|(i, _)| !sources.contains(&Source::Tensor(*i)));
        config.input.extend(unfed.map(|(_, spec)| new(&spec.name)));
    }
    for input in &mut config.input {
        let (data_type, dims, reshape) = match model.source(&input.name)? {
            Source::Tensor(index) => missing(&model.inputs[index], batching),
            Source::Image => (DataType::TypeString, vec![1], None),
            Source::Ignored => continue,
        };
        if input.data_type() == DataType::TypeInvalid {
            input.set_data_type(data_type);
        }
        if input.dims.is_empty() {
            input.dims = dims;
            input.reshape = input.reshape.take().or(reshape);
        }
    }
    Ok(())
}

fn complete_outputs(model: &Model<'_>, config: &mut ModelConfig) -> Result<()> {
    let batching = config.max_batch_size > 0;
    let new = |name: &String| ModelOutput { name: name.clone(), ..ModelOutput::default() };
    let named = model.package.spec.serving.outputs.keys();
    let absent: Vec<ModelOutput> =
        named.filter(|name| config.output.iter().all(|output| output.name != **name)).map(new).collect();
    config.output.extend(absent);
    if config.output.is_empty() {
        config.output.extend(model.outputs.iter().map(|spec| new(&spec.name)));
    }
    for output in &mut config.output {
        let classes = model.classifier.and_then(super::ImageClassifier::classes);
        let dims = |n: Option<usize>| vec![n.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1)];
        let (data_type, dims, reshape) = match model.made(&output.name)? {
            Made::Tensor(index) => missing(&model.outputs[index], batching),
            Made::Label => (DataType::TypeString, vec![1], None),
            Made::Probability => (DataType::TypeFp32, vec![1], None),
            Made::Index => (DataType::TypeInt64, vec![1], None),
            Made::Scores => (DataType::TypeFp32, dims(classes), None),
            Made::TopK => {
                let k = model.package.spec.postprocess.top_k;
                (DataType::TypeString, dims(Some(classes.map_or(k, |classes| classes.min(k)))), None)
            }
        };
        if output.data_type() == DataType::TypeInvalid {
            output.set_data_type(data_type);
        }
        if output.dims.is_empty() {
            output.dims = dims;
            output.reshape = output.reshape.take().or(reshape);
        }
    }
    Ok(())
}
