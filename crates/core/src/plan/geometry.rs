//! Which pixels of the source become which pixels of the canvas: pure arithmetic, as torchvision does it.
//!
//! Everything is separable, so an [`Axis`] tells the story of one direction: `source` pixels are resized to `resized`,
//! of which `start..start + length` are kept and put at `at` on a canvas of `canvas` pixels.

use std::ops::Range;

use crate::image::Size;
use crate::{Error, ErrorKind, PreprocessSpec, Resize, Result};

/// A strip of one pixel by thousands, resized by its shorter side, would grow beyond all use.
const MAX_RESIZED: u32 = 1 << 24;

/// Prepared sides of more pixels than this are refused.
const MAX_SIDE: u32 = 65_535;

/// Both axes, and what fills the canvas around the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub x: Axis,
    pub y: Axis,
    pub fill: u8,
}

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    pub source: u32,
    pub resized: u32,
    pub start: u32,
    pub length: u32,
    pub canvas: u32,
    pub at: u32,
}

impl Geometry {
    /// What `spec` does to a picture of `source` size.
    ///
    /// # Errors
    /// `InvalidArgument` where the picture is larger than the `pad` canvas or would be resized beyond all bounds.
    pub(super) fn new(spec: &PreprocessSpec, source: Size) -> Result<Self> {
        let [width, height] = resized(spec.resize, source)?;
        let x = Axis::whole(source.width, width);
        let y = Axis::whole(source.height, height);
        let geometry = match (spec.crop, spec.pad) {
            (Some([h, w]), _) => Self { x: x.cropped(w), y: y.cropped(h), fill: 0 },
            (None, Some(pad)) => {
                let [h, w] = pad.size;
                if width > w || height > h {
                    return Err(Error::new(
                        ErrorKind::InvalidArgument,
                        format!("expected an image of at most {w}x{h} pixels to pad, found {width}x{height}"),
                    ));
                }
                Self { x: x.padded(w), y: y.padded(h), fill: pad.value }
            }
            (None, None) => Self { x, y, fill: 0 },
        };
        for axis in [geometry.x, geometry.y] {
            if axis.canvas > MAX_SIDE {
                return Err(Error::new(
                    ErrorKind::ImageTooLarge,
                    format!("expected a prepared side of at most {MAX_SIDE} pixels, found {}", axis.canvas),
                ));
            }
        }
        Ok(geometry)
    }

    /// The size of the canvas.
    pub(super) fn canvas(&self) -> Size {
        Size { width: self.x.canvas, height: self.y.canvas }
    }

    /// The size of the picture on the canvas.
    pub(super) fn picture(&self) -> Size {
        Size { width: self.x.length, height: self.y.length }
    }
}

impl Axis {
    fn whole(source: u32, resized: u32) -> Self {
        Self { source, resized, start: 0, length: resized, canvas: resized, at: 0 }
    }

    /// `CenterCrop` to `size`; zero-padded on both sides where the picture is smaller.
    fn cropped(self, size: u32) -> Self {
        if size >= self.resized {
            return Self { canvas: size, at: (size - self.resized) / 2, ..self };
        }
        let start = half_to_even(self.resized - size);
        Self { start, length: size, canvas: size, at: 0, ..self }
    }

    /// Centred on a canvas of `size`, which is at least as large.
    fn padded(self, size: u32) -> Self {
        Self { canvas: size, at: (size - self.resized) / 2, ..self }
    }

    /// Source pixels to one resized pixel.
    pub(super) fn scale(&self) -> f64 {
        f64::from(self.source) / f64::from(self.resized)
    }

    /// Whether nothing is resized.
    pub(super) fn is_unscaled(&self) -> bool {
        self.source == self.resized
    }

    /// The source pixels that a filter of `support` reads to make the kept pixels.
    pub(super) fn needed(&self, support: f64) -> Range<u32> {
        if self.is_unscaled() {
            return self.start..self.start + self.length;
        }
        let scale = self.scale();
        let radius = support * scale.max(1.0) + 1.0;
        let first = (f64::from(self.start) + 0.5) * scale - radius;
        let last = (f64::from(self.start) + f64::from(self.length) - 0.5) * scale + radius;
        // Casts of floats saturate.
        (first.floor() as u32).min(self.source - 1)..(last.ceil() as u32).clamp(1, self.source)
    }
}

/// `[width, height]` after the resize; torchvision truncates the side that follows from the aspect ratio, here it is at
/// least 1.
fn resized(resize: Option<Resize>, source: Size) -> Result<[u32; 2]> {
    let Size { width, height } = source;
    let scaled = |side: u32, to: u32, from: u32| {
        let found = (u64::from(to) * u64::from(side) / u64::from(from)).max(1);
        u32::try_from(found).ok().filter(|&n| n <= MAX_RESIZED).ok_or_else(|| {
            Error::new(
                ErrorKind::ImageTooLarge,
                format!(
                    "expected a resized side of at most {MAX_RESIZED} pixels, found {found} (image {source})"
                ),
            )
        })
    };
    Ok(match resize {
        None => [width, height],
        Some(Resize::Exact([h, w])) => [w, h],
        Some(Resize::Shorter(n)) if width <= height => [n, scaled(height, n, width)?],
        Some(Resize::Shorter(n)) => [scaled(width, n, height)?, n],
        Some(Resize::Longer(n)) if width <= height => [scaled(width, n, height)?, n],
        Some(Resize::Longer(n)) => [n, scaled(height, n, width)?],
    })
}

/// `round(n / 2)` as Python rounds: halves go to the even neighbour.
fn half_to_even(n: u32) -> u32 {
    let half = n / 2;
    half + (n % 2) * (half % 2)
}
