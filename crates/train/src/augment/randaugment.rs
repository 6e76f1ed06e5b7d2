//! RandAugment (Cubuk et al. 2019) with torchvision's operations and strengths.

use rand::RngExt;
use rand::rngs::StdRng;
use tintype_core::image::Picture;

use super::affine::Affine;
use super::{color, levels};
use crate::config::AugmentConfig;

/// The largest magnitude; torchvision has 31 bins.
const LARGEST: f64 = 30.0;

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
}

/// All of them, as likely as each other.
pub(super) const OPERATIONS: [Operation; 14] = [
    Operation::Identity,
    Operation::ShearX,
    Operation::ShearY,
    Operation::TranslateX,
    Operation::TranslateY,
    Operation::Rotate,
    Operation::Brightness,
    Operation::Color,
    Operation::Contrast,
    Operation::Sharpness,
    Operation::Posterize,
    Operation::Solarize,
    Operation::AutoContrast,
    Operation::Equalize,
];

/// Does as many random operations as are configured, at the configured magnitude.
pub(super) fn apply(config: &AugmentConfig, picture: &mut Picture, rng: &mut StdRng) {
    for _ in 0..config.randaugment {
        let operation = OPERATIONS[rng.random_range(0..OPERATIONS.len())];
        let negative = operation.is_signed() && rng.random::<bool>();
        operation.apply(picture, config.magnitude as f64 / LARGEST, negative);
    }
}

impl Operation {
    /// Whether it goes both ways.
    fn is_signed(self) -> bool {
        use Operation::{AutoContrast, Equalize, Identity, Posterize, Solarize};
        !matches!(self, Identity | Posterize | Solarize | AutoContrast | Equalize)
    }

    /// Does it with a strength of 0..=1.
    pub fn apply(self, picture: &mut Picture, strength: f64, negative: bool) {
        let up_to = |most: f64| if negative { -most * strength } else { most * strength };
        let moved = |affine: Affine, picture: &mut Picture| *picture = affine.apply(picture);
        let side = 150.0 / 331.0;
        match self {
            Self::Identity => {}
            Self::ShearX => moved(Affine::shear_x(up_to(0.3)), picture),
            Self::ShearY => moved(Affine::shear_y(up_to(0.3)), picture),
            Self::TranslateX => {
                moved(Affine::shift(up_to(side * f64::from(picture.width)) as i32, 0), picture);
            }
            Self::TranslateY => {
                moved(Affine::shift(0, up_to(side * f64::from(picture.height)) as i32), picture);
            }
            Self::Rotate => moved(Affine::rotation(up_to(30.0), picture), picture),
            Self::Brightness => color::brightness(picture, 1.0 + up_to(0.9)),
            Self::Color => color::saturation(picture, 1.0 + up_to(0.9)),
            Self::Contrast => color::contrast(picture, 1.0 + up_to(0.9)),
            Self::Sharpness => color::sharpness(picture, 1.0 + up_to(0.9)),
            Self::Posterize => levels::posterize(picture, 8 - (4.0 * strength).round_ties_even() as u32),
            Self::Solarize => levels::solarize(picture, 255.0 * (1.0 - strength)),
            Self::AutoContrast => levels::autocontrast(picture),
            Self::Equalize => levels::equalize(picture),
        }
    }
}
