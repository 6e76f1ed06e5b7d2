//! What an operator chooses for configurations that leave it open, and what Triton writes into every configuration.

use super::proto::model_config::SchedulingChoice;
use super::proto::model_instance_group::Kind;
use super::proto::model_optimization_policy::PinnedMemoryBuffer;
use super::proto::model_version_policy::{Latest, PolicyChoice};
use super::proto::{ModelConfig, ModelInstanceGroup, ModelVersionPolicy};

/// What configurations get where they are silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// Whether missing parts are taken from the ONNX model (`--disable-auto-complete-config` clears it).
    pub auto_complete: bool,
    /// `max_batch_size` of a model with a dynamic batch axis (`--backend-config=default-max-batch-size=…`).
    pub max_batch_size: usize,
    /// Instances of a group on the CPU that names no count; at least 1.
    pub instances: usize,
    /// The GPUs that instances may use; where there are any, a model without `instance_group` runs on them.
    pub gpus: Vec<i32>,
}

impl Default for Defaults {
    /// Completion on, batches of 4, one instance, no GPU.
    fn default() -> Self {
        Self { auto_complete: true, max_batch_size: 4, instances: 1, gpus: Vec::new() }
    }
}

/// Writes out what the configuration leaves to defaults, as Triton does before it answers or checks one: version policy,
/// preferred batch size, pinned memory, instance groups.
pub fn normalize(config: &mut ModelConfig, defaults: &Defaults) {
    if config.version_policy.as_ref().is_none_or(|policy| policy.policy_choice.is_none()) {
        let latest = PolicyChoice::Latest(Latest { num_versions: 1 });
        config.version_policy = Some(ModelVersionPolicy { policy_choice: Some(latest) });
    }
    match &mut config.scheduling_choice {
        // Neither instances nor memory of its own.
        Some(SchedulingChoice::EnsembleScheduling(_)) => return,
        Some(SchedulingChoice::DynamicBatching(batching))
            if batching.preferred_batch_size.is_empty() && config.max_batch_size > 0 =>
        {
            batching.preferred_batch_size.push(config.max_batch_size);
        }
        _ => {}
    }
    let optimization = config.optimization.get_or_insert_default();
    optimization.input_pinned_memory.get_or_insert(PinnedMemoryBuffer { enable: true });
    optimization.output_pinned_memory.get_or_insert(PinnedMemoryBuffer { enable: true });
    if config.instance_group.is_empty() {
        let name = config.name.clone();
        config.instance_group.push(ModelInstanceGroup { name, ..ModelInstanceGroup::default() });
    }
    for (i, group) in config.instance_group.iter_mut().enumerate() {
        if group.name.is_empty() {
            group.name = format!("{}_{i}", config.name);
        }
        if group.kind() == Kind::Auto {
            let usable =
                !defaults.gpus.is_empty() && group.gpus.iter().all(|gpu| defaults.gpus.contains(gpu));
            group.set_kind(if usable { Kind::Gpu } else { Kind::Cpu });
        }
        if group.kind() == Kind::Gpu && group.gpus.is_empty() {
            group.gpus.clone_from(&defaults.gpus);
        }
        if group.count < 1 {
            let on_cpu = i32::try_from(defaults.instances.max(1)).unwrap_or(i32::MAX);
            group.count = if group.kind() == Kind::Cpu { on_cpu } else { 1 };
        }
    }
}
