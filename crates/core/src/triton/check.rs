//! What must hold of a configuration before a model is loaded by it. The texts begin as Triton's do, and end with what was
//! found where Triton leaves that out.

use std::collections::BTreeSet;

use super::proto::model_config::SchedulingChoice;
use super::proto::model_instance_group::Kind;
use super::proto::model_queue_policy::TimeoutAction;
use super::proto::{
    DataType, ModelConfig, ModelDynamicBatching, ModelInput, ModelInstanceGroup, ModelOutput, model_input,
};
use super::shape;
use crate::{Error, ErrorKind, Result};

/// ONNX Runtime's name among Triton's backends.
const BACKEND: &str = "onnxruntime";
/// ONNX models' name among Triton's platforms.
const PLATFORM: &str = "onnxruntime_onnx";
/// The platform of ensembles.
const ENSEMBLE: &str = "ensemble";

impl ModelConfig {
    /// Whether the model is an ensemble.
    pub fn is_ensemble(&self) -> bool {
        self.platform == ENSEMBLE
            || matches!(self.scheduling_choice, Some(SchedulingChoice::EnsembleScheduling(_)))
    }

    /// Whether the configuration is for ONNX Runtime, or names nothing that would run the model.
    pub fn is_onnx(&self) -> bool {
        !self.is_ensemble()
            && matches!(self.backend.as_str(), "" | BACKEND)
            && matches!(self.platform.as_str(), "" | PLATFORM)
    }
}

/// Writes backend and platform where the one follows from the other.
///
/// # Errors
/// `InvalidConfig` for a pair that does not go together.
pub fn complete_backend(config: &mut ModelConfig) -> Result<()> {
    if config.is_ensemble() {
        let (platform, backend, name) = (&config.platform, &config.backend, &config.name);
        if !backend.is_empty() {
            return Err(invalid(format!(
                "Ensemble model '{name}' must have platform type 'ensemble' and empty backend type: found `{backend}`"
            )));
        }
        if !matches!(platform.as_str(), "" | ENSEMBLE) {
            return Err(invalid(format!(
                "ensemble scheduling cannot be set for model '{name}' whose platform is not ensemble: found `{platform}`"
            )));
        }
        config.platform = ENSEMBLE.to_owned();
    } else if config.is_onnx() {
        config.backend = BACKEND.to_owned();
        config.platform = PLATFORM.to_owned();
    } else if config.backend == BACKEND || config.platform == PLATFORM {
        return Err(invalid(format!(
            "unexpected 'platform' and 'backend' pair, got:{}, {}",
            config.platform, config.backend
        )));
    }
    Ok(())
}

/// Checks a configuration by itself, without the model.
///
/// # Errors
/// `InvalidConfig` naming field and value; `Unsupported` for what would make the model's answers others than asked for.
pub fn check(config: &ModelConfig) -> Result<()> {
    let name = &config.name;
    if name.is_empty() {
        return Err(invalid("model configuration must specify 'name'"));
    }
    if config.max_batch_size < 0 {
        return Err(invalid(format!(
            "'max_batch_size' must be non-negative value for {name}: found {}",
            config.max_batch_size
        )));
    }
    check_supported(config)?;
    let mut seen = BTreeSet::new();
    for input in &config.input {
        check_input(input, config.max_batch_size)?;
        once(&mut seen, "input", &input.name)?;
    }
    seen.clear();
    for output in &config.output {
        check_output(output, config.max_batch_size)?;
        once(&mut seen, "output", &output.name)?;
    }
    if let Some(SchedulingChoice::DynamicBatching(batching)) = &config.scheduling_choice {
        check_batching(config, batching)?;
    }
    config.instance_group.iter().try_for_each(|group| check_group(name, group))?;
    if config.is_ensemble() {
        return check_ensemble(config);
    }
    for warmup in &config.model_warmup {
        let (largest, sample) = (config.max_batch_size.max(1) as u32, &warmup.name);
        if warmup.batch_size > largest || (config.max_batch_size > 0 && warmup.batch_size == 0) {
            let size = warmup.batch_size;
            return Err(invalid(format!(
                "model_warmup '{sample}': `batch_size` must be in range [1, {largest}] for {name}: found {size}"
            )));
        }
    }
    Ok(())
}

/// What would be silently wrong if it were ignored.
fn check_supported(config: &ModelConfig) -> Result<()> {
    let decoupled = config.model_transaction_policy.as_ref().is_some_and(|policy| policy.decoupled);
    let of_tensor_rt = |shape: bool, format: bool| shape || format;
    let found = if matches!(config.scheduling_choice, Some(SchedulingChoice::SequenceBatching(_))) {
        "`sequence_batching`"
    } else if decoupled {
        "`model_transaction_policy { decoupled: true }`"
    } else if !config.batch_input.is_empty() {
        "`batch_input`"
    } else if !config.batch_output.is_empty() {
        "`batch_output`"
    } else if config.input.iter().any(|input| input.allow_ragged_batch) {
        "`allow_ragged_batch: true`"
    } else if config.input.iter().any(|i| of_tensor_rt(i.is_shape_tensor, i.is_non_linear_format_io))
        || config.output.iter().any(|o| of_tensor_rt(o.is_shape_tensor, o.is_non_linear_format_io))
    {
        "a tensor of TensorRT's own kind (`is_shape_tensor`, `is_non_linear_format_io`)"
    } else if config.model_operations.as_ref().is_some_and(|ops| !ops.op_library_filename.is_empty()) {
        "`model_operations`"
    } else if config.model_repository_agents.as_ref().is_some_and(|agents| !agents.agents.is_empty()) {
        "`model_repository_agents`"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Unsupported, format!("{found} is not supported, found for '{}'", config.name)))
}

