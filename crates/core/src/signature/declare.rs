//! The declared inputs and outputs: what each is to the model, checked against it.

use std::sync::Arc;

use super::{Model, invalid_config};
use crate::triton::proto::{DataType, ModelConfig, ModelInput, ModelOutput};
use crate::triton::shape;
use crate::{DType, Error, ErrorKind, Result, TensorSpec};

/// What an input is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The session's input of this index.
    Tensor(usize),
    /// Encoded images.
    Image,
    /// Accepted and dropped.
    Ignored,
}

/// What an output is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// The session's output of this index.
    Tensor(usize),
    /// The best class's name.
    Label,
    /// The best class's probability.
    Probability,
    /// The best class's index.
    Index,
    /// The best classes as `probability:index:label`.
    TopK,
    /// Every class's probability.
    Scores,
}

/// An input as requests name it.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub name: String,
    pub dtype: DType,
    /// Without the batch axis where there is batching.
    pub dims: Vec<i64>,
    /// What the model sees instead of `dims`.
    pub reshape: Option<Vec<i64>>,
    pub optional: bool,
    pub source: Source,
}

/// An output as requests name it.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub name: String,
    /// Without the batch axis where there is batching.
    pub dims: Vec<i64>,
    /// What the model gives instead of `dims`.
    pub reshape: Option<Vec<i64>>,
    pub made: Made,
    /// Of the file that the configuration names for this output.
    pub labels: Option<Arc<[String]>>,
}

/// A tensor's shape as a configuration writes it, and what the model sees instead where that is a scalar.
pub(super) fn dims(spec: &TensorSpec, batching: bool) -> (Vec<i64>, Option<Vec<i64>>) {
    let axes = spec.shape.get(usize::from(batching)..).unwrap_or_default();
    let dims: Vec<i64> =
        axes.iter().map(|axis| axis.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1)).collect();
    // A configuration has no empty shapes.
    if dims.is_empty() && batching { (vec![1], Some(Vec::new())) } else { (dims, None) }
}

impl Input {
    /// The session's own input.
    pub fn raw(spec: &TensorSpec, index: usize, batching: bool) -> Self {
        let (dims, reshape) = dims(spec, batching);
        let source = Source::Tensor(index);
        Self { name: spec.name.clone(), dtype: spec.dtype, dims, reshape, optional: false, source }
    }

    /// An input as the configuration has it.
    pub fn declared(input: &ModelInput, index: usize) -> Self {
        Self {
            name: input.name.clone(),
            dtype: input.data_type().dtype().unwrap_or(DType::Bytes),
            dims: input.dims.clone(),
            reshape: input.reshape.as_ref().map(|reshape| reshape.shape.clone()),
            optional: input.optional,
            source: Source::Tensor(index),
        }
    }
}

impl Output {
    /// The session's own output.
    pub fn raw(spec: &TensorSpec, index: usize, batching: bool) -> Self {
        let (dims, reshape) = dims(spec, batching);
        Self { name: spec.name.clone(), dims, reshape, made: Made::Tensor(index), labels: None }
    }

    /// An output as the configuration has it.
    pub fn declared(output: &ModelOutput, index: usize) -> Self {
        Self {
            name: output.name.clone(),
            dims: output.dims.clone(),
            reshape: output.reshape.as_ref().map(|reshape| reshape.shape.clone()),
            made: Made::Tensor(index),
            labels: None,
        }
    }
}

impl Model<'_> {
    /// What the input of this name is, by `[serving.inputs]` or as an ONNX input.
    pub fn source(&self, name: &str) -> Result<Source> {
        let meaning = self.package.spec.serving.inputs.get(name);
        match meaning.map(String::as_str) {
            Some("image") if self.classifier.is_some() => Ok(Source::Image),
            Some("image") => Err(invalid_config(format!(
                "`[serving.inputs]` takes `{name}` for an image, but `tintype.toml` has no `[preprocess]`"
            ))),
            Some("ignored") => Ok(Source::Ignored),
            meaning => find("input", self.inputs, name, meaning).map(Source::Tensor),
        }
    }

    /// What the output of this name is, by `[serving.outputs]` or as an ONNX output.
    pub fn made(&self, name: &str) -> Result<Made> {
        let meaning = self.package.spec.serving.outputs.get(name);
        let made = match meaning.map(String::as_str) {
            Some("label") => Made::Label,
            Some("probability") => Made::Probability,
            Some("index") => Made::Index,
            Some("top_k") => Made::TopK,
            Some("scores") => Made::Scores,
            meaning => return find("output", self.outputs, name, meaning).map(Made::Tensor),
        };
        if self.classifier.is_some() {
            return Ok(made);
        }
        let meaning = meaning.map_or("", String::as_str);
        Err(invalid_config(format!(
            "`[serving.outputs]` makes `{name}` a `{meaning}`, but `tintype.toml` has no `[preprocess]`"
        )))
    }
}

