//! What training takes from a plan: pictures before they are normalised, and other parts of an image than the plan's own.
//!
//! Pictures are RGB here whatever the spec's channels, so that changes of colour can be made to them;
//! [`Plan::normalize`] ends what all of these began. Which part is taken, and what happens to it, is the caller's.

use super::geometry::{Axis, Geometry};
use super::resample::View;
use super::{Plan, Scratch, Slot};
use crate::image::{Picture, Region, Size, Source, luma_in_place};
use crate::{Channels, Error, ErrorKind, Layout, Result};

impl Plan {
    /// The prepared picture before normalisation, as RGB; grey ones have three equal channels.
    ///
    /// # Errors
    /// Those of [`Plan::prepare`].
    pub fn picture(&self, bytes: &[u8], scratch: &mut Scratch) -> Result<Picture> {
        let size = self.draw(bytes, scratch)?;
        let data = match self.spec.channels {
            Channels::Gray => scratch.canvas.iter().flat_map(|&v| [v; 3]).collect(),
            Channels::Rgb | Channels::Bgr => scratch.canvas.clone(),
        };
        scratch.shrink();
        Ok(Picture { width: size.width, height: size.height, data })
    }

    /// `part` of a decoded picture, resized to the plan's output: what Pillow's `crop` and then `resize` make.
    ///
    /// # Errors
    /// `InvalidArgument` when the part is empty or not inside the picture, or the output has no fixed size.
    pub fn crop(&self, picture: &Picture, part: Region, scratch: &mut Scratch) -> Result<Picture> {
        let whole = Region::all(Size { width: picture.width, height: picture.height });
        self.resize(&picture.data, whole, part, scratch)
    }

    /// The same of an encoded image: only what the part needs is decoded. `choose` is told the image's size, turned as
    /// its EXIF orientation says.
    ///
    /// # Errors
    /// Those of [`Plan::prepare`] and [`Plan::crop`].
    pub fn crop_of(
        &self,
        bytes: &[u8],
        scratch: &mut Scratch,
        choose: impl FnOnce(Size) -> Region,
    ) -> Result<Picture> {
        let source = Source::open(bytes, &self.limits, &mut scratch.jpeg)?;
        let orientation = source.orientation_for(self.spec.exif);
        let stored = source.size();
        let part = choose(orientation.oriented(stored));
        check(part, Region::all(orientation.oriented(stored)))?;
        let mut pixels = std::mem::take(&mut scratch.decoded);
        let got = source.decode(orientation.to_stored(part, stored), &mut scratch.jpeg, &mut pixels)?;
        if orientation.turn(&pixels, got.size(), &mut scratch.turned) {
            std::mem::swap(&mut pixels, &mut scratch.turned);
        }
        let made = self.resize(&pixels, orientation.to_turned(got, stored), part, scratch);
        scratch.decoded = pixels;
        scratch.shrink();
        made
    }

    /// Writes an RGB picture of the plan's output size as the plan's numbers.
    ///
    /// # Errors
    /// `InvalidArgument` when the slot is of another dtype or length.
    pub fn normalize(&self, picture: &Picture, slot: Slot<'_>) -> Result<()> {
        let size = Size { width: picture.width, height: picture.height };
        if self.spec.channels != Channels::Gray {
            return self.normalizer.write(&picture.data, size, slot);
        }
        let mut pixels = picture.data.clone();
        luma_in_place(&mut pixels);
        self.normalizer.write(&pixels, size, slot)
    }

    /// Height and width of the output.
    ///
    /// # Errors
    /// `InvalidArgument` when they depend on the image.
    pub fn output_size(&self) -> Result<Size> {
        let shape = self.output_shape().ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the size of prepared images depends on the image")
        })?;
        let [height, width] = match self.spec.layout {
            Layout::Nchw => [shape[1], shape[2]],
            Layout::Nhwc => [shape[0], shape[1]],
        };
        Ok(Size { width: width as u32, height: height as u32 })
    }

    /// `pixels` are `held` of a picture; `part` of the same picture is resized.
    fn resize(&self, pixels: &[u8], held: Region, part: Region, scratch: &mut Scratch) -> Result<Picture> {
        check(part, held)?;
        let to = self.output_size()?;
        let (stride, width) = (held.width as usize * 3, part.width as usize * 3);
        let left = (part.x - held.x) as usize * 3;
        let mut kept = std::mem::take(&mut scratch.canvas);
        kept.clear();
        let rows = pixels.chunks_exact(stride).skip((part.y - held.y) as usize).take(part.height as usize);
        rows.for_each(|row| kept.extend_from_slice(&row[left..left + width]));
        let axis =
            |source, resized| Axis { source, resized, start: 0, length: resized, canvas: resized, at: 0 };
        let geometry = Geometry { x: axis(part.width, to.width), y: axis(part.height, to.height), fill: 0 };
        let view = View { pixels: &kept, region: Region::all(part.size()), channels: 3 };
        let mut data = Vec::new();
        scratch.resampler.run(&view, &geometry, self.spec.filter, &mut data);
        scratch.canvas = kept;
        Ok(Picture { width: to.width, height: to.height, data })
    }
}

fn check(part: Region, held: Region) -> Result<()> {
    let inside = |start: u32, length: u32, from: u32, to: u32| {
        length > 0 && start >= from && start.checked_add(length).is_some_and(|end| end <= from + to)
    };
    if inside(part.x, part.width, held.x, held.width) && inside(part.y, part.height, held.y, held.height) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!(
            "expected a part of an image of {}, found {} at {},{}",
            held.size(),
            part.size(),
            part.x,
            part.y
        ),
    ))
}
