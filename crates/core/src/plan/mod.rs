//! A validated [`PreprocessSpec`], ready to run: the one way from encoded bytes to an input tensor.
//!
//! One image goes through `Source::open` (header, limits) → `Geometry` (which pixels are needed) → `Source::decode`
//! (those pixels, of a JPEG not many more) → turned as EXIF says → grey, if asked for → `Resampler` (resize and crop in
//! one step, onto the canvas) → `Normalizer` (table lookup straight into the caller's slot).
//!
//! Every step is a function over plain buffers; the buffers live in the caller's [`Scratch`].

mod convolve;
mod crop;
mod geometry;
mod kernel;
mod normalize;
mod preset;
mod resample;
mod validate;

use std::sync::Arc;

pub use preset::Preset;

use geometry::Geometry;
use half::f16;
use normalize::Normalizer;
use resample::{Resampler, View};

use crate::image::{Decompressor, Limits, Region, Size, Source, luma_in_place};
use crate::{Channels, DType, Error, ErrorKind, Layout, PixelType, PreprocessSpec, Resize, Result, Tensor};

/// Pixel buffers larger than this are given back after the image that needed them, so that one huge picture does not
/// stay in every thread's memory: 4 megapixels, more than common photos need after the crop.
const KEPT_BYTES: usize = 12 << 20;

/// A validated preprocessing. Cheap to clone and shared by all threads.
#[derive(Debug, Clone)]
pub struct Plan {
    spec: Arc<PreprocessSpec>,
    limits: Limits,
    normalizer: Arc<Normalizer>,
}

/// What one thread keeps between images: decoder, buffers, resampler. Holds no results.
#[derive(Debug, Default)]
pub struct Scratch {
    jpeg: Decompressor,
    resampler: Resampler,
    decoded: Vec<u8>,
    turned: Vec<u8>,
    canvas: Vec<u8>,
}

/// The place in a batch where one image goes, by dtype; as long as the product of the output shape.
#[derive(Debug)]
pub enum Slot<'a> {
    /// For plans of `f32`.
    F32(&'a mut [f32]),
    /// For plans of `f16`.
    F16(&'a mut [f16]),
    /// For plans of `u8`.
    U8(&'a mut [u8]),
}

impl<'a> From<&'a mut [f32]> for Slot<'a> {
    fn from(values: &'a mut [f32]) -> Self {
        Self::F32(values)
    }
}

impl<'a> From<&'a mut [f16]> for Slot<'a> {
    fn from(values: &'a mut [f16]) -> Self {
        Self::F16(values)
    }
}

impl<'a> From<&'a mut [u8]> for Slot<'a> {
    fn from(values: &'a mut [u8]) -> Self {
        Self::U8(values)
    }
}

