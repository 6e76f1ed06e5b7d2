//! Resizing and cropping in one step: of the resized picture only the kept part is computed.
//!
//! Horizontally first, then vertically, with 8 bits in between and Pillow's own integer weights: the result is Pillow's,
//! bit for bit. The obvious crates are not: with 16-bit weights or passes the other way round some samples are off by
//! two, and by many more where a filter overshoots.

use super::convolve::{Rows, horizontal, vertical};
use super::geometry::{Axis, Geometry};
use super::kernel::Taps;
use crate::image::{Limits, Region};
use crate::{Error, ErrorKind, Filter, Result};

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
    /// Two rows of the source, interleaved for the horizontal pass.
    packed: Vec<u64>,
}

/// What to do with a view.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub geometry: &'a Geometry,
    pub filter: Filter,
    pub limits: &'a Limits,
}

impl Resampler {
    /// Resizes and crops `view`, onto `canvas`.
    pub(super) fn run(&mut self, view: &View<'_>, task: Task<'_>, canvas: &mut Vec<u8>) -> Result<()> {
        let geometry = task.geometry;
        let (size, picture) = (geometry.canvas(), geometry.picture());
        let bytes = |width: u32, height: u32| width as usize * height as usize * view.channels;
        canvas.resize(bytes(size.width, size.height), 0);
        if size == picture {
            return self.resample(view, task, canvas);
        }
        let mut kept = std::mem::take(&mut self.picture);
        kept.resize(bytes(picture.width, picture.height), 0);
        let done = self.resample(view, task, &mut kept);
        canvas.fill(geometry.fill);
        let left = bytes(geometry.x.at, 1);
        let lines = canvas.chunks_exact_mut(bytes(size.width, 1)).skip(geometry.y.at as usize);
        for (line, row) in lines.zip(kept.chunks_exact(bytes(picture.width, 1))) {
            line[left..left + row.len()].copy_from_slice(row);
        }
        self.picture = kept;
        done
    }

    fn resample(&mut self, view: &View<'_>, task: Task<'_>, out: &mut [u8]) -> Result<()> {
        let Task { geometry, filter, limits } = task;
        let unscaled = geometry.x.is_unscaled() && geometry.y.is_unscaled();
        if unscaled || filter == Filter::Nearest {
            nearest(view, geometry, out);
            return Ok(());
        }
        let stride = view.region.width as usize * view.channels;
        let rows = geometry.y.needed(super::kernel::support(filter));
        let top = (rows.start - view.region.y) as usize * stride;
        let source = Rows { samples: &view.pixels[top..], stride };
        let width = geometry.x.length as usize * view.channels;
        let length = width.saturating_mul(rows.len());
        if length > limits.max_memory {
            return Err(Error::new(
                ErrorKind::ImageTooLarge,
                format!("resizing to {} needs more than {} MiB", geometry.picture(), limits.max_memory >> 20),
            ));
        }
        if geometry.y.is_unscaled() {
            self.across(source, view, task, out);
            return Ok(());
        }
        let mut between = std::mem::take(&mut self.between);
        between.resize(length, 0);
        if geometry.x.is_unscaled() {
            let left = (geometry.x.start - view.region.x) as usize * view.channels;
            for (line, row) in between.chunks_exact_mut(width).zip(source.samples.chunks(stride)) {
                line.copy_from_slice(&row[left..left + width]);
            }
        } else {
            self.across(source, view, task, &mut between);
        }
        let taps = shifted(Taps::new(&geometry.y, filter), rows.start);
        vertical(Rows { samples: &between, stride: width }, &taps, out);
        self.between = between;
        Ok(())
    }

    fn across(&mut self, source: Rows<'_>, view: &View<'_>, task: Task<'_>, out: &mut [u8]) {
        let taps = shifted(Taps::new(&task.geometry.x, task.filter), view.region.x);
        match view.channels {
            1 => horizontal::<1>(source, &taps, &mut self.packed, out),
            _ => horizontal::<3>(source, &taps, &mut self.packed, out),
        }
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
