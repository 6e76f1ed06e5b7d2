//! From the configuration's steps to connected ones: every tensor made once, of one type and shape, and reachable.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Link, Step, invalid};
use crate::Result;
use crate::triton::ModelConfig;
use crate::triton::proto::{DataType, model_ensembling};
use crate::triton::shape;

type Models<'a> = &'a dyn Fn(&str, Option<u64>) -> Option<Arc<ModelConfig>>;

/// What is known of an ensemble's tensor, and from whom.
struct Known {
    model: String,
    data_type: DataType,
    dims: Vec<i64>,
    /// With the batch axis, where there is one.
    full: Vec<i64>,
}

impl Known {
    fn new(config: &ModelConfig, data_type: DataType, dims: &[i64]) -> Self {
        let batch = (config.max_batch_size > 0).then_some(-1);
        let full = batch.into_iter().chain(dims.iter().copied()).collect();
        Self { model: config.name.clone(), data_type, dims: dims.to_vec(), full }
    }
}

pub(super) fn connect(config: &ModelConfig, models: Models<'_>) -> Result<Vec<Step>> {
    let name = &config.name;
    if config.steps().is_empty() {
        return Err(invalid(format!("must specify 'step' for ensemble '{name}'")));
    }
    if config.input.is_empty() || config.output.is_empty() {
        return Err(invalid(format!("must specify 'input' and 'output' for ensemble '{name}'")));
    }
    let mut known: BTreeMap<&str, Known> = BTreeMap::new();
    for input in &config.input {
        let dims = input.reshape.as_ref().map_or(&input.dims, |reshape| &reshape.shape);
        known.insert(&input.name, Known::new(config, input.data_type(), dims));
    }
    for output in &config.output {
        let dims = output.reshape.as_ref().map_or(&output.dims, |reshape| &reshape.shape);
        agree(name, &mut known, &output.name, Known::new(config, output.data_type(), dims))?;
    }
    let mut steps = Vec::new();
    for step in config.steps() {
        steps.push(connect_step(config, step, models, &mut known)?);
    }
    let makers = makers(config, &steps)?;
    for step in &mut steps {
        let after: BTreeSet<usize> =
            step.inputs.iter().filter_map(|link| makers.get(&link.tensor).copied()).collect();
        step.after = after.into_iter().collect();
    }
    check_flow(config, &steps, &makers)?;
    Ok(steps)
}

fn connect_step<'a>(
    config: &'a ModelConfig,
    step: &'a model_ensembling::Step,
    models: Models<'_>,
    known: &mut BTreeMap<&'a str, Known>,
) -> Result<Step> {
    let (name, model) = (&config.name, &step.model_name);
    for (is_missing, field) in [
        (model.is_empty(), "model_name"),
        (step.input_map.is_empty(), "input_map"),
        (step.output_map.is_empty(), "output_map"),
    ] {
        if is_missing {
            return Err(invalid(format!("must specify '{field}' in a step of ensemble '{name}'")));
        }
    }
    // 0 is what a configuration has that does not say.
    let version = match step.model_version {
        -1 | 0 => None,
        version => Some(u64::try_from(version).map_err(|_| {
            invalid(format!(
                "in ensemble {name}, 'model_version' of {model}: expected -1 or a version, found {version}"
            ))
        })?),
    };
    let Some(of_model) = models(model, version) else {
        let which =
            version.map_or_else(|| "no loaded version".to_owned(), |v| format!("no loaded version {v}"));
        return Err(invalid(format!("ensemble '{name}' depends on '{model}' which has {which}")));
    };
    let (own, models_own) = (config.max_batch_size, of_model.max_batch_size);
    if models_own != 0 && models_own < own {
        return Err(invalid(format!(
            "ensemble {name} allows maximum batch size {own}, but it contains model {model} which only allows maximum batch \
             size to be {models_own}"
        )));
    }
    let mut inputs = Vec::new();
    for (input, tensor) in &step.input_map {
        let Some(found) = of_model.input.iter().find(|found| found.name == *input) else {
            return Err(invalid(format!(
                "in ensemble {name}, ensemble tensor {tensor} is mapping to non-existing input {input} in model {model}"
            )));
        };
        agree(name, known, tensor, Known::new(&of_model, found.data_type(), &found.dims))?;
        inputs.push(Link { name: input.clone(), tensor: tensor.clone(), rank: found.dims.len() });
    }
    let required = of_model.input.iter().filter(|input| !input.optional);
    if let Some(input) = required.into_iter().find(|input| !step.input_map.contains_key(&input.name)) {
        return Err(invalid(format!(
            "in ensemble {name}, input {} in model {model} is not mapped to any ensemble tensors",
            input.name
        )));
    }
    let mut outputs = Vec::new();
    for (output, tensor) in &step.output_map {
        let Some(found) = of_model.output.iter().find(|found| found.name == *output) else {
            return Err(invalid(format!(
                "in ensemble {name}, ensemble tensor {tensor} is mapped from non-existing output {output} in model {model}"
            )));
        };
        agree(name, known, tensor, Known::new(&of_model, found.data_type(), &found.dims))?;
        outputs.push(Link { name: output.clone(), tensor: tensor.clone(), rank: found.dims.len() });
    }
    Ok(Step { model: model.clone(), version, inputs, outputs, after: Vec::new(), batching: models_own > 0 })
}