impl Plan {
    /// Validates `spec`.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub fn new(spec: PreprocessSpec, limits: Limits) -> Result<Self> {
        validate::validate(&spec)?;
        let normalizer = Arc::new(Normalizer::new(&spec));
        Ok(Self { spec: Arc::new(spec), limits, normalizer })
    }

    /// The spec that the plan runs.
    pub fn spec(&self) -> &PreprocessSpec {
        &self.spec
    }

    /// What one image may cost.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The element type of a prepared image.
    pub fn dtype(&self) -> DType {
        match self.spec.dtype {
            PixelType::F32 => DType::F32,
            PixelType::F16 => DType::F16,
            PixelType::U8 => DType::U8,
        }
    }

    /// `[C, H, W]` or `[H, W, C]` by layout; `None` when it depends on the image.
    pub fn output_shape(&self) -> Option<[usize; 3]> {
        let [height, width] = match (self.spec.crop, self.spec.pad, self.spec.resize) {
            (Some(size), _, _) => size,
            (None, Some(pad), _) => pad.size,
            (None, None, Some(Resize::Exact(size))) => size,
            _ => return None,
        };
        Some(self.shape(Size { width, height }))
    }

    /// Decodes and prepares one image: a tensor of `[C, H, W]` or `[H, W, C]`, without a batch axis.
    ///
    /// # Errors
    /// Those of [`image::decode`](crate::image::decode); `InvalidArgument` when the image is larger than the `pad`
    /// canvas.
    pub fn prepare(&self, bytes: &[u8], scratch: &mut Scratch) -> Result<Tensor> {
        let size = self.draw(bytes, scratch)?;
        let values = self.normalizer.collect(&scratch.canvas);
        scratch.shrink();
        Tensor::from_data(self.shape(size).to_vec(), values)
    }

    /// The same, written into a slot of a batch.
    ///
    /// # Errors
    /// Those of [`Plan::prepare`]; `InvalidArgument` when the slot is of another dtype or length.
    pub fn prepare_into(&self, bytes: &[u8], scratch: &mut Scratch, slot: Slot<'_>) -> Result<()> {
        let size = self.draw(bytes, scratch)?;
        let written = self.normalizer.write(&scratch.canvas, size, slot);
        scratch.shrink();
        written
    }

    /// The prepared picture before normalisation, e.g. for looking at it: `[H, W, C]`, `u8`, in the spec's channels.
    ///
    /// # Errors
    /// Those of [`Plan::prepare`].
    pub fn pixels(&self, bytes: &[u8], scratch: &mut Scratch) -> Result<Tensor> {
        let size = self.draw(bytes, scratch)?;
        let channels = self.spec.channels.count();
        let mut pixels = scratch.canvas.clone();
        if self.spec.channels == Channels::Bgr {
            pixels.chunks_exact_mut(3).for_each(<[u8]>::reverse);
        }
        scratch.shrink();
        Tensor::new([size.height as usize, size.width as usize, channels], pixels)
    }

    fn shape(&self, size: Size) -> [usize; 3] {
        let (height, width, channels) =
            (size.height as usize, size.width as usize, self.spec.channels.count());
        match self.spec.layout {
            Layout::Nchw => [channels, height, width],
            Layout::Nhwc => [height, width, channels],
        }
    }

    /// Decodes, turns, resizes and crops into the scratch's canvas: RGB or grey, interleaved.
    fn draw(&self, bytes: &[u8], scratch: &mut Scratch) -> Result<Size> {
        let Scratch { jpeg, resampler, decoded, turned, canvas } = scratch;
        let source = Source::open(bytes, &self.limits, jpeg)?;
        let orientation = source.orientation_for(self.spec.exif);
        let stored = source.size();
        let geometry = Geometry::new(&self.spec, orientation.oriented(stored))?;
        let size = geometry.canvas();
        if size.pixels() > self.limits.max_pixels {
            return Err(Error::new(
                ErrorKind::ImageTooLarge,
                format!("expected at most {} pixels after resizing, found {size}", self.limits.max_pixels),
            ));
        }
        let support = kernel::support(self.spec.filter);
        let (x, y) = (geometry.x.needed(support), geometry.y.needed(support));
        let needed = Region { x: x.start, y: y.start, width: x.end - x.start, height: y.end - y.start };
        let got = source.decode(orientation.to_stored(needed, stored), jpeg, decoded)?;
        let pixels = if orientation.turn(decoded, got.size(), turned) { turned } else { decoded };
        let channels = self.spec.channels.count();
        if self.spec.channels == Channels::Gray {
            luma_in_place(pixels);
        }
        let view = View { pixels, region: orientation.to_turned(got, stored), channels };
        resampler.run(&view, &geometry, self.spec.filter, canvas);
        Ok(size)
    }
}

impl Scratch {
    /// Empty; grows with the first images.
    pub fn new() -> Self {
        Self::default()
    }

    fn shrink(&mut self) {
        for buffer in [&mut self.decoded, &mut self.turned, &mut self.canvas] {
            if buffer.capacity() > KEPT_BYTES {
                *buffer = Vec::new();
            }
        }
        self.jpeg.shrink(KEPT_BYTES);
        self.resampler.shrink(KEPT_BYTES);
    }
}
