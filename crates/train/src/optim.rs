//! Optimizers: SGD with momentum, Adam and AdamW, with PyTorch's formulas and defaults.
//!
//! Each rule is one pass over four flat arrays (weight, gradient and two moments), on one thread: the pass waits for
//! memory, 2 ms for 2.4 million weights, and a second thread measured no gain. Computing gradients is the engine's work.

use tintype_core::{Error, ErrorKind, Result, Tensor};

use crate::config::{OptimConfig, OptimName};

/// Decay of Adam's first moment, as PyTorch's default.
const BETA1: f64 = 0.9;
/// Decay of Adam's second moment, as PyTorch's default.
const BETA2: f64 = 0.999;
/// Added to Adam's divisor, as PyTorch's default.
const EPSILON: f32 = 1e-8;

/// An update rule with its moments.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimConfig,
    /// Steps made.
    steps: i32,
    /// Momentum buffers (SGD) or first moments (Adam), one array a parameter.
    first: Vec<Vec<f32>>,
    /// Second moments (Adam); empty arrays for SGD.
    second: Vec<Vec<f32>>,
}

impl Optimizer {
    /// An optimizer for parameters of `sizes` elements.
    pub fn new(config: &OptimConfig, sizes: &[usize]) -> Self {
        let zeros = || sizes.iter().map(|&n| vec![0.0; n]).collect::<Vec<_>>();
        let second = match config.name {
            OptimName::Sgd => vec![Vec::new(); sizes.len()],
            OptimName::Adam | OptimName::Adamw => zeros(),
        };
        Self { config: config.clone(), steps: 0, first: zeros(), second }
    }

    /// Moves `parameters` (`f32`) by one step along `gradients`, one of the same size each.
    ///
    /// # Errors
    /// `InvalidArgument` when a number, size or dtype does not fit; nothing has moved then.
    pub fn step(&mut self, parameters: &mut [Tensor], gradients: &[Tensor]) -> Result<()> {
        self.check(parameters, gradients)?;
        self.steps += 1;
        let rule = Rule::new(&self.config, self.steps);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((parameter, gradient), (first, second)) in parameters.iter_mut().zip(gradients).zip(moments) {
            rule.apply(parameter.values_mut()?, gradient.values()?, first, second);
        }
        Ok(())
    }

    fn check(&self, parameters: &[Tensor], gradients: &[Tensor]) -> Result<()> {
        let expected = self.first.len();
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
        for ((parameter, gradient), moment) in parameters.iter().zip(gradients).zip(&self.first) {
            let (weights, slopes) = (parameter.values::<f32>()?.len(), gradient.values::<f32>()?.len());
            if weights != moment.len() || slopes != moment.len() {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "expected {} elements, found a parameter of {weights} and a gradient of {slopes}",
                        moment.len()
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// One step's scalars, rounded to `f32` once, as PyTorch does.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// `torch.optim.SGD`: `g += wd·w; b = μ·b + g; w -= lr·b`.
    Sgd { lr: f32, momentum: f32, decay: f32 },
    /// `torch.optim.Adam` and `AdamW`: `g += l2·w; w *= keep; m += (1-β1)(g-m); v = β2·v + (1-β2)·g²;
    /// w -= lr/(1-β1ᵗ) · m / (√v/√(1-β2ᵗ) + ε)`.
    Adam { step: f32, l2: f32, keep: f32, root: f32 },
}

impl Rule {
    fn new(config: &OptimConfig, steps: i32) -> Self {
        let OptimConfig { name, lr, weight_decay, momentum } = config.clone();
        let adam = |l2: f64, keep: f64| Self::Adam {
            step: (lr / (1.0 - BETA1.powi(steps))) as f32,
            l2: l2 as f32,
            keep: keep as f32,
            root: (1.0 - BETA2.powi(steps)).sqrt() as f32,
        };
        match name {
            OptimName::Sgd => {
                Self::Sgd { lr: lr as f32, momentum: momentum as f32, decay: weight_decay as f32 }
            }
            OptimName::Adam => adam(weight_decay, 1.0),
            OptimName::Adamw => adam(0.0, 1.0 - lr * weight_decay),
        }
    }

    fn apply(self, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        match self {
            Self::Sgd { lr, momentum, decay } => {
                for ((w, g), b) in weights.iter_mut().zip(gradient).zip(first) {
                    *b = momentum * *b + (g + decay * *w);
                    *w -= lr * *b;
                }
            }
            Self::Adam { step, l2, keep, root } => {
                let (take1, take2, keep2) = ((1.0 - BETA1) as f32, (1.0 - BETA2) as f32, BETA2 as f32);
                for (((w, g), m), v) in weights.iter_mut().zip(gradient).zip(first).zip(second) {
                    let g = g + l2 * *w;
                    *m += take1 * (g - *m);
                    *v = keep2 * *v + take2 * (g * g);
                    *w = keep * *w - step * (*m / (v.sqrt() / root + EPSILON));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use tintype_testkit::assert_close;

    use super::*;

    /// Written by `tests/data/optim.py`.
    #[derive(Deserialize)]
    struct Case {
        config: OptimConfig,
        start: Vec<f32>,
        gradients: Vec<Vec<f32>>,
        end: Vec<f32>,
    }

    #[test]
    fn steps_are_those_of_pytorch() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../tests/data/optim.json")).unwrap();
        assert_eq!(cases.len(), 6);
        for case in cases {
            let mut optimizer = Optimizer::new(&case.config, &[case.start.len()]);
            let mut parameters = [Tensor::new(vec![case.start.len()], case.start).unwrap()];
            for gradient in case.gradients {
                let gradient = Tensor::new(vec![gradient.len()], gradient).unwrap();
                optimizer.step(&mut parameters, &[gradient]).unwrap();
            }
            // A few units in the last place after 10 steps over values around 1.
            assert_close(parameters[0].values().unwrap(), &case.end, 1e-6);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let config = OptimConfig { name: OptimName::Sgd, lr: 1.0, weight_decay: 0.0, momentum: 0.0 };
        let mut optimizer = Optimizer::new(&config, &[2]);
        let tensor = |n: usize| Tensor::new(vec![n], vec![1.0f32; n]).unwrap();
        let mut parameters = [tensor(2)];
        for wrong in [vec![], vec![tensor(3)], vec![Tensor::new(vec![2], vec![1i64; 2]).unwrap()]] {
            assert_eq!(
                optimizer.step(&mut parameters, &wrong).unwrap_err().kind(),
                ErrorKind::InvalidArgument
            );
        }
        assert_eq!(parameters[0], tensor(2));
    }
}
