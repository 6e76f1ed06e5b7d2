//! The state of a training to and from its checkpoints.
//!
//! `last.safetensors` has everything that the next step depends on: weights and running statistics under their own names,
//! their average under `ema/`, the optimizer's moments under `first/` and `second/`, counters and the plateau's memory in
//! the state. Orders, random changes and the graph's random numbers follow from seed and place and need no keeping.
//! `best.safetensors` has the weights of the best epoch, under their own names.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tintype_core::Result;
use tintype_core::package::digest::hex;
use tintype_graph::Model;

use super::scale::LossScale;
use super::stage::Stage;
use super::stepper::Stepper;
use super::{Best, State, Trainer};
use crate::checkpoint::{Array, Checkpoint, Checkpoints, write};
use crate::schedule::{Plateau, Schedule};
use crate::tally::Progress;
use crate::weights::{Named, Weights};

/// The state in `last.safetensors`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    /// Complete epochs.
    epoch: usize,
    /// Batches done of the next.
    done: usize,
    waited: usize,
    ema_steps: u64,
    /// Whether an epoch was validated, so that there is a best one.
    has_best: bool,
    /// A digest of the rows and their order.
    rows: String,
    progress: Progress,
    plateau: Plateau,
    /// What losses are multiplied with, in a training with small numbers.
    #[serde(default)]
    loss_scale: Option<LossScale>,
    /// The optimizer's steps, by parameter.
    steps: BTreeMap<String, i32>,
}

/// The state in `best.safetensors`.
#[derive(Debug, Serialize, Deserialize)]
struct SavedBest {
    epoch: usize,
    val_accuracy: f64,
    val_loss: f64,
}

/// Complete epochs of the run whose checkpoints these are.
///
/// # Errors
/// Those of [`Checkpoint::read_state`].
pub(crate) fn completed(checkpoints: &Checkpoints) -> Result<usize> {
    Ok(Checkpoint::read_state::<Saved>(&checkpoints.last())?.epoch)
}

impl<'a> Trainer<'a> {
    /// The state before the first step, or the one that the last checkpoint holds.
    pub(super) fn begin(&self) -> Result<State<'a>> {
        let fresh = |epoch: usize| -> Result<State<'a>> {
            Ok(State {
                epoch,
                done: 0,
                progress: Progress::default(),
                stepper: Stepper::new(self, self.model, Stage::of(&self.config.trainer, epoch + 1))?,
                schedule: Schedule::new(&self.config.optim, self.config.trainer.epochs),
                best: None,
                waited: 0,
            })
        };
        let Some(checkpoints) = self.checkpoints.filter(|_| self.config.resume.is_some()) else {
            return fresh(0);
        };
        let checkpoint = Checkpoint::read(&checkpoints.last())?;
        let saved: Saved = checkpoint.state()?;
        if saved.rows != self.rows() {
            return Err(checkpoint
                .error("its run learned from other images or another split")
                .with_hint("resume with the data, the seed and the batch size that it began with"));
        }
        let mut state = fresh(saved.epoch)?;
        restore(&mut state, &saved, checkpoint)?;
        state.best = if saved.has_best { Some(self.best(&checkpoints.best())?) } else { None };
        Ok(state)
    }

    /// The best epoch, read and validated again, which comes to the same.
    fn best(&self, path: &Path) -> Result<Best> {
        let checkpoint = Checkpoint::read(path)?;
        let saved: SavedBest = checkpoint.state()?;
        let values: Vec<(&str, &[f32])> =
            checkpoint.arrays.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect();
        let model = self.model.with_parameters(&values).map_err(|e| checkpoint.error(e.message()))?;
        let val = self.answers(&model)?;
        Ok(Best { model, epoch: saved.epoch, val })
    }

    /// Writes what the training goes on from.
    pub(super) fn save_last(&self, state: &mut State<'_>) -> Result<()> {
        let Some(checkpoints) = self.checkpoints else { return Ok(()) };
        let loss_scale = state.stepper.scale;
        let learned = state.stepper.learned()?;
        let mut arrays = arrays("", learned.weights.named()?);
        if let Some(ema) = &learned.ema {
            arrays.extend(self::arrays("ema/", ema.weights.named()?));
        }
        for slot in learned.optimizer.slots() {
            for (moment, values) in [("first/", &slot.first), ("second/", &slot.second)] {
                let name = format!("{moment}{}", slot.setting.name);
                arrays.push(Array { name, shape: vec![values.len()], values });
            }
        }
        let steps = learned.optimizer.slots().iter().map(|s| (s.setting.name.clone(), s.steps));
        let saved = Saved {
            epoch: state.epoch,
            done: state.done,
            waited: state.waited,
            ema_steps: learned.ema.as_ref().map_or(0, |ema| ema.steps),
            has_best: state.best.is_some(),
            rows: self.rows(),
            progress: state.progress,
            plateau: state.schedule.plateau(),
            loss_scale,
            steps: steps.collect(),
        };
        write(&checkpoints.last(), &arrays, &saved)
    }

    /// Writes the weights of the best epoch.
    pub(super) fn save_best(&self, state: &mut State<'_>) -> Result<()> {
        let (Some(checkpoints), Some(best)) = (self.checkpoints, &state.best) else { return Ok(()) };
        let (accuracy, loss) = (best.val.accuracy(), best.val.loss());
        let saved = SavedBest { epoch: best.epoch, val_accuracy: accuracy, val_loss: loss };
        let learned = values_of(&state.stepper.learned()?.weights, &best.model)?;
        let arrays: Vec<Array> = learned
            .iter()
            .map(|(named, values)| Array { name: named.name.to_owned(), shape: named.shape.clone(), values })
            .collect();
        write(&checkpoints.best(), &arrays, &saved)
    }

    /// What tells one training set from another: the shape, and classes and files in their order.
    fn rows(&self) -> String {
        let mut digest = Sha256::new();
        for examples in [self.train, self.val] {
            for number in examples.shape.iter().chain(&examples.classes) {
                digest.update(number.to_le_bytes());
            }
            digest.update(u64::MAX.to_le_bytes());
            examples.contents.iter().for_each(|content| digest.update(content));
        }
        digest.update(self.config.seed.to_le_bytes());
        digest.update(self.config.trainer.batch_size.to_le_bytes());
        hex(&digest.finalize())
    }
}