fn find(what: &str, specs: &[TensorSpec], name: &str, meaning: Option<&str>) -> Result<usize> {
    let sought = meaning.unwrap_or(name);
    specs.iter().position(|spec| spec.name == sought).ok_or_else(|| {
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let allowed = names.join(", ");
        match meaning {
            Some(meaning) => invalid_config(format!(
                "`[serving.{what}s]` maps '{name}' to '{meaning}', which the model does not have: its {what}s are {allowed}"
            )),
            None => invalid_config(format!("unexpected inference {what} '{name}', allowed {what}s are: {allowed}"))
                .with_hint(format!("`[serving.{what}s]` in `tintype.toml` says what else `{name}` is")),
        }
    })
}

/// The declared inputs and outputs of a completed configuration.
pub(super) fn declare(model: &Model<'_>, config: &ModelConfig) -> Result<(Vec<Input>, Vec<Output>)> {
    let inputs: Vec<Input> =
        config.input.iter().map(|input| declare_input(model, config, input)).collect::<Result<_>>()?;
    let outputs =
        config.output.iter().map(|output| declare_output(model, config, output)).collect::<Result<_>>()?;
    let images = inputs.iter().filter(|input| input.source == Source::Image).count();
    if images > 1 {
        return Err(invalid_config(format!(
            "`[serving.inputs]` of '{}': expected one image, found {images}",
            config.name
        )));
    }
    if let Some(classifier) = model.classifier.filter(|_| images > 0) {
        check_batch(config, &model.inputs[classifier.input()])?;
    }
    for (i, spec) in model.inputs.iter().enumerate() {
        let feeding = inputs.iter().filter(|input| input.source == Source::Tensor(i)).count();
        if feeding + images != 1 {
            let count = feeding + images;
            return Err(invalid_config(format!(
                "model '{}': expected one input of the configuration to feed '{}', found {count}",
                config.name, spec.name
            )));
        }
    }
    for (what, names, declared) in [
        ("inputs", &model.package.spec.serving.inputs, inputs.iter().map(|i| &i.name).collect::<Vec<_>>()),
        (
            "outputs",
            &model.package.spec.serving.outputs,
            Vec::from_iter(config.output.iter().map(|o| &o.name)),
        ),
    ] {
        if let Some(name) = names.keys().find(|name| !declared.contains(name)) {
            return Err(invalid_config(format!(
                "`[serving.{what}]` has `{name}`, which `config.pbtxt` does not declare"
            )));
        }
    }
    Ok((inputs, outputs))
}

