//! The runtime's counts in the protocol's words.

use tintype_api::kserve::{BatchStatistics, Duration, InferStatistics, ModelStatistics, StatisticsReply};
use tintype_core::Result;
use tintype_runtime::{self as runtime, Tally};

use crate::app::App;

/// What one version of a model did, or all.
///
/// # Errors
/// `UnknownModel` and `NotFound` for a model or a version that is not there.
pub(crate) fn statistics(app: &App, model: Option<&str>, version: Option<u64>) -> Result<StatisticsReply> {
    Ok(reply(app.runtime.statistics(model, version)?))
}

/// The runtime's counts of `models` in the protocol's words.
pub fn reply(models: Vec<runtime::ModelStatistics>) -> StatisticsReply {
    StatisticsReply { model_stats: models.into_iter().map(model_statistics).collect() }
}

fn model_statistics(model: runtime::ModelStatistics) -> ModelStatistics {
    let batches = model.batches.iter().map(|(&size, batch)| BatchStatistics {
        batch_size: size as u64,
        compute_input: duration(batch.compute_input),
        compute_infer: duration(batch.compute_infer),
        compute_output: duration(batch.compute_output),
    });
    ModelStatistics {
        batch_stats: batches.collect(),
        version: model.version.to_string(),
        last_inference: model.last_inference,
        inference_count: model.inference_count,
        execution_count: model.execution_count,
        inference_stats: InferStatistics {
            success: duration(model.success),
            fail: duration(model.fail),
            queue: duration(model.queue),
            compute_input: duration(model.compute_input),
            compute_infer: duration(model.compute_infer),
            compute_output: duration(model.compute_output),
            cache_hit: duration(model.cache_hit),
            cache_miss: duration(model.cache_miss),
        },
        name: model.name,
        ..ModelStatistics::default()
    }
}

fn duration(tally: Tally) -> Duration {
    Duration { count: tally.count, ns: tally.ns }
}
