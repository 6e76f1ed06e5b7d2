//! Which parameters learn in which epoch.

use std::collections::HashSet;

use tintype_core::{Error, ErrorKind, Result};
use tintype_graph::Model;

use super::stepper::Stepper;
use super::{State, Trainer};
use crate::config::{BatchNorm, TrainerConfig};
use crate::optim::groups;

/// A part of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The last layer learns alone.
    Head,
    /// Everything learns that may.
    All,
}

impl Stage {
    /// The stage of an epoch, from 1.
    pub fn of(config: &TrainerConfig, epoch: usize) -> Self {
        if epoch <= config.head_epochs { Self::Head } else { Self::All }
    }
}

/// Which parameters of a model may learn.
#[derive(Debug)]
pub(super) struct Trainable {
    frozen: Vec<String>,
    /// Scales and shifts of batch norms that stay as they are.
    norms: HashSet<String>,
    /// The last layer's parameters.
    head: HashSet<String>,
}

impl Trainable {
    /// As `config` says.
    ///
    /// # Errors
    /// `InvalidConfig` when `trainer.freeze` has a name that no parameter begins with.
    pub fn new(config: &TrainerConfig, model: &Model) -> Result<Self> {
        let graph = model.graph();
        for prefix in &config.freeze {
            if !graph.initializer.iter().any(|t| begins(&t.name, prefix)) {
                let mut known: Vec<&str> =
                    graph.initializer.iter().filter_map(|t| t.name.split('.').next()).collect();
                known.dedup();
                known.truncate(12);
                let message = format!("`trainer.freeze`: no parameter begins with `{prefix}`");
                return Err(Error::new(ErrorKind::InvalidConfig, message)
                    .with_hint(format!("there are {}", known.join(", "))));
            }
        }
        let norms = graph.node.iter().filter(|n| n.op_type == "BatchNormalization");
        let norms = match config.batch_norm {
            BatchNorm::Train => HashSet::new(),
            BatchNorm::Frozen => norms.flat_map(|n| n.input.iter().skip(1).take(2).cloned()).collect(),
        };
        Ok(Self { frozen: config.freeze.clone(), norms, head: groups::last_layer(model) })
    }

    /// Whether a parameter learns in a stage.
    pub fn accepts(&self, stage: Stage, name: &str) -> bool {
        (stage == Stage::All || self.head.contains(name))
            && !self.norms.contains(name)
            && !self.frozen.iter().any(|prefix| begins(name, prefix))
    }
}

/// Whether `prefix` is all of a name or whole components of it.
fn begins(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix.trim_end_matches('.'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl<'a> Trainer<'a> {
    /// Makes ready for the next epoch: where another stage begins, with another graph, what was learned goes on.
    pub(super) fn enter_stage(&self, state: &mut State<'a>) -> Result<()> {
        let stage = Stage::of(&self.config.trainer, state.epoch + 1);
        if state.stepper.stage != stage {
            let model = state.stepper.learned()?.weights.write_into(self.model)?;
            let next = Stepper::new(self, &model, stage)?;
            let before = std::mem::replace(&mut state.stepper, next);
            state.stepper.follow(before)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_whole_components() {
        for (name, prefix, expected) in [
            ("layer1.0.conv1.weight", "layer1", true),
            ("layer1.0.conv1.weight", "layer1.", true),
            ("layer1.0.conv1.weight", "layer1.0", true),
            ("layer10.0.conv1.weight", "layer1", false),
            ("conv1.weight", "conv1.weight", true),
            ("bn1.weight", "conv1", false),
        ] {
            assert_eq!(begins(name, prefix), expected, "{name} {prefix}");
        }
    }
}
