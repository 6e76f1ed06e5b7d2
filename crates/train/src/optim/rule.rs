//! The arithmetic of one step on one parameter. [`super::nodes`] has the same as a graph.

use super::clip::Clip;
use crate::config::{OptimConfig, OptimName};

/// One step's scalars, rounded to `f32` once, as PyTorch does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// `torch.optim.SGD`: `g += wd·w; b = μ·b + g; w -= lr·b`, or with Nesterov's momentum `w -= lr·(g + μ·b)`.
    Sgd { lr: f32, momentum: f32, decay: f32, nesterov: bool },
    /// `torch.optim.Adam` and `AdamW`.
    Adam(Adam),
}

/// `g += l2·w; w *= keep; m += (1-β1)(g-m); v = β2·v + (1-β2)·g²; w -= lr/(1-β1ᵗ) · m / (√v/√(1-β2ᵗ) + ε)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adam {
    step: f32,
    l2: f32,
    keep: f32,
    root: f32,
    take1: f32,
    keep2: f32,
    take2: f32,
    epsilon: f32,
}

impl Rule {
    /// The step number `steps`, from 1, with the learning rate `lr`.
    pub fn new(config: &OptimConfig, lr: f64, weight_decay: f64, steps: i32) -> Self {
        let adam = |l2: f64, keep: f64| {
            let [beta1, beta2] = config.betas;
            Self::Adam(Adam {
                step: (lr / (1.0 - beta1.powi(steps))) as f32,
                l2: l2 as f32,
                keep: keep as f32,
                root: (1.0 - beta2.powi(steps)).sqrt() as f32,
                take1: (1.0 - beta1) as f32,
                keep2: beta2 as f32,
                take2: (1.0 - beta2) as f32,
                epsilon: config.eps as f32,
            })
        };
        match config.name {
            OptimName::Sgd => Self::Sgd {
                lr: lr as f32,
                momentum: config.momentum as f32,
                decay: weight_decay as f32,
                nesterov: config.nesterov,
            },
            OptimName::Adam => adam(weight_decay, 1.0),
            OptimName::Adamw => adam(0.0, 1.0 - lr * weight_decay),
        }
    }

    /// The scalars, in the order in which [`super::nodes`] reads them.
    pub fn numbers(self) -> Vec<f32> {
        match self {
            Self::Sgd { lr, momentum, decay, nesterov: _ } => vec![lr, momentum, decay],
            Self::Adam(Adam { step, l2, keep, root, take1, keep2, take2, epsilon }) => {
                vec![step, l2, keep, root, take1, keep2, take2, epsilon]
            }
        }
    }

    /// Moves `weights`; `moments` are the first and the second.
    pub fn apply(
        self,
        weights: &mut [f32],
        gradient: &[f32],
        (first, second): (&mut [f32], &mut [f32]),
        clip: Clip,
    ) {
        match self {
            Self::Sgd { lr, momentum, decay, nesterov } => {
                // Two loops, so that neither asks in each element.
                let all = weights.iter_mut().zip(gradient).zip(first);
                if nesterov {
                    for ((w, g), b) in all {
                        let g = clip.of(*g) + decay * *w;
                        *b = momentum * *b + g;
                        *w -= lr * (g + momentum * *b);
                    }
                } else {
                    for ((w, g), b) in all {
                        *b = momentum * *b + (clip.of(*g) + decay * *w);
                        *w -= lr * *b;
                    }
                }
            }
            Self::Adam(Adam { step, l2, keep, root, take1, keep2, take2, epsilon }) => {
                for (((w, g), m), v) in weights.iter_mut().zip(gradient).zip(first).zip(second) {
                    let g = clip.of(*g) + l2 * *w;
                    *m += take1 * (g - *m);
                    *v = keep2 * *v + take2 * (g * g);
                    *w = keep * *w - step * (*m / (v.sqrt() / root + epsilon));
                }
            }
        }
    }
}
