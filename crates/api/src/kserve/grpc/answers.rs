//! The gRPC form of what is neither a request nor an answer of inference.

use std::collections::BTreeMap;

use tintype_core::Result;
use tintype_core::triton::TraceSettings;

use crate::kserve::proto::log_settings_request::setting_value::ParameterChoice as ToLog;
use crate::kserve::proto::log_settings_response::setting_value::ParameterChoice as Logged;
use crate::kserve::proto::model_repository_parameter::ParameterChoice as Choice;
use crate::kserve::proto::system_shared_memory_status_response::RegionStatus as ProtoRegion;
use crate::kserve::proto::{self, model_metadata_response, repository_index_response};
use crate::kserve::repository::{CONFIG, File, IndexEntry, Load, UNLOAD_DEPENDENTS, file_path};
use crate::kserve::settings::LogSettings;
use crate::kserve::{
    BatchStatistics, Duration, InferStatistics, MemoryUsage, ModelMetadata, ModelStatistics, Parameter,
    Parameters, RegionStatus, ServerMetadata, StatisticsReply, TensorMetadata, invalid,
};

impl From<ServerMetadata> for proto::ServerMetadataResponse {
    fn from(ServerMetadata { name, version, extensions }: ServerMetadata) -> Self {
        Self { name, version, extensions }
    }
}

impl From<ModelMetadata> for proto::ModelMetadataResponse {
    fn from(ModelMetadata { name, versions, platform, inputs, outputs }: ModelMetadata) -> Self {
        let tensor = |TensorMetadata { name, datatype, shape }| model_metadata_response::TensorMetadata {
            name,
            datatype,
            shape,
        };
        let inputs = inputs.into_iter().map(tensor).collect();
        let outputs = outputs.into_iter().map(tensor).collect();
        Self { name, versions, platform, inputs, outputs }
    }
}

impl From<StatisticsReply> for proto::ModelStatisticsResponse {
    fn from(reply: StatisticsReply) -> Self {
        Self { model_stats: reply.model_stats.into_iter().map(Into::into).collect() }
    }
}

impl From<ModelStatistics> for proto::ModelStatistics {
    fn from(model: ModelStatistics) -> Self {
        Self {
            name: model.name,
            version: model.version,
            last_inference: model.last_inference,
            inference_count: model.inference_count,
            execution_count: model.execution_count,
            inference_stats: Some(model.inference_stats.into()),
            batch_stats: model.batch_stats.into_iter().map(Into::into).collect(),
            memory_usage: model.memory_usage.into_iter().map(Into::into).collect(),
            response_stats: BTreeMap::new(),
        }
    }
}

impl From<Duration> for proto::StatisticDuration {
    fn from(Duration { count, ns }: Duration) -> Self {
        Self { count, ns }
    }
}

impl From<InferStatistics> for proto::InferStatistics {
    fn from(stats: InferStatistics) -> Self {
        Self {
            success: Some(stats.success.into()),
            fail: Some(stats.fail.into()),
            queue: Some(stats.queue.into()),
            compute_input: Some(stats.compute_input.into()),
            compute_infer: Some(stats.compute_infer.into()),
            compute_output: Some(stats.compute_output.into()),
            cache_hit: Some(stats.cache_hit.into()),
            cache_miss: Some(stats.cache_miss.into()),
        }
    }
}

impl From<BatchStatistics> for proto::InferBatchStatistics {
    fn from(batch: BatchStatistics) -> Self {
        Self {
            batch_size: batch.batch_size,
            compute_input: Some(batch.compute_input.into()),
            compute_infer: Some(batch.compute_infer.into()),
            compute_output: Some(batch.compute_output.into()),
        }
    }
}

