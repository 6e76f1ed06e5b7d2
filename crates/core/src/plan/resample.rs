//! Resizing and cropping in one step: of the resized picture only the kept part is computed.
//!
//! The smooth filters run on `fast_image_resize`, horizontally first and then vertically like Pillow. The order matters
//! where a filter overshoots: both round and clip to 8 bits in between. Nearest and box have steps in their kernels, so
//! which pixel falls on which side is decided by the last bit of the coordinates; they are computed as Pillow writes it
//! (`resample_exact`).

use std::ops::Range;

use fast_image_resize as fr;
use fr::images::{Image, ImageRef};

use super::geometry::{Axis, Geometry};
use super::resample_exact::{box_filter, nearest};
use crate::image::Region;
use crate::{Error, ErrorKind, Filter, Result};

/// Interleaved 8-bit pixels that are `region` of a picture.
pub(super) struct View<'a> {
    pub pixels: &'a [u8],
    pub region: Region,
    pub channels: usize,
}

/// The working memory of resampling.
#[derive(Default)]
pub(super) struct Resampler {
    fast: fr::Resizer,
    /// Between the two passes: as wide as the result, as high as the source.
    between: Vec<u8>,
    /// The result, where the canvas is larger.
    picture: Vec<u8>,
}

/// Half the width of a filter's kernel in source pixels when enlarging (in target pixels when reducing).
pub(super) fn support(filter: Filter) -> f64 {
    match filter {
        Filter::Nearest | Filter::Box => 0.5,
        Filter::Bilinear => 1.0,
        Filter::Bicubic => 2.0,
        Filter::Lanczos => 3.0,
    }
}

impl Resampler {
    /// Resizes and crops `view` as `geometry` says, onto `canvas`.
    pub(super) fn run(
        &mut self,
        view: &View<'_>,
        geometry: &Geometry,
        filter: Filter,
        canvas: &mut Vec<u8>,
    ) -> Result<()> {
        let (size, picture) = (geometry.canvas(), geometry.picture());
        let bytes = |width: u32, height: u32| width as usize * height as usize * view.channels;
        canvas.resize(bytes(size.width, size.height), 0);
        if size == picture {
            return self.resample(view, geometry, filter, canvas);
        }
        let mut kept = std::mem::take(&mut self.picture);
        kept.resize(bytes(picture.width, picture.height), 0);
        let done = self.resample(view, geometry, filter, &mut kept);
        canvas.fill(geometry.fill);
        let left = bytes(geometry.x.at, 1);
        let lines = canvas.chunks_exact_mut(bytes(size.width, 1)).skip(geometry.y.at as usize);
        for (line, row) in lines.zip(kept.chunks_exact(bytes(picture.width, 1))) {
            line[left..left + row.len()].copy_from_slice(row);
        }
        self.picture = kept;
        done
    }

    fn resample(
        &mut self,
        view: &View<'_>,
        geometry: &Geometry,
        filter: Filter,
        out: &mut [u8],
    ) -> Result<()> {
        let kernel = match filter {
            _ if geometry.x.is_unscaled() && geometry.y.is_unscaled() => {
                nearest(view, geometry, out);
                return Ok(());
            }
            Filter::Nearest => {
                nearest(view, geometry, out);
                return Ok(());
            }
            Filter::Box => {
                box_filter(view, geometry, &mut self.between, out);
                return Ok(());
            }
            Filter::Bilinear => fr::FilterType::Bilinear,
            Filter::Bicubic => fr::FilterType::CatmullRom,
            Filter::Lanczos => fr::FilterType::Lanczos3,
        };
        let options =
            fr::ResizeOptions::new().resize_alg(fr::ResizeAlg::Convolution(kernel)).use_alpha(false);
        self.convolve(view, geometry, Smooth { options, support: support(filter) }, out).map_err(|e| {
            Error::new(ErrorKind::Internal, format!("cannot resize to {}: {e}", geometry.picture()))
        })
    }

    /// Horizontal, then vertical; a pass that changes nothing is skipped.
    fn convolve(
        &mut self,
        view: &View<'_>,
        geometry: &Geometry,
        smooth: Smooth,
        out: &mut [u8],
    ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Geometry { x, y, .. } = geometry;
        let pixel = if view.channels == 1 { fr::PixelType::U8 } else { fr::PixelType::U8x3 };
        let region = view.region;
        let source = ImageRef::new(region.width, region.height, view.pixels, pixel)?;
        let across = span(x, region.x, region.width);
        if y.is_unscaled() {
            let down = span(y, region.y, region.height);
            let mut result = Image::from_slice_u8(x.length, y.length, out, pixel)?;
            return Ok(self.fast.resize(&source, &mut result, &smooth.crop(across, down))?);
        }
        if x.is_unscaled() {
            let down = span(y, region.y, region.height);
            let mut result = Image::from_slice_u8(x.length, y.length, out, pixel)?;
            return Ok(self.fast.resize(&source, &mut result, &smooth.crop(across, down))?);
        }
        let rows = y.needed(smooth.support);
        let height = rows.end - rows.start;
        let bytes = x.length as usize * height as usize * view.channels;
        self.between.resize(bytes, 0);
        let mut between = Image::from_slice_u8(x.length, height, &mut self.between, pixel)?;
        let top = f64::from(rows.start - region.y);
        let all_rows = top..top + f64::from(height);
        self.fast.resize(&source, &mut between, &smooth.crop(across, all_rows))?;
        let mut result = Image::from_slice_u8(x.length, y.length, out, pixel)?;
        let down = span(y, rows.start, height);
        let options = smooth.crop(0.0..f64::from(x.length), down);
        Ok(self.fast.resize(&between, &mut result, &options)?)
    }

    /// Gives buffers of more than `keep` bytes back.
    pub(super) fn shrink(&mut self, keep: usize) {
        for buffer in [&mut self.between, &mut self.picture] {
            if buffer.capacity() > keep {
                *buffer = Vec::new();
            }
        }
        if self.fast.size_of_internal_buffers() > keep {
            self.fast.reset_internal_buffers();
        }
    }
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler").finish_non_exhaustive()
    }
}

/// A smooth filter.
#[derive(Clone, Copy)]
struct Smooth {
    options: fr::ResizeOptions,
    support: f64,
}

impl Smooth {
    fn crop(&self, across: Range<f64>, down: Range<f64>) -> fr::ResizeOptions {
        self.options.crop(across.start, down.start, across.end - across.start, down.end - down.start)
    }
}

/// The stretch of source coordinates that becomes the kept pixels of `axis`, in a view that begins at `from` and has
/// `available` pixels.
fn span(axis: &Axis, from: u32, available: u32) -> Range<f64> {
    let scale = axis.scale();
    let start = f64::from(axis.start) * scale - f64::from(from);
    let end = f64::from(axis.start + axis.length) * scale - f64::from(from);
    // Rounding may carry the end a hair beyond the last pixel, which the resizer refuses.
    start.max(0.0)..end.min(f64::from(available))
}
