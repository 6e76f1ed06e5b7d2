//! Resizing and cropping in one step: of the resized picture only the kept part is computed.
//!
//! Two passes with 8 bits in between, in Pillow's order and with its integer weights: the result is Pillow's, bit for bit. The obvious crates are not: with 16-bit weights or passes the other way round some samples are off by
//! two, and by many more where a filter overshoots.

use super::convolve::{Rows, Strip, horizontal, vertical};
use super::geometry::{Axis, Geometry};
use super::kernel::Taps;
use crate::Filter;
use crate::image::Region;

/// Interleaved 8-bit pixels that are `region` of a picture.
pub(super) struct View<'a> {
    pub pixels: &'a [u8],
    pub region: Region,
    pub channels: usize,
}

/// The working memory of resampling.
#[derive(Debug, Default)]
pub(super) struct Resampler {
    /// Between the two passes: as wide as the result, as high as the source.
    between: Vec<u8>,
    /// The result, where the canvas is larger.
    picture: Vec<u8>,
    /// What the horizontal pass turns.
    strip: Strip,
}

impl Resampler {
    /// Resizes and crops `view` as `geometry` says, onto `canvas`.
    pub(super) fn run(&mut self, view: &View<'_>, geometry: &Geometry, filter: Filter, canvas: &mut Vec<u8>) {
        let (size, picture) = (geometry.canvas(), geometry.picture());
        let bytes = |width: u32, height: u32| width as usize * height as usize * view.channels;
        canvas.resize(bytes(size.width, size.height), 0);
        if size == picture {
            self.resample(view, geometry, filter, canvas);
            return;
        }
        let mut kept = std::mem::take(&mut self.picture);
        kept.resize(bytes(picture.width, picture.height), 0);
        self.resample(view, geometry, filter, &mut kept);
        canvas.fill(geometry.fill);
        let left = bytes(geometry.x.at, 1);
        let lines = canvas.chunks_exact_mut(bytes(size.width, 1)).skip(geometry.y.at as usize);
        for (line, row) in lines.zip(kept.chunks_exact(bytes(picture.width, 1))) {
            line[left..left + row.len()].copy_from_slice(row);
        }
        self.picture = kept;
    }

    fn resample(&mut self, view: &View<'_>, geometry: &Geometry, filter: Filter, out: &mut [u8]) {
        let unscaled = geometry.x.is_unscaled() && geometry.y.is_unscaled();
        if unscaled || filter == Filter::Nearest {
            nearest(view, geometry, out);
            return;
        }
        let rows = geometry.y.needed(super::kernel::support(filter));
        let stride = view.region.width as usize * view.channels;
        let top = (rows.start - view.region.y) as usize * stride;
        let source = Rows { samples: &view.pixels[top..], stride };
        let width = geometry.x.length as usize * view.channels;
        let vertical_first = vertical_first(geometry);
        // Never more than the decoded picture or the canvas: the first pass is the one that loses more.
        let length = if vertical_first { stride * geometry.y.length as usize } else { width * rows.len() };
        let passes = Passes { geometry, filter, view };
        if geometry.y.is_unscaled() {
            passes.across(source, &mut self.strip, out);
            return;
        }
        let mut between = std::mem::take(&mut self.between);
        between.resize(length, 0);
        if vertical_first {
            passes.down(source, rows.start, &mut between);
            passes.across(Rows { samples: &between, stride }, &mut self.strip, out);
        } else {
            passes.across(source, &mut self.strip, &mut between);
            passes.down(Rows { samples: &between, stride: width }, rows.start, out);
        }
        self.between = between;
    }

    /// Gives buffers of more than `keep` bytes back.
    pub(super) fn shrink(&mut self, keep: usize) {
        for buffer in [&mut self.between, &mut self.picture] {
            if buffer.capacity() > keep {
                *buffer = Vec::new();
            }
        }
    }
}

/// Whether Pillow (since 13.0) takes the vertical pass first: where that spares much work, in pictures that lose more
/// than twice as many rows as columns.
fn vertical_first(geometry: &Geometry) -> bool {
    let lost = |axis: &Axis| i64::from(axis.source) - i64::from(axis.resized);
    lost(&geometry.y) > 0 && lost(&geometry.y) > 2 * lost(&geometry.x)
}

/// The two passes over one view.
struct Passes<'a> {
    geometry: &'a Geometry,
    filter: Filter,
    view: &'a View<'a>,
}

impl Passes<'_> {
    /// Rows as wide as the view to rows as wide as the result.
    fn across(&self, rows: Rows<'_>, strip: &mut Strip, out: &mut [u8]) {
        let (axis, region, channels) = (&self.geometry.x, self.view.region, self.view.channels);
        if axis.is_unscaled() {
            let left = (axis.start - region.x) as usize * channels;
            let width = axis.length as usize * channels;
            for (line, row) in out.chunks_exact_mut(width).zip(rows.samples.chunks(rows.stride)) {
                line.copy_from_slice(&row[left..left + width]);
            }
            return;
        }
        let taps = shifted(Taps::new(axis, self.filter), region.x);
        match channels {
            1 => horizontal::<1>(rows, &taps, strip, out),
            _ => horizontal::<3>(rows, &taps, strip, out),
        }
    }

    /// Rows of the source, the first of which is its row `top`, to as many rows as the result has.
    fn down(&self, rows: Rows<'_>, top: u32, out: &mut [u8]) {
        let taps = shifted(Taps::new(&self.geometry.y, self.filter), top);
        vertical(rows, &taps, out);
    }
}

/// `taps` with indices counted from `origin`.
fn shifted(mut taps: Taps, origin: u32) -> Taps {
    taps.first.iter_mut().for_each(|first| *first -= origin);
    taps
}

/// The pixel under the centre of each target pixel; also a plain crop where nothing is resized.
fn nearest(view: &View<'_>, geometry: &Geometry, out: &mut [u8]) {
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

/// The source index of each kept pixel, counted from `origin`. Pillow adds the step up from the first pixel on, rounding
/// each time (its `Geometry.c`), so this does too.
fn centres(axis: &Axis, origin: u32) -> Vec<usize> {
    let step = axis.scale();
    let mut centre = step * 0.5;
    let mut found = Vec::with_capacity(axis.length as usize);
    for i in 0..axis.start + axis.length {
        if i >= axis.start {
            found.push(((centre as u32).min(axis.source - 1) - origin) as usize);
        }
        centre += step;
    }
    found
}