fn once<'a>(seen: &mut BTreeSet<&'a str>, what: &str, name: &'a str) -> Result<()> {
    if seen.insert(name) { Ok(()) } else { Err(invalid(format!("model {what} '{name}' is specified twice"))) }
}

fn check_input(input: &ModelInput, max_batch_size: i32) -> Result<()> {
    let reshape = input.reshape.as_ref().map(|r| r.shape.as_slice());
    shape::check("model input", &input.name, (&input.dims, reshape), max_batch_size)?;
    if input.data_type() == DataType::TypeInvalid {
        return Err(invalid(format!("model input '{}' must specify 'data_type'", input.name)));
    }
    if input.format() != model_input::Format::None && input.dims.len() != 3 {
        return Err(invalid(format!(
            "model input NHWC/NCHW require 3 dims: found {:?} for '{}'",
            input.dims, input.name
        )));
    }
    Ok(())
}

fn check_output(output: &ModelOutput, max_batch_size: i32) -> Result<()> {
    let reshape = output.reshape.as_ref().map(|r| r.shape.as_slice());
    shape::check("model output", &output.name, (&output.dims, reshape), max_batch_size)?;
    if output.data_type() == DataType::TypeInvalid {
        return Err(invalid(format!("model output '{}' must specify 'data_type'", output.name)));
    }
    Ok(())
}

fn check_batching(config: &ModelConfig, batching: &ModelDynamicBatching) -> Result<()> {
    let (name, max) = (&config.name, config.max_batch_size);
    for &size in &batching.preferred_batch_size {
        if size <= 0 {
            return Err(invalid(format!(
                "dynamic batching preferred size must be positive for {name}: found {size}"
            )));
        }
        if size > max {
            return Err(invalid(format!(
                "dynamic batching preferred size must be <= max batch size for {name}: found {size}, expected at most {max}"
            )));
        }
    }
    let (levels, default) = (batching.priority_levels, batching.default_priority_level);
    if levels > 0 && !(1..=levels).contains(&default) {
        return Err(invalid(format!(
            "default priority level must be in range [1, {levels}] for {name}: found {default}"
        )));
    }
    let mut policies = batching.priority_queue_policy.keys();
    // As Triton: without levels, policies of levels are let pass, since nothing will use them.
    if let Some(level) = policies.find(|level| levels > 0 && !(1..=levels).contains(*level)) {
        return Err(invalid(format!(
            "priority queue policy must have priority level in range [1, {levels}] for {name}: found {level}"
        )));
    }
    if batching.preserve_ordering {
        if levels > 1 {
            return Err(invalid(format!(
                "Only one priority level is allowed when 'preserve_ordering' is true for {name}: found {levels}"
            )));
        }
        let policies = batching.default_queue_policy.iter().chain(batching.priority_queue_policy.values());
        for policy in policies {
            if policy.default_timeout_microseconds != 0 && policy.timeout_action() == TimeoutAction::Delay {
                return Err(invalid(format!(
                    "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for {name}"
                )));
            }
        }
    }
    Ok(())
}

fn check_group(name: &str, group: &ModelInstanceGroup) -> Result<()> {
    let about = format!("instance group {} of model {name}", group.name);
    if group.count < 0 {
        return Err(invalid(format!("{about} must specify a 'count' above 0: found {}", group.count)));
    }
    if let Some(gpu) = group.gpus.iter().find(|&&gpu| gpu < 0) {
        return Err(invalid(format!("{about} specifies invalid or unsupported gpu id {gpu}")));
    }
    if !group.gpus.is_empty() && matches!(group.kind(), Kind::Cpu | Kind::Model) {
        let kind = group.kind().as_str_name();
        return Err(invalid(format!(
            "{about} has kind {kind} but specifies one or more GPUs: {:?}",
            group.gpus
        )));
    }
    Ok(())
}

/// What an ensemble has no use for; its steps are [`Ensemble`](crate::Ensemble)'s.
fn check_ensemble(config: &ModelConfig) -> Result<()> {
    let name = &config.name;
    if config.scheduling_choice.is_none() {
        return Err(invalid(format!(
            "ensemble scheduling must be set for ensemble {name} whose platform is ensemble"
        )));
    }
    for (is_set, field) in [
        (!config.instance_group.is_empty(), "instance group should not be"),
        (config.optimization.is_some(), "optimization should not be"),
        (!config.model_warmup.is_empty(), "model_warmup can not be"),
    ] {
        if is_set {
            return Err(invalid(format!("{field} specified for ensemble '{name}'")));
        }
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}
