//! Optimizers: SGD with momentum, Adam and AdamW, with PyTorch's formulas and defaults.
//!
//! Each rule is one pass over four flat arrays (weight, gradient and two moments), on one thread: the pass waits for
//! memory, 2 ms for 2.4 million weights, and a second thread measured no gain. Which rate and decay a parameter has is
//! [`groups`]' business, how gradients are clipped [`clip`]'s; computing gradients is the engine's work. On a device the
//! rules are a graph: [`nodes`].

pub(crate) mod clip;
pub(crate) mod groups;
pub(crate) mod nodes;
mod rule;

use tintype_core::{Error, ErrorKind, Result, Tensor};

use crate::config::{OptimConfig, OptimName};
use clip::Clip;
pub(crate) use rule::Rule;

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
        let rules = self.advance(rate);
        let slots = self.slots.iter_mut().zip(rules);
        for ((parameter, gradient), (slot, rule)) in parameters.iter_mut().zip(gradients).zip(slots) {
            let moments = (slot.first.as_mut_slice(), slot.second.as_mut_slice());
            rule.apply(parameter.values_mut()?, gradient.values()?, moments, clip);
        }
        Ok(())
    }

    /// Counts a step; returns what it does to each parameter.
    pub fn advance(&mut self, rate: f64) -> Vec<Rule> {
        let config = &self.config;
        let rule = |slot: &mut Slot| {
            slot.steps += 1;
            Rule::new(config, rate * slot.setting.rate, slot.setting.weight_decay, slot.steps)
        };
        self.slots.iter_mut().map(rule).collect()
    }

    /// The parameters, as indices, in groups that every step does the same to.
    pub fn alike(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (index, slot) in self.slots.iter().enumerate() {
            let key = |s: &Slot| (s.setting.rate, s.setting.weight_decay, s.steps);
            match groups.iter_mut().find(|group| key(&self.slots[group[0]]) == key(slot)) {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        groups
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