impl From<MemoryUsage> for proto::MemoryUsage {
    fn from(MemoryUsage { kind, id, byte_size }: MemoryUsage) -> Self {
        Self { r#type: kind, id, byte_size }
    }
}

impl From<IndexEntry> for repository_index_response::ModelIndex {
    fn from(IndexEntry { name, version, state, reason }: IndexEntry) -> Self {
        Self {
            name,
            version: version.unwrap_or_default(),
            state: state.unwrap_or_default(),
            reason: reason.unwrap_or_default(),
        }
    }
}

impl From<RegionStatus> for ProtoRegion {
    fn from(RegionStatus { name, key, offset, byte_size }: RegionStatus) -> Self {
        Self { name, key, offset, byte_size }
    }
}

impl From<LogSettings> for proto::LogSettingsResponse {
    fn from(settings: LogSettings) -> Self {
        let settings = [
            ("log_file", Logged::StringParam(settings.log_file)),
            ("log_info", Logged::BoolParam(settings.log_info)),
            ("log_warning", Logged::BoolParam(settings.log_warning)),
            ("log_error", Logged::BoolParam(settings.log_error)),
            ("log_verbose_level", Logged::Uint32Param(settings.log_verbose_level)),
            ("log_format", Logged::StringParam(settings.log_format)),
        ];
        let value = |value| proto::log_settings_response::SettingValue { parameter_choice: Some(value) };
        Self {
            settings: settings.into_iter().map(|(name, choice)| (name.to_owned(), value(choice))).collect(),
        }
    }
}

impl From<TraceSettings> for proto::TraceSettingResponse {
    fn from(settings: TraceSettings) -> Self {
        let value = |value| proto::trace_setting_response::SettingValue { value };
        let settings = settings.named().into_iter();
        Self { settings: settings.map(|(name, values)| (name.to_owned(), value(values))).collect() }
    }
}

/// The settings of traces that a request changes; no values take one back.
pub fn trace_changes(
    settings: BTreeMap<String, proto::trace_setting_request::SettingValue>,
) -> Vec<(String, Vec<String>)> {
    settings.into_iter().map(|(name, value)| (name, value.value)).collect()
}

/// The settings that a request changes.
///
/// # Errors
/// `InvalidArgument` for a setting without a value.
pub fn log_changes(request: proto::LogSettingsRequest) -> Result<Parameters> {
    let changes = request.settings.into_iter().map(|(name, value)| {
        let value = match value.parameter_choice {
            Some(ToLog::BoolParam(value)) => Parameter::Bool(value),
            Some(ToLog::Uint32Param(value)) => Parameter::Unsigned(value.into()),
            Some(ToLog::StringParam(value)) => Parameter::Text(value),
            None => return Err(invalid(format!("setting '{name}' has no value"))),
        };
        Ok((name, value))
    });
    changes.collect()
}

/// What a load request brings.
///
/// # Errors
/// As [`Load::parse`].
pub fn load(parameters: BTreeMap<String, proto::ModelRepositoryParameter>) -> Result<Load> {
    let mut load = Load::default();
    for (key, value) in parameters {
        match (key == CONFIG, value.parameter_choice) {
            (true, Some(Choice::StringParam(config))) => load.config = Some(config),
            (true, _) => return Err(invalid(format!("parameter '{key}': expected text"))),
            (false, Some(Choice::BytesParam(content))) => {
                let path = file_path(&key)?.to_owned();
                load.files.push(File { path, content: content.into() });
            }
            (false, _) => {
                let path = file_path(&key)?;
                return Err(invalid(format!("parameter 'file:{path}': expected bytes")));
            }
        }
    }
    load.checked()
}

/// Whether an unload request asks that the models be unloaded too which only an ensemble used.
///
/// # Errors
/// `InvalidArgument` for unknown parameters.
pub fn unload_dependents(parameters: BTreeMap<String, proto::ModelRepositoryParameter>) -> Result<bool> {
    let mut dependents = false;
    for (key, value) in parameters {
        match value.parameter_choice {
            Some(Choice::BoolParam(value)) if key == UNLOAD_DEPENDENTS => dependents = value,
            _ => {
                return Err(invalid(format!(
                    "unrecognized parameter '{key}', expected `{UNLOAD_DEPENDENTS}`"
                )));
            }
        }
    }
    Ok(dependents)
}
