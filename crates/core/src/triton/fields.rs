//! What every field of a configuration does here.

use prost_reflect::{DynamicMessage, Value};

use super::proto::ModelConfig;
use super::text::to_dynamic;

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// It does what it does in Triton.
    Honoured,
    /// It does something of the same effect, by other means.
    Mapped,
    /// It is answered as written and does nothing else.
    Ignored,
    /// A model that sets it is not loaded, since its answers would be others than asked for.
    Refused,
}

impl How {
    /// `honoured`, `mapped`, `ignored` or `refused`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::Mapped => "mapped",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
        }
    }
}

/// A row of the table of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The names from the message's root, as in `dynamic_batching.preferred_batch_size`; with `.*` at the end for all below.
    pub path: &'static str,
    /// What becomes of it.
    pub how: How,
    /// In a few words, what that means.
    pub note: &'static str,
}

/// A field that a configuration sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldUse {
    /// The names from the message's root; lists and map keys are left out.
    pub path: String,
    /// What becomes of it.
    pub how: How,
    /// In a few words, what that means.
    pub note: &'static str,
}

const fn honoured(path: &'static str, note: &'static str) -> Field {
    Field { path, how: How::Honoured, note }
}

const fn mapped(path: &'static str, note: &'static str) -> Field {
    Field { path, how: How::Mapped, note }
}

const fn ignored(path: &'static str, note: &'static str) -> Field {
    Field { path, how: How::Ignored, note }
}

const fn refused(path: &'static str, note: &'static str) -> Field {
    Field { path, how: How::Refused, note }
}

