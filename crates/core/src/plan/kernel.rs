//! The weights of Pillow's resampling filters (its `Resample.c`), to the last bit.

use std::f64::consts::PI;

use super::geometry::Axis;
use crate::Filter;

/// Bits behind the point of a weight: 32, less 8 for the pixel and 2 for kernels that overshoot.
pub(super) const PRECISION: u32 = 32 - 8 - 2;

/// Half the width of a filter's kernel, in source pixels when enlarging and in target pixels when reducing.
pub(super) fn support(filter: Filter) -> f64 {
    match filter {
        Filter::Nearest | Filter::Box => 0.5,
        Filter::Bilinear => 1.0,
        Filter::Bicubic => 2.0,
        Filter::Lanczos => 3.0,
    }
}

/// What each kept pixel of an axis reads: `width` source pixels from its `first` on, with its own weights.
pub(super) struct Taps {
    /// Source index of each kept pixel's first weight.
    pub first: Vec<u32>,
    /// `width` weights for each kept pixel in units of `2^-PRECISION`, zeros behind the last.
    pub weights: Vec<i32>,
    /// Weights a kept pixel has.
    pub width: usize,
}

impl Taps {
    /// The taps of `axis`. Weights of kept pixels do not depend on what else is kept.
    pub(super) fn new(axis: &Axis, filter: Filter) -> Self {
        let scale = axis.scale();
        let stretch = scale.max(1.0);
        let (reach, inverse) = (support(filter) * stretch, 1.0 / stretch);
        let centre = |i: u32| (f64::from(i) + 0.5) * scale;
        // Casts to unsigned saturate at 0, as Pillow clamps.
        let bounds = |i: u32| {
            let first = (centre(i) - reach + 0.5) as u32;
            first..((centre(i) + reach + 0.5) as u32).min(axis.source)
        };
        let kept = axis.start..axis.start + axis.length;
        let width = kept.clone().map(|i| bounds(i).len()).max().unwrap_or(0);
        let mut taps =
            Self { first: Vec::with_capacity(kept.len()), weights: vec![0; width * kept.len()], width };
        let mut row = Vec::with_capacity(width);
        for (i, weights) in kept.zip(taps.weights.chunks_exact_mut(width.max(1))) {
            row.clear();
            row.extend(bounds(i).map(|x| kernel(filter, (f64::from(x) - centre(i) + 0.5) * inverse)));
            let total: f64 = row.iter().sum();
            let norm = if total == 0.0 { 1.0 } else { total };
            for (weight, value) in weights.iter_mut().zip(&row) {
                let scaled = value / norm * f64::from(1u32 << PRECISION);
                *weight = (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i32;
            }
            taps.first.push(bounds(i).start);
        }
        taps
    }

    /// First source index and weights of each kept pixel.
    pub(super) fn each(&self) -> impl Iterator<Item = (&u32, &[i32])> {
        self.first.iter().zip(self.weights.chunks_exact(self.width.max(1)))
    }
}

fn kernel(filter: Filter, x: f64) -> f64 {
    match filter {
        Filter::Nearest | Filter::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
        Filter::Bilinear => (1.0 - x.abs()).max(0.0),
        Filter::Bicubic => cubic(x.abs()),
        Filter::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
        Filter::Lanczos => 0.0,
    }
}

/// Cubic convolution with a = -0.5 (Keys 1981).
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}
