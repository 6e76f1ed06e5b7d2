//! A tensor's range, and the scale and zero point that follow from it.

/// The least and greatest value that a tensor is to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The least.
    pub min: f32,
    /// The greatest.
    pub max: f32,
}

/// What makes a `u8` of a float and back: `x = scale · (q − zero)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Parameters {
    pub scale: f32,
    pub zero: u8,
}

impl Range {
    /// No value yet.
    pub const EMPTY: Self = Self { min: f32::INFINITY, max: f32::NEG_INFINITY };

    /// The least range that has `values`; those that are not numbers do not count.
    pub fn of(values: &[f32]) -> Self {
        values.iter().fold(Self::EMPTY, |Self { min, max }, &v| Self { min: min.min(v), max: max.max(v) })
    }

    /// The least range that has both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// The greatest distance from zero.
    pub fn reach(self) -> f32 {
        self.min.abs().max(self.max.abs())
    }

    /// Whether both ends are finite, and in order.
    pub fn is_finite(self) -> bool {
        self.min.is_finite() && self.max.is_finite() && self.min <= self.max
    }

    /// Scale and zero point over all 256 steps. Zero itself is always a step: padding and what ReLU cuts off stay exact.
    pub(super) fn parameters(self) -> Parameters {
        let (min, max) = (f64::from(self.min.min(0.0)), f64::from(self.max.max(0.0)));
        let scale = (max - min) / 255.0;
        if scale < f64::from(f32::MIN_POSITIVE) {
            return Parameters { scale: 1.0, zero: 0 };
        }
        let zero = (-min / scale).round_ties_even().clamp(0.0, 255.0);
        Parameters { scale: scale as f32, zero: zero as u8 }
    }
}

impl Parameters {
    /// The least and greatest value that a step stands for.
    pub fn extremes(self) -> (f32, f32) {
        let zero = f32::from(self.zero);
        (-zero * self.scale, (255.0 - zero) * self.scale)
    }
}