/// Every field of the message, in its order; a test holds it against the message's descriptor.
pub const FIELDS: &[Field] = &[
    honoured("name", "must be the directory's name; filled in"),
    honoured("platform", "`onnxruntime_onnx` or `ensemble`; filled in"),
    mapped("backend", "`onnxruntime`; another one needs a `tintype.toml` that names an ONNX model"),
    ignored("runtime", "there is one runtime"),
    honoured("version_policy.*", "`latest` (1 unless it says), `all` or `specific`"),
    honoured("max_batch_size", "filled in where the ONNX model's first axis is dynamic"),
    honoured("input.name", "an ONNX input, or what `[serving.inputs]` says"),
    honoured("input.data_type", "must be the model's; filled in"),
    honoured("input.format", "checked to have three dims; the order of an image's axes is `[preprocess]`'s"),
    honoured("input.dims", "must fit the model's; filled in"),
    honoured("input.reshape.shape", "the shape that the model sees"),
    refused("input.is_shape_tensor", "TensorRT's own"),
    refused("input.allow_ragged_batch", "requests of different shapes never share a batch"),
    honoured("input.optional", "for inputs that `[serving.inputs]` ignores; refused for the model's own"),
    refused("input.is_non_linear_format_io", "TensorRT's own"),
    honoured("output.name", "an ONNX output, or what `[serving.outputs]` says"),
    honoured("output.data_type", "must be the model's; filled in"),
    honoured("output.dims", "must fit the model's; filled in"),
    honoured("output.reshape.shape", "the shape that the model gives"),
    honoured(
        "output.label_filename",
        "class names of the classification extension, and of a package without `labels.txt`",
    ),
    refused("output.is_shape_tensor", "TensorRT's own"),
    refused("output.is_non_linear_format_io", "TensorRT's own"),
    refused("batch_input.*", "needs ragged batches"),
    refused("batch_output.*", "needs ragged batches"),
    mapped("optimization.graph.level", "ONNX Runtime's own levels: -1 basic, 0 all, 1 extended"),
    ignored("optimization.priority", "instances share the processor evenly"),
    ignored("optimization.cuda.*", "CUDA graphs are not captured"),
    mapped(
        "optimization.execution_accelerators.gpu_execution_accelerator.name",
        "`tensorrt` or `cuda`: ONNX Runtime's provider, where its library has it",
    ),
    mapped(
        "optimization.execution_accelerators.gpu_execution_accelerator.parameters",
        "the provider's own settings",
    ),
    mapped(
        "optimization.execution_accelerators.cpu_execution_accelerator.name",
        "`openvino`: ONNX Runtime's provider, where its library has it",
    ),
    mapped(
        "optimization.execution_accelerators.cpu_execution_accelerator.parameters",
        "the provider's own settings",
    ),
    ignored("optimization.input_pinned_memory.enable", "ONNX Runtime copies to the device itself"),
    ignored("optimization.output_pinned_memory.enable", "ONNX Runtime copies from the device itself"),
    ignored("optimization.gather_kernel_buffer_threshold", "batches are joined on the CPU"),
    ignored("optimization.eager_batching", "batches are joined when they start"),
    honoured("dynamic_batching.preferred_batch_size", "sizes that are waited for within the delay"),
    honoured("dynamic_batching.max_queue_delay_microseconds", "how long a request may wait for others"),
    honoured("dynamic_batching.preserve_ordering", "answers come in the order of the requests"),
    honoured("dynamic_batching.priority_levels", "1 is the highest"),
    honoured("dynamic_batching.default_priority_level", "of requests that name none"),
    honoured(
        "dynamic_batching.default_queue_policy.*",
        "timeout, its action, whether requests may shorten it, queue size",
    ),
    honoured("dynamic_batching.priority_queue_policy.*", "the same for one level"),
    refused("sequence_batching.*", "models here have no state between requests"),
    honoured("ensemble_scheduling.step.model_name", "the step's model"),
    honoured("ensemble_scheduling.step.model_version", "-1: the highest that is ready"),
    honoured("ensemble_scheduling.step.input_map", "key: the model's input; value: the ensemble's tensor"),
    honoured("ensemble_scheduling.step.output_map", "key: the model's output; value: the ensemble's tensor"),
    ignored("ensemble_scheduling.step.model_namespace", "model names are the same for all repositories"),
    ignored("ensemble_scheduling.max_inflight_requests", "a step's answer goes on at once"),
    honoured("instance_group.name", "filled in"),
    mapped("instance_group.kind", "`KIND_GPU`: ONNX Runtime's CUDA provider; `KIND_MODEL` as `KIND_CPU`"),
    honoured("instance_group.count", "sessions, one thread each; for each GPU listed"),
    ignored("instance_group.rate_limiter.*", "instances run whenever they have work"),
    honoured("instance_group.gpus", "all where empty"),
    ignored("instance_group.secondary_devices.*", "for NVIDIA's Jetson"),
    ignored("instance_group.profile", "TensorRT's own"),
    honoured("instance_group.passive", "such instances are not made"),
    ignored("instance_group.host_policy", "the system places threads"),
    honoured("default_model_filename", "`model.onnx` where empty"),
    ignored("cc_model_filenames", "an ONNX model is the same for every device"),
    honoured("metric_tags", "labels of the model's metrics"),
    mapped("parameters.*", "`intra_op_thread_count` is honoured, others are of Triton's backends"),
    honoured("model_warmup.*", "the model is ready once all have passed"),
    refused("model_operations.op_library_filename", "no library of operators is loaded"),
    refused("model_transaction_policy.decoupled", "a request has one answer"),
    refused("model_repository_agents.*", "models are taken as they are"),
    honoured("response_cache.enable", "needs `--cache-config` as well"),
    honoured(
        "model_metrics.*",
        "buckets of `nv_inference_first_response_histogram_ms`; other families have none",
    ),
];