/// Checks what a model says of a tensor against what was said before, or remembers it.
fn agree<'a>(name: &str, known: &mut BTreeMap<&'a str, Known>, tensor: &'a str, found: Known) -> Result<()> {
    let first = match known.entry(tensor) {
        Entry::Vacant(entry) => {
            entry.insert(found);
            return Ok(());
        }
        Entry::Occupied(entry) => entry.into_mut(),
    };
    let about = format!("in ensemble {name}, ensemble tensor {tensor}: inconsistent");
    if first.data_type != found.data_type {
        return Err(invalid(format!(
            "{about} data type: {} is inferred from model {} while {} is inferred from model {}",
            first.data_type.as_str_name(),
            first.model,
            found.data_type.as_str_name(),
            found.model
        )));
    }
    let same = |a: &[i64], b: &[i64]| {
        a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| a == b || a == -1 || b == -1)
    };
    if same(&first.dims, &found.dims) || same(&first.full, &found.full) {
        return Ok(());
    }
    Err(invalid(format!(
        "{about} shape: {} is inferred from model {} while {} is inferred from model {}",
        shape::show(&first.full),
        first.model,
        shape::show(&found.full),
        found.model
    )))
}

/// Which step makes each tensor that is not an input.
fn makers(config: &ModelConfig, steps: &[Step]) -> Result<BTreeMap<String, usize>> {
    let mut makers = BTreeMap::new();
    for (i, step) in steps.iter().enumerate() {
        for link in &step.outputs {
            let is_input = config.input.iter().any(|input| input.name == link.tensor);
            if is_input || makers.insert(link.tensor.clone(), i).is_some() {
                return Err(invalid(format!(
                    "ensemble tensor '{}' is written more than once in ensemble '{}'",
                    link.tensor, config.name
                )));
            }
        }
    }
    Ok(makers)
}

/// Checks that every step can run, every output is written and nothing is made for nobody.
fn check_flow(config: &ModelConfig, steps: &[Step], makers: &BTreeMap<String, usize>) -> Result<()> {
    let name = &config.name;
    let used: BTreeSet<&str> =
        steps.iter().flat_map(|step| &step.inputs).map(|link| link.tensor.as_str()).collect();
    let inputs: BTreeSet<&str> = config.input.iter().map(|input| input.name.as_str()).collect();
    if let Some(input) = inputs.iter().find(|input| !used.contains(*input)) {
        return Err(invalid(format!("ensemble input '{input}' for ensemble {name} is not used")));
    }
    if let Some(lost) = used.iter().find(|tensor| !inputs.contains(*tensor) && !makers.contains_key(**tensor))
    {
        return Err(invalid(format!(
            "ensemble tensor '{lost}' is read but not written in ensemble '{name}'"
        )));
    }
    let outputs: BTreeSet<&str> = config.output.iter().map(|output| output.name.as_str()).collect();
    if let Some(output) = outputs.iter().find(|output| !makers.contains_key(**output)) {
        return Err(invalid(format!("output '{output}' for ensemble '{name}' is not written")));
    }
    if let Some(tensor) = makers.keys().find(|t| !used.contains(t.as_str()) && !outputs.contains(t.as_str()))
    {
        return Err(invalid(format!("ensemble tensor '{tensor}' is unused in ensemble '{name}'")));
    }
    let mut finished = BTreeSet::new();
    loop {
        let before = finished.len();
        for (i, step) in steps.iter().enumerate() {
            if step.after.iter().all(|step| finished.contains(step)) {
                finished.insert(i);
            }
        }
        if finished.len() == steps.len() {
            return Ok(());
        }
        if finished.len() == before {
            let stuck = (0..steps.len()).filter(|i| !finished.contains(i)).map(|i| steps[i].model.as_str());
            let stuck: Vec<&str> = stuck.collect();
            return Err(invalid(format!(
                "the steps of '{}' in ensemble '{name}' wait for each other's outputs",
                stuck.join("', '")
            )));
        }
    }
}
