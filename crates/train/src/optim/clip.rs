//! Scaling and clipping gradients, as `clip_grad_norm_` and `clip_grad_value_` of PyTorch.

use tintype_core::{Result, Tensor};

use crate::config::OptimConfig;

/// What `clip_grad_norm_` adds to the norm that it divides by.
const EPSILON: f64 = 1e-6;

/// A change of every element of a gradient, made while the optimizer reads it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Clip {
    factor: f32,
    limit: f32,
}

impl Clip {
    /// No change.
    #[cfg(test)]
    pub const NONE: Self = Self { factor: 1.0, limit: f32::INFINITY };

    /// The change for `gradients` that are to be multiplied by `factor` and then clipped as `config` says.
    ///
    /// # Errors
    /// `InvalidArgument` when a gradient is not `f32`.
    pub fn new(config: &OptimConfig, gradients: &[Tensor], factor: f64) -> Result<Self> {
        let mut squares = 0.0;
        if config.clip_norm > 0.0 {
            for gradient in gradients {
                squares += sum_of_squares(gradient.values()?);
            }
        }
        Ok(Self::by_squares(config, squares, factor))
    }

    /// The same for gradients of which `squares` is the sum of all squares; it counts where there is a norm to keep.
    pub fn by_squares(config: &OptimConfig, squares: f64, factor: f64) -> Self {
        let mut factor = factor;
        if config.clip_norm > 0.0 {
            factor *= (config.clip_norm / (squares.sqrt() * factor + EPSILON)).min(1.0);
        }
        let limit = if config.clip_value > 0.0 { config.clip_value as f32 } else { f32::INFINITY };
        Self { factor: factor as f32, limit }
    }

    /// What each element is multiplied with, before it is brought within the limit.
    pub fn factor(self) -> f32 {
        self.factor
    }

    /// The changed element.
    pub(super) fn of(self, g: f32) -> f32 {
        (g * self.factor).clamp(-self.limit, self.limit)
    }
}

/// In `f64`, by eight sums that the compiler can hold in a vector.
fn sum_of_squares(values: &[f32]) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    let rest: f64 = rest.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    sums.iter().sum::<f64>() + rest
}
