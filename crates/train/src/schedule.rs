//! The learning rate over time: PyTorch's and timm's curves as functions of the epoch.
//!
//! Time is counted in epochs: a step is a fraction of one, so a curve per step and a curve per epoch are one formula.
//! Plateau alone remembers something; it is told the validation loss after each epoch.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::config::{OptimConfig, ScheduleConfig, ScheduleName, Unit};

/// A fall of the rate by less than this is none (`ReduceLROnPlateau`'s `eps`).
const LEAST_FALL: f64 = 1e-8;

/// A learning rate over the epochs of one training.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    config: ScheduleConfig,
    base: f64,
    epochs: f64,
    plateau: Plateau,
}

/// What `plateau` remembers; part of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plateau {
    /// The rate now.
    pub rate: f64,
    /// The lowest loss so far that counted.
    pub lowest: f64,
    /// Epochs since.
    pub waited: usize,
    /// Epochs that do not count yet.
    pub cooling: usize,
}

impl Schedule {
    /// The configured curve over `epochs`.
    pub fn new(config: &OptimConfig, epochs: usize) -> Self {
        let plateau = Plateau { rate: config.lr, lowest: f64::INFINITY, waited: 0, cooling: 0 };
        Self { config: config.schedule.clone(), base: config.lr, epochs: epochs as f64, plateau }
    }

    /// The rate of a step before which `epoch` epochs are complete, and `part` (0..1) of the next.
    pub fn rate(&self, epoch: usize, part: f64) -> f64 {
        let Self { config, base, epochs, plateau } = self;
        let time = epoch as f64 + if config.unit == Unit::Step { part } else { 0.0 };
        let warmup = config.warmup_epochs;
        if time < warmup {
            return config.warmup_lr + time * (base - config.warmup_lr) / warmup;
        }
        let (time, span) =
            if config.warmup_prefix { (time - warmup, epochs - warmup) } else { (time, *epochs) };
        // A warm-up as long as the training leaves no span.
        let share = if span > 0.0 { (time / span).min(1.0) } else { 0.0 };
        let whole = time.floor() as usize;
        let low = config.min_lr;
        match config.name {
            ScheduleName::Constant => *base,
            ScheduleName::Step => base * config.gamma.powi((whole / config.step_size) as i32),
            ScheduleName::Multistep => {
                base * config.gamma.powi(config.milestones.iter().filter(|&&m| m <= whole).count() as i32)
            }
            ScheduleName::Cosine => low + 0.5 * (base - low) * (1.0 + (PI * share).cos()),
            ScheduleName::Linear => low + (base - low) * (1.0 - share),
            ScheduleName::Plateau => plateau.rate,
        }
    }

    /// Tells the validation loss of an epoch: PyTorch's `ReduceLROnPlateau` with `mode=min, threshold_mode=rel`.
    pub fn validated(&mut self, loss: f64) {
        let (config, state) = (&self.config, &mut self.plateau);
        if loss < state.lowest * (1.0 - config.threshold) || state.lowest.is_infinite() {
            state.lowest = loss;
            state.waited = 0;
        } else {
            state.waited += 1;
        }
        if state.cooling > 0 {
            state.cooling -= 1;
            state.waited = 0;
        }
        if state.waited > config.patience {
            let lower = (state.rate * config.gamma).max(config.min_lr);
            if state.rate - lower > LEAST_FALL {
                state.rate = lower;
            }
            state.cooling = config.cooldown;
            state.waited = 0;
        }
    }

    /// What is remembered.
    pub fn plateau(&self) -> Plateau {
        self.plateau
    }

    /// Goes on from what was remembered.
    pub fn restore(&mut self, plateau: Plateau) {
        self.plateau = plateau;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `tests/data/schedule.py`.
    #[derive(Deserialize)]
    struct Reference {
        rate: f64,
        epochs: usize,
        steps: usize,
        losses: Vec<f64>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        schedule: ScheduleConfig,
        rates: Vec<f64>,
    }

    #[test]
    fn curves_are_pytorchs_and_timms() {
        let reference: Reference = serde_json::from_str(include_str!("../tests/data/schedule.json")).unwrap();
        assert_eq!(reference.cases.len(), 11);
        for case in reference.cases {
            let config =
                OptimConfig { lr: reference.rate, schedule: case.schedule, ..OptimConfig::default() };
            let mut schedule = Schedule::new(&config, reference.epochs);
            let steps = if config.schedule.unit == Unit::Step { reference.steps } else { 1 };
            let mut found = Vec::new();
            for (epoch, &loss) in reference.losses.iter().enumerate() {
                found.extend((0..steps).map(|s| schedule.rate(epoch, s as f64 / steps as f64)));
                schedule.validated(loss);
            }
            assert_eq!(found.len(), case.rates.len());
            for (i, (found, expected)) in found.iter().zip(&case.rates).enumerate() {
                // PyTorch multiplies from step to step, so it is off by a few units in the last place.
                let close = (found - expected).abs() <= 1e-12 + 1e-9 * expected;
                assert!(close, "{:?} at {i}: {found}, not {expected}", config.schedule);
            }
        }
    }

    #[test]
    fn a_warm_up_as_long_as_the_training_is_all_there_is() {
        let schedule = ScheduleConfig {
            name: ScheduleName::Cosine,
            warmup_epochs: 4.0,
            warmup_prefix: true,
            ..ScheduleConfig::default()
        };
        let schedule = Schedule::new(&OptimConfig { lr: 0.8, schedule, ..OptimConfig::default() }, 4);
        let rates: Vec<f64> = (0..5).map(|epoch| schedule.rate(epoch, 0.0)).collect();
        assert_eq!(rates[4], 0.8);
        assert!(rates.iter().zip([0.0, 0.2, 0.4, 0.6]).all(|(a, b)| (a - b).abs() < 1e-12), "{rates:?}");
    }
}
