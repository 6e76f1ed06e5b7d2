//! torchvision's `ColorJitter`: brightness, contrast, saturation and hue by random factors, in random order.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tintype_core::image::Picture;

use super::random::uniform;
use super::{color, hue};
use crate::config::AugmentConfig;

/// Changes the colours of a picture; nothing is drawn where all strengths are 0.
pub(super) fn apply(config: &AugmentConfig, picture: &mut Picture, rng: &mut StdRng) {
    let strengths = [config.brightness, config.contrast, config.saturation, config.hue];
    if strengths == [0.0; 4] {
        return;
    }
    let mut order = [0, 1, 2, 3];
    order.shuffle(rng);
    for change in order {
        let strength: f64 = strengths[change];
        if strength == 0.0 {
            continue;
        }
        let factor = |rng: &mut StdRng| uniform(rng, [(1.0 - strength).max(0.0), 1.0 + strength]);
        match change {
            0 => color::brightness(picture, factor(rng)),
            1 => color::contrast(picture, factor(rng)),
            2 => color::saturation(picture, factor(rng)),
            _ => hue::turn(picture, uniform(rng, [-strength, strength])),
        }
    }
}
