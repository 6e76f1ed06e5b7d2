//! `augment`: random changes to training images; held-out images never see them.

use serde::{Deserialize, Serialize};
use tintype_core::Result;

use super::check;

/// Random changes to training images, with torchvision's words and formulas, in this order: crop, flips, colour jitter,
/// RandAugment, erasing, then mixing whole batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Which part of an image is seen.
    pub crop: Crop,
    /// `crop=random-resized`: the share of the image's area, from and to.
    pub scale: [f64; 2],
    /// `crop=random-resized`: width divided by height, from and to.
    pub ratio: [f64; 2],
    /// `crop=padded`: pixels of black added to every side.
    pub padding: usize,
    /// The share of images that are mirrored left to right.
    pub hflip: f64,
    /// The share of images that are mirrored top to bottom.
    pub vflip: f64,
    /// Brightness is multiplied by `1 ± brightness`; so with the next two.
    pub brightness: f64,
    /// Contrast.
    pub contrast: f64,
    /// Saturation.
    pub saturation: f64,
    /// Hue is turned by at most this share of a circle, up to 0.5.
    pub hue: f64,
    /// RandAugment's operations an image; 0 means none.
    pub randaugment: usize,
    /// How strong RandAugment's operations are, 0..=30.
    pub magnitude: usize,
    /// The share of images in which a rectangle is erased.
    pub erase: f64,
    /// Mixup's alpha; 0 means none.
    pub mixup: f64,
    /// CutMix's alpha; 0 means none.
    pub cutmix: f64,
    /// The share of batches that are mixed.
    pub mix_prob: f64,
    /// With both: the share of mixed batches that CutMix mixes.
    pub switch_prob: f64,
}

/// Which part of a training image is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crop {
    /// The part that evaluation sees.
    Eval,
    /// Of that part, framed in black, a random one of the same size: CIFAR's `RandomCrop(32, padding=4)`.
    Padded,
    /// Any part of the image, of random size and shape: `RandomResizedCrop`.
    RandomResized,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            crop: Crop::Eval,
            scale: [0.08, 1.0],
            ratio: [3.0 / 4.0, 4.0 / 3.0],
            padding: 4,
            hflip: 0.0,
            vflip: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            randaugment: 0,
            magnitude: 9,
            erase: 0.0,
            mixup: 0.0,
            cutmix: 0.0,
            mix_prob: 1.0,
            switch_prob: 0.5,
        }
    }
}

impl AugmentConfig {
    /// Whether images stay as they are.
    pub fn is_none(&self) -> bool {
        !self.changes_images() && !self.mixes()
    }

    /// Whether single images are changed.
    pub fn changes_images(&self) -> bool {
        let Self { brightness, contrast, saturation, hue, hflip, vflip, erase, .. } = *self;
        self.crop != Crop::Eval
            || self.randaugment > 0
            || [brightness, contrast, saturation, hue, hflip, vflip, erase].iter().any(|&x| x > 0.0)
    }

    /// Whether images are mixed with each other.
    pub fn mixes(&self) -> bool {
        (self.mixup > 0.0 || self.cutmix > 0.0) && self.mix_prob > 0.0
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub(super) fn validate(&self) -> Result<()> {
        for (key, [from, to], most) in
            [("augment.scale", self.scale, 1.0), ("augment.ratio", self.ratio, 1e3)]
        {
            let expected = format!("two rising numbers above 0 and up to {most}");
            check(key, &expected, to, |to| 0.0 < from && from <= to && to <= most)?;
        }
        check("augment.padding", "at most 1024", self.padding, |n| n <= 1024)?;
        for (key, share) in [
            ("augment.hflip", self.hflip),
            ("augment.vflip", self.vflip),
            ("augment.erase", self.erase),
            ("augment.mix_prob", self.mix_prob),
            ("augment.switch_prob", self.switch_prob),
        ] {
            check(key, "a share between 0 and 1", share, |x| (0.0..=1.0).contains(&x))?;
        }
        for (key, strength) in [
            ("augment.brightness", self.brightness),
            ("augment.contrast", self.contrast),
            ("augment.saturation", self.saturation),
            ("augment.mixup", self.mixup),
            ("augment.cutmix", self.cutmix),
        ] {
            check(key, "a number of at least 0", strength, |x| x >= 0.0 && x.is_finite())?;
        }
        check("augment.hue", "a number between 0 and 0.5", self.hue, |x| (0.0..=0.5).contains(&x))?;
        check("augment.randaugment", "at most 10 operations", self.randaugment, |n| n <= 10)?;
        check("augment.magnitude", "at most 30", self.magnitude, |n| n <= 30)
    }
}
