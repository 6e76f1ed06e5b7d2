//! A slow average of the weights: timm's `ModelEmaV2`, and with a warm-up its `ModelEmaV3`.

use tintype_core::Result;

use crate::config::EmaConfig;
use crate::weights::Weights;

/// The exponent of the warm-up, timm's default.
const POWER: f64 = 2.0 / 3.0;

/// The average of the weights after each step, the last ones counting most.
#[derive(Debug, Clone)]
pub(crate) struct Ema {
    config: EmaConfig,
    pub weights: Weights,
    /// Steps averaged.
    pub steps: u64,
}

impl Ema {
    /// An average that begins at `weights`; none where the configuration wants none.
    pub fn new(config: EmaConfig, weights: &Weights) -> Option<Self> {
        (config.decay > 0.0).then(|| Self { config, weights: weights.clone(), steps: 0 })
    }

    /// Takes the weights after one more step in.
    ///
    /// # Errors
    /// `Internal` when the weights are of another model.
    pub fn update(&mut self, weights: &Weights) -> Result<()> {
        let keep = self.advance();
        self.weights.blend(weights, keep)
    }

    /// Counts a step; returns what of the average it keeps.
    pub fn advance(&mut self) -> f32 {
        self.steps += 1;
        decay(self.config, self.steps) as f32
    }

    /// The average for a graph with other parameters: what both have goes on, the rest begins at `weights`.
    pub fn follow(self, weights: &Weights) -> Result<Self> {
        let mut next = weights.clone();
        next.adopt(&self.weights)?;
        Ok(Self { weights: next, ..self })
    }
}

/// What of the average the step number `step`, from 1, keeps.
fn decay(config: EmaConfig, step: u64) -> f64 {
    if !config.warmup {
        return config.decay;
    }
    // timm counts from the step after the first, which is taken as it is.
    let counted = (step - 1) as f64;
    (1.0 - (1.0 + counted).powf(-POWER)).min(config.decay)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use tintype_core::Tensor;
    use tintype_testkit::assert_close;

    use super::*;

    /// Written by `tests/data/ema.py`.
    #[derive(Deserialize)]
    struct Case {
        warmup: bool,
        decay: f64,
        start: Vec<f32>,
        weights: Vec<Vec<f32>>,
        averages: Vec<Vec<f32>>,
    }

    #[test]
    fn averages_are_timms() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../tests/data/ema.json")).unwrap();
        assert_eq!(cases.len(), 3);
        let of = |values: Vec<f32>| Weights::plain(&[("w", Tensor::new(vec![3], values).unwrap())]);
        for case in cases {
            let config = EmaConfig { decay: case.decay, warmup: case.warmup };
            let mut ema = Ema::new(config, &of(case.start)).unwrap();
            for (weights, average) in case.weights.into_iter().zip(case.averages) {
                ema.update(&of(weights)).unwrap();
                // A few units in the last place of values up to 10, after 30 steps.
                assert_close(ema.weights.parameters[0].values().unwrap(), &average, 5e-6);
            }
        }
        assert!(Ema::new(EmaConfig { decay: 0.0, warmup: true }, &of(vec![0.0; 3])).is_none());
    }
}