/// What becomes of every field that `config` sets, in the table's order. A field is set where it is not at its default.
pub fn fields(config: &ModelConfig) -> Vec<FieldUse> {
    let mut paths = Vec::new();
    set_paths(&to_dynamic(config), "", &mut paths);
    let mut uses = Vec::new();
    for field in FIELDS {
        let is_empty_message = |path: &str| {
            // As `dynamic_batching {}`, which is set and yet sets nothing.
            let below = |other: &str| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
            below(field.path) && !paths.iter().any(|other| below(other))
        };
        if paths.iter().any(|path| covers(field, path)) {
            let path = field.path.trim_end_matches(".*").to_owned();
            uses.push(FieldUse { path, how: field.how, note: field.note });
        } else if let Some(path) = paths.iter().find(|path| is_empty_message(path))
            && uses.last().is_none_or(|last| last.path != *path)
        {
            uses.push(FieldUse { path: path.clone(), how: field.how, note: "with its defaults" });
        }
    }
    uses
}

/// Whether a row is about a path.
fn covers(field: &Field, path: &str) -> bool {
    match field.path.strip_suffix(".*") {
        Some(prefix) => path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')),
        None => path == field.path,
    }
}

fn set_paths(message: &DynamicMessage, prefix: &str, paths: &mut Vec<String>) {
    for (field, value) in message.fields() {
        let path =
            if prefix.is_empty() { field.name().to_owned() } else { format!("{prefix}.{}", field.name()) };
        let messages: Vec<&DynamicMessage> = match value {
            Value::Message(message) => vec![message],
            Value::List(values) => values.iter().filter_map(Value::as_message).collect(),
            Value::Map(values) => values.values().filter_map(Value::as_message).collect(),
            _ => Vec::new(),
        };
        for message in messages {
            set_paths(message, &path, paths);
        }
        paths.push(path);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost_reflect::{Kind, MessageDescriptor};

    use super::super::parse;
    use super::super::text::descriptor;
    use super::*;

    fn leaves(message: &MessageDescriptor, prefix: &str, found: &mut Vec<String>) {
        for field in message.fields() {
            let path = format!("{prefix}{}", field.name());
            let of_map = |kind: Kind| kind.as_message().map(|entry| entry.map_entry_value_field().kind());
            let kind = if field.is_map() { of_map(field.kind()).unwrap() } else { field.kind() };
            match kind {
                Kind::Message(inner) if inner.fields().len() > 0 => {
                    leaves(&inner, &format!("{path}."), found);
                }
                _ => found.push(path),
            }
        }
    }

    #[test]
    fn the_table_has_every_field_once_and_no_other() {
        let mut all = Vec::new();
        leaves(&descriptor(), "", &mut all);
        assert!(all.len() > 100, "{}", all.len());
        let mut used = BTreeSet::new();
        for path in &all {
            let rows: Vec<&str> =
                FIELDS.iter().filter(|field| covers(field, path)).map(|field| field.path).collect();
            assert_eq!(rows.len(), 1, "`{path}` is in {rows:?}");
            used.insert(rows[0]);
        }
        for field in FIELDS {
            assert!(used.contains(field.path), "`{}` is no field", field.path);
            assert!(!field.note.is_empty());
        }
    }

    #[test]
    fn what_is_set_is_reported_once() {
        let config = parse(
            "name: 'm' input { name: 'x' dims: 1 } input { name: 'y' } version_policy { all {} } \
             instance_group { count: 2 rate_limiter { priority: 1 } } dynamic_batching {} \
             optimization { cuda { graphs: true busy_wait_events: true } } \
             parameters { key: 'a' value { string_value: 'b' } } parameters { key: 'c' value {} }",
        )
        .unwrap();
        let found: Vec<(String, &str)> =
            fields(&config).into_iter().map(|f| (f.path, f.how.as_str())).collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(path, how)| (path.as_str(), *how)).collect();
        assert_eq!(
            found,
            [
                ("name", "honoured"),
                ("version_policy", "honoured"),
                ("input.name", "honoured"),
                ("input.dims", "honoured"),
                ("optimization.cuda", "ignored"),
                ("dynamic_batching", "honoured"),
                ("instance_group.count", "honoured"),
                ("instance_group.rate_limiter", "ignored"),
                ("parameters", "mapped"),
            ]
        );
    }
}
