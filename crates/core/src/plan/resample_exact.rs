//! Nearest and box resampling with Pillow's own arithmetic (its `Geometry.c` and `Resample.c`).

use super::geometry::{Axis, Geometry};
use super::resample::View;

/// Bits behind the point in Pillow's 8-bit coefficients.
const PRECISION: u32 = 32 - 8 - 2;

/// The pixel under the centre of each target pixel; also a plain crop where nothing is resized.
pub(super) fn nearest(view: &View<'_>, geometry: &Geometry, out: &mut [u8]) {
    let columns = centres(&geometry.x, view.region.x);
    let rows = centres(&geometry.y, view.region.y);
    let stride = view.region.width as usize * view.channels;
    for (line, y) in out.chunks_exact_mut(columns.len() * view.channels).zip(rows) {
        let row = &view.pixels[y * stride..(y + 1) * stride];
        for (pixel, &x) in line.chunks_exact_mut(view.channels).zip(&columns) {
            pixel.copy_from_slice(&row[x * view.channels..(x + 1) * view.channels]);
        }
    }
}

/// The source index of each kept pixel, counted from `from`. Pillow adds the step up from the first pixel on, rounding
/// each time, so this does too.
fn centres(axis: &Axis, from: u32) -> Vec<usize> {
    let step = axis.scale();
    let mut centre = step * 0.5;
    let mut found = Vec::with_capacity(axis.length as usize);
    for i in 0..axis.start + axis.length {
        if i >= axis.start {
            found.push(((centre as u32).min(axis.source - 1) - from) as usize);
        }
        centre += step;
    }
    found
}

/// The mean of the covered pixels, horizontally then vertically, rounded to 8 bits in between.
pub(super) fn box_filter(view: &View<'_>, geometry: &Geometry, between: &mut Vec<u8>, out: &mut [u8]) {
    let (columns, rows) = (taps(&geometry.x, view.region.x), taps(&geometry.y, view.region.y));
    let channels = view.channels;
    let stride = view.region.width as usize * channels;
    let width = columns.len() * channels;
    // All rows of the view: those that no tap reads are few.
    between.resize(width * view.region.height as usize, 0);
    for (line, row) in between.chunks_exact_mut(width).zip(view.pixels.chunks_exact(stride)) {
        for (pixel, tap) in line.chunks_exact_mut(channels).zip(&columns) {
            for (c, value) in pixel.iter_mut().enumerate() {
                *value = tap.sum(|i| row[i * channels + c]);
            }
        }
    }
    for (line, tap) in out.chunks_exact_mut(width).zip(&rows) {
        for (at, value) in line.iter_mut().enumerate() {
            *value = tap.sum(|i| between[i * width + at]);
        }
    }
}

/// What one target pixel reads: weights in units of `2^-PRECISION`, from index `first` on.
struct Tap {
    first: usize,
    weights: Vec<i32>,
}

impl Tap {
    fn sum(&self, value: impl Fn(usize) -> u8) -> u8 {
        let half = 1i64 << (PRECISION - 1);
        let sum: i64 = self
            .weights
            .iter()
            .enumerate()
            .map(|(i, &weight)| i64::from(weight) * i64::from(value(self.first + i)))
            .sum();
        ((sum + half) >> PRECISION).clamp(0, 255) as u8
    }
}

/// The taps of each kept pixel, with indices counted from `from`.
fn taps(axis: &Axis, from: u32) -> Vec<Tap> {
    let scale = axis.scale();
    let stretch = scale.max(1.0);
    let (support, inverse) = (0.5 * stretch, 1.0 / stretch);
    (axis.start..axis.start + axis.length)
        .map(|i| {
            if axis.is_unscaled() {
                return Tap { first: (i - from) as usize, weights: vec![1 << PRECISION] };
            }
            let centre = (f64::from(i) + 0.5) * scale;
            let first = (centre - support + 0.5) as u32;
            let last = ((centre + support + 0.5) as u32).min(axis.source);
            let weights: Vec<f64> = (0..last - first)
                .map(|x| {
                    let distance = (f64::from(x + first) - centre + 0.5) * inverse;
                    if distance > -0.5 && distance <= 0.5 { 1.0 } else { 0.0 }
                })
                .collect();
            let total: f64 = weights.iter().sum();
            let unit = f64::from(1u32 << PRECISION);
            let weights = weights.iter().map(|w| (0.5 + w / total * unit) as i32).collect();
            Tap { first: (first - from) as usize, weights }
        })
        .collect()
}
