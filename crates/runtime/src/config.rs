//! What the operator chooses.

use std::num::NonZero;
use std::time::Duration;

use tintype_core::image::Limits;
use tintype_core::{Error, ErrorKind, Result};

/// The largest batch where neither the operator nor the model's fixed first axis says otherwise.
///
/// On a CPU batching gains 1.0 to 1.25 times and more rows only add latency and memory.
pub const DEFAULT_MAX_BATCH_SIZE: usize = 8;

/// Choices that all models share.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Threads that decode and preprocess; the number of cores by default.
    pub prepare_threads: usize,
    /// Bytes of request bodies that may be in flight at once, over all models; 512 MiB by default.
    pub max_inflight_bytes: usize,
    /// What decoding one image may cost.
    pub limits: Limits,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self { prepare_threads: cores(), max_inflight_bytes: 512 << 20, limits: Limits::default() }
    }
}

impl RuntimeConfig {
    /// # Errors
    /// `InvalidConfig` for a zero.
    pub(crate) fn validate(&self) -> Result<()> {
        at_least_one("prepare_threads", self.prepare_threads)?;
        at_least_one("max_inflight_bytes", self.max_inflight_bytes)
    }
}

/// Choices for one model.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// Sessions, each with its own thread; the number of cores by default.
    pub instances: usize,
    /// Threads with which one session computes; 1 by default, which uses the cores best when instances fill them.
    pub intra_threads: usize,
    /// Most rows in one run of the model. `None`: 1 where the model's first axis is fixed at 1, else 8.
    pub max_batch_size: Option<usize>,
    /// How long an idle instance waits for a batch to fill; zero by default: it never waits.
    pub max_queue_delay: Duration,
    /// Most requests in flight, waiting and running; more are refused. 512 by default.
    pub max_queue_size: usize,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            instances: cores(),
            intra_threads: 1,
            max_batch_size: None,
            max_queue_delay: Duration::ZERO,
            max_queue_size: 512,
        }
    }
}

impl ModelConfig {
    /// # Errors
    /// `InvalidConfig` for a zero where there must be at least one.
    pub(crate) fn validate(&self) -> Result<()> {
        at_least_one("instances", self.instances)?;
        at_least_one("intra_threads", self.intra_threads)?;
        at_least_one("max_batch_size", self.max_batch_size.unwrap_or(1))?;
        at_least_one("max_queue_size", self.max_queue_size)?;
        if u32::try_from(self.max_queue_size).is_err() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("`max_queue_size`: expected at most {}, found {}", u32::MAX, self.max_queue_size),
            ));
        }
        Ok(())
    }

    /// The batch size to use with a model whose first input has `rows` rows, where that is fixed.
    ///
    /// # Errors
    /// `InvalidModel` when the model takes a fixed number of rows other than 1; `InvalidConfig` when it takes single
    /// rows and the operator asked for batches.
    pub(crate) fn batch_size_for(&self, rows: Option<usize>) -> Result<usize> {
        match (rows, self.max_batch_size) {
            (None, chosen) => Ok(chosen.unwrap_or(DEFAULT_MAX_BATCH_SIZE)),
            (Some(1), None | Some(1)) => Ok(1),
            (Some(1), Some(chosen)) => Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("`max_batch_size`: the model takes one row at a time, found {chosen}"),
            )
            .with_hint("export the model with a dynamic first axis to batch it")),
            (Some(rows), _) => Err(Error::new(
                ErrorKind::InvalidModel,
                format!("expected a first axis that is dynamic or 1, found {rows}"),
            )
            .with_hint("export the model with a dynamic first axis")),
        }
    }
}

fn at_least_one(key: &str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::new(ErrorKind::InvalidConfig, format!("`{key}`: expected at least 1, found 0"))),
        _ => Ok(()),
    }
}

/// The cores this process may use, as affinity and cgroup say.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_batch_size_fits_the_models_first_axis() {
        let with = |max_batch_size| ModelConfig { max_batch_size, ..ModelConfig::default() };
        assert_eq!(with(None).batch_size_for(None).unwrap(), DEFAULT_MAX_BATCH_SIZE);
        assert_eq!(with(Some(32)).batch_size_for(None).unwrap(), 32);
        assert_eq!(with(None).batch_size_for(Some(1)).unwrap(), 1);
        assert_eq!(with(Some(1)).batch_size_for(Some(1)).unwrap(), 1);
        assert_eq!(with(Some(4)).batch_size_for(Some(1)).unwrap_err().kind(), ErrorKind::InvalidConfig);
        assert_eq!(with(None).batch_size_for(Some(4)).unwrap_err().kind(), ErrorKind::InvalidModel);
    }

    #[test]
    fn zeros_are_refused_by_name() {
        let config = ModelConfig { instances: 0, ..ModelConfig::default() };
        let error = config.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(error.message(), "`instances`: expected at least 1, found 0");
        assert!(RuntimeConfig { prepare_threads: 0, ..RuntimeConfig::default() }.validate().is_err());
    }
}
