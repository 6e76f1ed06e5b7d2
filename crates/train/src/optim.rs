//! Optimizers: SGD with momentum, Adam and AdamW, with PyTorch's formulas and defaults.
//!
//! Each rule is one pass over four flat arrays (weight, gradient and two moments), on one thread: the pass waits for
//! memory, 2 ms for 2.4 million weights, and a second thread measured no gain. Which rate and decay a parameter has is
//! [`groups`]' business, how gradients are clipped [`clip`]'s; computing gradients is the engine's work.

pub(crate) mod clip;
pub(crate) mod groups;
mod rule;

use tintype_core::{Error, ErrorKind, Result, Tensor};

use crate::config::{OptimConfig, OptimName};
use clip::Clip;
use rule::Rule;

/// An update rule with its moments.
#[derive(Debug)]
pub(crate) struct Optimizer {
    config: OptimConfig,
    slots: Vec<Slot>,
}

/// A parameter as an optimizer sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    /// Its name.
    pub name: String,
    /// Elements.
    pub size: usize,
    /// What the learning rate is multiplied with.
    pub rate: f64,
    /// Its weight decay.
    pub weight_decay: f64,
}

/// What an optimizer remembers of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot {
    pub setting: Setting,
    /// Steps made.
    pub steps: i32,
    /// Momentum (SGD) or first moment (Adam).
    pub first: Vec<f32>,
    /// Second moment (Adam); empty for SGD.
    pub second: Vec<f32>,
}

impl Optimizer {
    /// An optimizer that has not moved anything yet.
    pub fn new(config: &OptimConfig, settings: Vec<Setting>) -> Self {
        let slot = |setting: Setting| {
            let first = vec![0.0; setting.size];
            let second = if config.name == OptimName::Sgd { Vec::new() } else { first.clone() };
            Slot { setting, steps: 0, first, second }
        };
        Self { config: config.clone(), slots: settings.into_iter().map(slot).collect() }
    }

    /// Moves `parameters` (`f32`) by one step of the learning rate `rate` along `gradients`, one of the same size each,
    /// changed by `clip` first.
    ///
    /// # Errors
    /// `InvalidArgument` when a number, size or dtype does not fit; nothing has moved then.
    pub fn step(
        &mut self,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        rate: f64,
        clip: Clip,
    ) -> Result<()> {
        self.check(parameters, gradients)?;
        for ((parameter, gradient), slot) in parameters.iter_mut().zip(gradients).zip(&mut self.slots) {
            slot.steps += 1;
            let rule =
                Rule::new(&self.config, rate * slot.setting.rate, slot.setting.weight_decay, slot.steps);
            let moments = (slot.first.as_mut_slice(), slot.second.as_mut_slice());
            rule.apply(parameter.values_mut()?, gradient.values()?, moments, clip);
        }
        Ok(())
    }

    /// What is remembered, one entry a parameter.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The same, to be restored.
    pub(crate) fn slots_mut(&mut self) -> &mut [Slot] {
        &mut self.slots
    }

    /// Goes on where another left off, with the parameters that both have.
    pub(crate) fn follow(&mut self, other: Self) {
        for slot in &mut self.slots {
            if let Some(found) = other.slots.iter().find(|s| s.setting.name == slot.setting.name) {
                *slot = Slot { setting: slot.setting.clone(), ..found.clone() };
            }
        }
    }

    fn check(&self, parameters: &[Tensor], gradients: &[Tensor]) -> Result<()> {
        let expected = self.slots.len();
        if parameters.len() != expected || gradients.len() != expected {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "expected {expected} parameters and gradients, found {} and {}",
                    parameters.len(),
                    gradients.len()
                ),
            ));
        }
        for ((parameter, gradient), slot) in parameters.iter().zip(gradients).zip(&self.slots) {
            let (weights, slopes) = (parameter.values::<f32>()?.len(), gradient.values::<f32>()?.len());
            if weights != slot.setting.size || slopes != slot.setting.size {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "expected {} elements, found a parameter of {weights} and a gradient of {slopes}",
                        slot.setting.size
                    ),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
