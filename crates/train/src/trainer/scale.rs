//! The factor that keeps small gradients from vanishing in half precision: PyTorch's `GradScaler` with its defaults.

use serde::{Deserialize, Serialize};

/// What the loss is multiplied with at first.
const START: f64 = 65536.0;
/// Steps in a row that must go well before the factor doubles.
const PATIENCE: u32 = 2000;

/// The factor, and how it has been doing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct LossScale {
    /// A power of two.
    pub factor: f64,
    /// Steps in a row without a gradient that is no number.
    good: u32,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { factor: START, good: 0 }
    }
}

impl LossScale {
    /// Counts a step that went well, or one that was left out because a gradient is no number.
    pub fn count(&mut self, went_well: bool) {
        if !went_well {
            *self = Self { factor: self.factor * 0.5, good: 0 };
            return;
        }
        self.good += 1;
        if self.good == PATIENCE {
            *self = Self { factor: self.factor * 2.0, good: 0 };
        }
    }
}

#[cfg(test)]
impl LossScale {
    /// One that begins elsewhere.
    pub fn of(factor: f64) -> Self {
        Self { factor, good: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_grows_after_two_thousand_good_steps_in_a_row_and_halves_at_once() {
        let mut scale = LossScale::default();
        let mut steps = |went_well: bool, count: usize| {
            (0..count).for_each(|_| scale.count(went_well));
            scale.factor
        };
        assert_eq!(steps(true, 1999), 65536.0);
        assert_eq!(steps(true, 1), 131_072.0);
        assert_eq!(steps(true, 1999), 131_072.0);
        assert_eq!(steps(false, 2), 32768.0);
        assert_eq!(steps(true, 1999), 32768.0);
        assert_eq!(steps(true, 1), 65536.0);
    }
}