fn arrays<'a>(prefix: &str, named: Vec<Named<'a>>) -> Vec<Array<'a>> {
    let array =
        |n: Named<'a>| Array { name: format!("{prefix}{}", n.name), shape: n.shape, values: n.values };
    named.into_iter().map(array).collect()
}

/// The arrays of `weights` with the values that `model` has.
fn values_of<'a>(weights: &'a Weights, model: &Model) -> Result<Vec<(Named<'a>, Vec<f32>)>> {
    weights
        .named()?
        .into_iter()
        .map(|named| Ok((model.f32s(named.name)?, named)).map(|(v, n)| (n, v)))
        .collect()
}

/// Puts a checkpoint's values in place.
fn restore(state: &mut State<'_>, saved: &Saved, mut checkpoint: Checkpoint) -> Result<()> {
    let (first, second) = (checkpoint.part("first/"), checkpoint.part("second/"));
    let average = checkpoint.part("ema/");
    let learned = state.stepper.learned_mut()?;
    same_arrays(&learned.weights, &checkpoint)?;
    learned.weights.take(|name| checkpoint.arrays.get(name).map(Vec::as_slice))?;
    if let Some(ema) = &mut learned.ema {
        ema.weights = learned.weights.clone();
        ema.weights.take(|name| average.get(name).map(Vec::as_slice))?;
        ema.steps = saved.ema_steps;
    }
    for slot in learned.optimizer.slots_mut() {
        slot.steps = saved.steps.get(&slot.setting.name).copied().unwrap_or(0);
        let moments = [(&mut slot.first, &first), (&mut slot.second, &second)];
        for (moment, found) in moments {
            match found.get(&slot.setting.name) {
                Some(values) if values.len() == moment.len() => moment.copy_from_slice(values),
                _ => return Err(checkpoint.error("it is of another optimizer")),
            }
        }
    }
    if let (Some(scale), Some(saved)) = (&mut state.stepper.scale, saved.loss_scale) {
        *scale = saved;
    }
    state.epoch = saved.epoch;
    state.done = saved.done;
    state.progress = saved.progress;
    state.waited = saved.waited;
    state.schedule.restore(saved.plateau);
    Ok(())
}

/// Checks that a checkpoint is of this network.
fn same_arrays(weights: &Weights, checkpoint: &Checkpoint) -> Result<()> {
    let own: HashMap<&str, usize> = weights.named()?.iter().map(|n| (n.name, n.values.len())).collect();
    let misfit = own.iter().find(|(name, size)| checkpoint.arrays.get(**name).map(Vec::len) != Some(**size));
    let what = match misfit {
        Some((name, size)) => match checkpoint.arrays.get(*name) {
            Some(found) => format!("`{name}` has {} values, not {size}", found.len()),
            None => format!("it has no `{name}`"),
        },
        None => match checkpoint.arrays.keys().find(|name| !own.contains_key(name.as_str())) {
            Some(name) => format!("the network has no `{name}`"),
            None => return Ok(()),
        },
    };
    Err(checkpoint.error(format!("it is of another network: {what}")))
}
