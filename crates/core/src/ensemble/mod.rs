//! Ensembles: models that feed each other, as `ensemble_scheduling` draws them.
//!
//! [`Ensemble::new`] checks the drawing against the configurations of its models; [`Progress`] is one request on its way
//! through it: which steps can start, with what, and what comes out at the end. It is pure: somebody else runs the steps,
//! as many at once as are ready, and hands deadlines and priorities on. A step's tensors are checked once more by its
//! model's own [`Signature`].

mod connect;
mod progress;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use progress::{Progress, Ready};

use crate::triton::proto::model_config::SchedulingChoice;
use crate::triton::proto::model_ensembling;
use crate::triton::{self, Defaults, ModelConfig};
use crate::{Error, ErrorKind, Result, Signature};

/// A checked ensemble.
#[derive(Debug, Clone)]
pub struct Ensemble {
    signature: Signature,
    steps: Vec<Step>,
}

/// One use of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The model's name.
    pub model: String,
    /// Its version; `None` for the one that it serves.
    pub version: Option<u64>,
    /// What it takes.
    pub inputs: Vec<Link>,
    /// What it makes; the model's other outputs are not asked for.
    pub outputs: Vec<Link>,
    /// The steps that make what it takes, ascending; it can start once they have finished.
    pub after: Vec<usize>,
    /// Whether the model's tensors have a batch axis.
    batching: bool,
}

/// A tensor of a step's model and the ensemble's tensor that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The model's name for it.
    pub name: String,
    /// The ensemble's name for it.
    pub tensor: String,
    /// How many axes the model declares, without a batch axis.
    rank: usize,
}

impl Ensemble {
    /// Checks the ensemble `config` that lies in the directory `name`; `models` gives the configuration, completed, of a
    /// step's model (its version, or the one that it serves), `None` where it is not loaded.
    ///
    /// # Errors
    /// `InvalidConfig` when the ensemble is wrong in itself, names a model that is not loaded or a tensor that its model
    /// does not have, or when types or shapes of connected tensors differ.
    pub fn new(
        name: &str,
        config: &ModelConfig,
        models: impl Fn(&str, Option<u64>) -> Option<Arc<ModelConfig>>,
    ) -> Result<Self> {
        let mut config = config.clone();
        if config.name.is_empty() {
            name.clone_into(&mut config.name);
        } else if config.name != name {
            return Err(invalid(format!(
                "unexpected directory name '{name}' for model '{}', directory name must equal model name",
                config.name
            )));
        }
        triton::complete_backend(&mut config)?;
        triton::normalize(&mut config, &Defaults::default());
        triton::check(&config)?;
        let steps = connect::connect(&config, &models)?;
        Ok(Self { signature: Signature::of_tensors(Arc::new(config)), steps })
    }

    /// What the ensemble takes and gives: `bind` orders tensors as the configuration lists its inputs, `answer` expects
    /// them as it lists its outputs.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// With the class names of outputs that name a file of them; see [`package::read_output_labels`].
    ///
    /// [`package::read_output_labels`]: crate::package::read_output_labels
    #[must_use]
    pub fn with_labels(mut self, labels: &BTreeMap<String, Arc<[String]>>) -> Self {
        self.signature.set_labels(labels);
        self
    }

    /// The steps, as the configuration lists them.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl ModelConfig {
    /// The steps of an ensemble; none of another model.
    pub fn steps(&self) -> &[model_ensembling::Step] {
        match &self.scheduling_choice {
            Some(SchedulingChoice::EnsembleScheduling(ensemble)) => &ensemble.step,
            _ => &[],
        }
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}
