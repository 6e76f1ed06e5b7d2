//! Random changes to training images.
//!
//! [`Augmentation`] makes the row of one training image: `crop` takes a part of it, [`geometry`] mirrors, [`jitter`]
//! and [`randaugment`] change colours and shape, the plan normalises, [`erase`] blanks a rectangle. [`mix`] then joins
//! the rows of a batch. Geometry and colours are Pillow's and torchvision's, to the bit where those work on 8-bit
//! pixels ([`affine`], [`color`], [`hue`], [`levels`]).
//!
//! What happens to an image follows from the seed, the epoch and the image's place in the training set alone
//! ([`random`]): not from the number of threads, nor from what else is loaded. Evaluation does not come by here.

mod affine;
mod color;
mod crop;
mod erase;
mod geometry;
mod hue;
mod jitter;
mod levels;
mod mix;
mod randaugment;
mod random;

use rand::rngs::StdRng;
use tintype_core::image::{Picture, Region, Size, decode};
use tintype_core::{Plan, Result, Scratch};

use crate::config::{AugmentConfig, Crop};

pub(crate) use mix::{Mix, Mixed};
pub(crate) use random::{Moment, Stream};

/// What is done to single training images.
#[derive(Debug, Clone)]
pub(crate) struct Augmentation {
    config: AugmentConfig,
    plan: Plan,
    size: Size,
}

/// An image to begin with.
pub(crate) enum Original<'a> {
    /// As in its file.
    Encoded(&'a [u8]),
    /// As [`Augmentation::unpack`] left it.
    Unpacked(&'a Picture),
}

impl Augmentation {
    /// Changes as `config` says, for a model that `plan` prepares images for.
    ///
    /// # Errors
    /// `InvalidArgument` when the plan makes images of no fixed size.
    pub fn new(config: &AugmentConfig, plan: &Plan) -> Result<Self> {
        Ok(Self { config: config.clone(), plan: plan.clone(), size: plan.output_size()? })
    }

    /// The pixels that every epoch begins with, to be kept: all of the image where any part may be asked for, else
    /// what evaluation sees.
    ///
    /// # Errors
    /// Those of decoding.
    pub fn unpack(&self, bytes: &[u8], scratch: &mut Scratch) -> Result<Picture> {
        match self.config.crop {
            Crop::RandomResized => decode(bytes, self.plan.spec().exif, self.plan.limits()),
            Crop::Eval | Crop::Padded => self.plan.picture(bytes, scratch),
        }
    }

    /// The row of one image: changed, normalised, written to `row`.
    ///
    /// # Errors
    /// Those of decoding; `InvalidArgument` when the row is of another length than the plan's output.
    pub fn apply(
        &self,
        original: &Original,
        rng: &mut StdRng,
        scratch: &mut Scratch,
        row: &mut [f32],
    ) -> Result<()> {
        let mut picture = self.part(original, rng, scratch)?;
        let config = &self.config;
        if random::chance(rng, config.hflip) {
            geometry::mirror(&mut picture);
        }
        if random::chance(rng, config.vflip) {
            geometry::turn_over(&mut picture);
        }
        jitter::apply(config, &mut picture, rng);
        randaugment::apply(config, &mut picture, rng);
        self.plan.normalize(&picture, row.into())?;
        erase::apply(config, self.plan.spec().layout, self.size, row, rng);
        Ok(())
    }

    fn part(&self, original: &Original, rng: &mut StdRng, scratch: &mut Scratch) -> Result<Picture> {
        match (self.config.crop, original) {
            (Crop::RandomResized, Original::Encoded(bytes)) => {
                self.plan.crop_of(bytes, scratch, |size| self.random_region(size, rng))
            }
            (Crop::RandomResized, Original::Unpacked(picture)) => {
                let size = Size { width: picture.width, height: picture.height };
                let region = self.random_region(size, rng);
                self.plan.crop(picture, region, scratch)
            }
            (crop, original) => {
                let picture = match original {
                    Original::Encoded(bytes) => self.plan.picture(bytes, scratch)?,
                    Original::Unpacked(picture) => (*picture).clone(),
                };
                let padding = self.config.padding;
                Ok(if crop == Crop::Padded { crop::padded(&picture, padding, rng) } else { picture })
            }
        }
    }

    fn random_region(&self, size: Size, rng: &mut StdRng) -> Region {
        crop::region(size, self.config.scale, self.config.ratio, rng)
    }
}

#[cfg(test)]
mod tests;