fn declare_input(model: &Model<'_>, config: &ModelConfig, input: &ModelInput) -> Result<Input> {
    let source = model.source(&input.name)?;
    let reshape = input.reshape.as_ref().map(|reshape| reshape.shape.clone());
    match source {
        Source::Tensor(index) => {
            let shape = reshape.as_deref().unwrap_or(&input.dims);
            fits_model(config, "input", (&input.name, input.data_type(), shape), &model.inputs[index])?;
            if input.optional {
                let message =
                    format!("`optional: true` is not supported: the model needs input '{}'", input.name);
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
        Source::Image => {
            expect(config, &input.name, (input.data_type(), &input.dims), (DataType::TypeString, Some(1)))?;
        }
        Source::Ignored => {}
    }
    Ok(Input { source, ..Input::declared(input, 0) })
}

fn declare_output(model: &Model<'_>, config: &ModelConfig, output: &ModelOutput) -> Result<Output> {
    let made = model.made(&output.name)?;
    let reshape = output.reshape.as_ref().map(|reshape| reshape.shape.clone());
    let classes = model.classifier.and_then(super::ImageClassifier::classes);
    let found = (output.data_type(), output.dims.as_slice());
    match made {
        Made::Tensor(index) => {
            let shape = reshape.as_deref().unwrap_or(&output.dims);
            fits_model(config, "output", (&output.name, output.data_type(), shape), &model.outputs[index])?;
        }
        Made::Label => expect(config, &output.name, found, (DataType::TypeString, Some(1)))?,
        Made::Probability => expect(config, &output.name, found, (DataType::TypeFp32, Some(1)))?,
        Made::Index => expect(config, &output.name, found, (DataType::TypeInt64, Some(1)))?,
        Made::Scores => expect(config, &output.name, found, (DataType::TypeFp32, classes))?,
        Made::TopK => {
            expect(config, &output.name, found, (DataType::TypeString, None))?;
            if let (&[k], Some(classes)) = (output.dims.as_slice(), classes)
                && usize::try_from(k).is_ok_and(|k| k > classes)
            {
                return Err(invalid_config(format!(
                    "output '{}' of '{}' asks for the best {k} classes, the model has {classes}",
                    output.name, config.name
                )));
            }
        }
    }
    let labels = model.package.output_labels.get(&output.name).cloned();
    Ok(Output { made, labels, ..Output::declared(output, 0) })
}

/// Checks a tensor that is not the model's own: its type and how many elements a row has, where that is known.
fn expect(
    config: &ModelConfig,
    name: &str,
    (found, dims): (DataType, &[i64]),
    (expected, elements): (DataType, Option<usize>),
) -> Result<()> {
    let fixed: Option<i64> = dims.iter().copied().filter(|&dim| dim != -1).try_fold(1, i64::checked_mul);
    let right_size = match elements {
        // One size may be open: that of the classes.
        Some(n) => fixed == i64::try_from(n).ok() || (dims.contains(&-1) && fixed == Some(1)),
        None => dims.len() == 1,
    };
    if found == expected && right_size {
        return Ok(());
    }
    let elements = elements.map_or_else(|| "k".to_owned(), |n| n.to_string());
    Err(invalid_config(format!(
        "'{name}' of '{}': `[serving]` expects {} [{elements}], `config.pbtxt` has {} {}",
        config.name,
        expected.as_str_name(),
        found.as_str_name(),
        shape::show(dims)
    )))
}

/// Checks that the model's tensor has a batch axis where the configuration says so.
fn check_batch(config: &ModelConfig, spec: &TensorSpec) -> Result<()> {
    let max = config.max_batch_size;
    let fits = match spec.shape.first() {
        // Another message says that there are too few axes.
        None | Some(None) => true,
        // A fixed batch of one is a batch of one at most.
        Some(&Some(size)) => max == 0 || (size == 1 && max == 1),
    };
    if fits {
        return Ok(());
    }
    Err(invalid_config(format!(
        "model '{}', tensor '{}': for the model to support batching the shape should have at least 1 dimension and the first \
         dimension must be -1; but shape expected by the model is {} and max_batch_size is {max}",
        config.name,
        spec.name,
        shape::show(&dims(spec, false).0)
    )))
}

/// Checks a declared tensor against the model's.
fn fits_model(
    config: &ModelConfig,
    what: &str,
    (name, found, dims): (&str, DataType, &[i64]),
    spec: &TensorSpec,
) -> Result<()> {
    let expected = DataType::from(spec.dtype);
    if found != expected {
        return Err(invalid_config(format!(
            "unexpected datatype {} for inference {what} '{name}' of model '{}', expecting {}",
            found.as_str_name(),
            config.name,
            expected.as_str_name()
        )));
    }
    let batching = config.max_batch_size > 0;
    check_batch(config, spec)?;
    let full: Vec<i64> = batching.then_some(-1).into_iter().chain(dims.iter().copied()).collect();
    let (model_shape, _) = self::dims(spec, false);
    let skip = usize::from(batching);
    let same = full.len() == model_shape.len()
        && full.iter().zip(&model_shape).skip(skip).all(|(&config, &model)| model == -1 || model == config);
    if same {
        return Ok(());
    }
    let note = if batching {
        " (an initial batch dimension because max_batch_size > 0, then the explicit tensor shape)"
    } else {
        ""
    };
    Err(invalid_config(format!(
        "model '{}', tensor '{name}': the model expects {} dimensions (shape {}) but the model configuration specifies {} \
         dimensions (shape {}{note})",
        config.name,
        model_shape.len(),
        shape::show(&model_shape),
        full.len(),
        shape::show(&full)
    )))
}
