//! One request on its way through an ensemble.

use std::collections::BTreeMap;

use super::{Ensemble, Step};
use crate::triton::shape;
use crate::{Error, ErrorKind, NamedTensor, Result, Tensor};

/// A step that can start.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// Its place in [`Ensemble::steps`].
    pub step: usize,
    /// What its model takes.
    pub inputs: Vec<NamedTensor>,
}

/// A request's tensors between the steps. A tensor is kept until its last reader has it, which gets it without a copy.
#[derive(Debug)]
pub struct Progress<'a> {
    ensemble: &'a Ensemble,
    /// The tensors that were made, and how many readers are left.
    tensors: BTreeMap<&'a str, (Tensor, usize)>,
    /// How many steps each still waits for; `None` once it has been started.
    waiting: Vec<Option<usize>>,
    unfinished: usize,
}

impl Ensemble {
    /// Begins a request with the inputs of [`Bound::Tensors`](crate::Bound::Tensors).
    pub fn start(&self, inputs: Vec<Tensor>) -> Progress<'_> {
        let mut progress = Progress {
            ensemble: self,
            tensors: BTreeMap::new(),
            waiting: self.steps.iter().map(|step| Some(step.after.len())).collect(),
            unfinished: self.steps.len(),
        };
        for (input, tensor) in self.signature.config().input.iter().zip(inputs) {
            progress.keep(&input.name, tensor);
        }
        progress
    }

    /// How many steps and outputs read a tensor.
    fn readers(&self, tensor: &str) -> usize {
        let links = self.steps.iter().flat_map(|step| &step.inputs);
        let outputs = &self.signature.config().output;
        links.filter(|link| link.tensor == tensor).count()
            + outputs.iter().filter(|o| o.name == tensor).count()
    }
}

impl<'a> Progress<'a> {
    /// The steps that can start now and were not given out before.
    ///
    /// # Errors
    /// `Internal` when a tensor is missing, which [`finish`](Self::finish) does not let happen.
    pub fn ready(&mut self) -> Result<Vec<Ready>> {
        let ensemble = self.ensemble;
        let mut ready = Vec::new();
        for (index, step) in ensemble.steps.iter().enumerate() {
            if self.waiting[index] != Some(0) {
                continue;
            }
            self.waiting[index] = None;
            let mut inputs = Vec::with_capacity(step.inputs.len());
            for link in &step.inputs {
                let tensor = adapt(self.take(&link.tensor)?, link.rank, step.batching)?;
                inputs.push(NamedTensor { name: link.name.clone(), tensor });
            }
            ready.push(Ready { step: index, inputs });
        }
        Ok(ready)
    }

    /// Takes the outputs of a step, under its model's names.
    ///
    /// # Errors
    /// `InvalidModel` when an output that others need is not among them.
    pub fn finish(&mut self, step: usize, mut outputs: Vec<NamedTensor>) -> Result<()> {
        let ensemble = self.ensemble;
        let Some(Step { model, outputs: links, .. }) = ensemble.steps.get(step) else {
            return Err(Error::new(ErrorKind::Internal, format!("the ensemble has no step {step}")));
        };
        for link in links {
            let Some(place) = outputs.iter().position(|output| output.name == link.name) else {
                let message = format!("in ensemble {}, model {model} gave no '{}'", self.name(), link.name);
                return Err(Error::new(ErrorKind::InvalidModel, message));
            };
            self.keep(&link.tensor, outputs.swap_remove(place).tensor);
        }
        for (later, left) in ensemble.steps.iter().zip(&mut self.waiting) {
            if let Some(left) = left
                && later.after.contains(&step)
            {
                *left = left.saturating_sub(1);
            }
        }
        self.unfinished = self.unfinished.saturating_sub(1);
        Ok(())
    }

    /// Whether every step has finished.
    pub fn is_done(&self) -> bool {
        self.unfinished == 0
    }

    /// The ensemble's outputs, for [`Signature::answer`](crate::Signature::answer), once all steps have finished.
    ///
    /// # Errors
    /// `Internal` when called before that.
    pub fn outputs(mut self) -> Result<Vec<Tensor>> {
        let config = self.ensemble.signature.config();
        let batching = config.max_batch_size > 0;
        let outputs = config.output.iter().map(|output| {
            let rank = output.reshape.as_ref().map_or(output.dims.len(), |reshape| reshape.shape.len());
            adapt(self.take(&output.name)?, rank, batching)
        });
        outputs.collect()
    }

    fn name(&self) -> &str {
        &self.ensemble.signature.config().name
    }

    fn keep(&mut self, name: &'a str, tensor: Tensor) {
        self.tensors.insert(name, (tensor, self.ensemble.readers(name)));
    }

    fn take(&mut self, name: &str) -> Result<Tensor> {
        match self.tensors.get_mut(name) {
            Some((tensor, readers)) if *readers > 1 => {
                *readers -= 1;
                Ok(tensor.clone())
            }
            _ => self.tensors.remove(name).map(|(tensor, _)| tensor).ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    format!("tensor '{name}' of ensemble {} is not there", self.name()),
                )
            }),
        }
    }
}

/// Adds a batch axis of 1 for a model that batches, or takes it off for one that does not.
fn adapt(tensor: Tensor, rank: usize, batching: bool) -> Result<Tensor> {
    let found = tensor.shape().to_vec();
    if batching && found.len() == rank {
        return tensor.reshaped([&[1], found.as_slice()].concat());
    }
    if !batching && found.len() == rank + 1 {
        if found[0] != 1 {
            let message = format!(
                "a model without batching was given a batch of {} in an ensemble: shape {}",
                found[0],
                shape::show(&found)
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        return tensor.reshaped(&found[1..]);
    }
    Ok(tensor)
}
