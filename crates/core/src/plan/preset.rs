//! Preprocessing by name, for models that come without a spec.

use crate::{Error, ErrorKind, Filter, PreprocessSpec, Resize, Result};

/// The preset names that [`PreprocessSpec::preset`] knows.
pub const PRESETS: &[&str] = &["imagenet", "inception", "clip"];

impl PreprocessSpec {
    /// The usual preprocessing of a family of models, for an input of `[height, width]` pixels:
    ///
    /// * `imagenet`: shorter side to 256/224 of the input, bilinear, centre crop, 0..=1, then ImageNet's mean and
    ///   standard deviation (torchvision's reference training);
    /// * `inception`: the same geometry, values in -1..=1 (`(x - 127.5) / 127.5`, Inception and MobileNet of TensorFlow);
    /// * `clip`: shorter side to the input, bicubic, centre crop, 0..=1, then CLIP's mean and standard deviation.
    ///
    /// Of an input that is not square the longer side counts, so that the crop never reaches beyond the picture.
    ///
    /// # Errors
    /// `InvalidConfig` for another name.
    pub fn preset(name: &str, [height, width]: [u32; 2]) -> Result<Self> {
        let side = height.max(width);
        // Rounded to the nearest: 224 → 256, 128 → 146, 160 → 183.
        let larger = u32::try_from((u64::from(side) * 256 + 112) / 224).unwrap_or(u32::MAX);
        let base = Self { crop: Some([height, width]), ..Self::default() };
        match name {
            "imagenet" => Ok(Self {
                resize: Some(Resize::Shorter(larger)),
                scale: 1.0 / 255.0,
                mean: vec![0.485, 0.456, 0.406],
                std: vec![0.229, 0.224, 0.225],
                ..base
            }),
            "inception" => Ok(Self {
                resize: Some(Resize::Shorter(larger)),
                scale: 1.0 / 127.5,
                mean: vec![1.0],
                ..base
            }),
            "clip" => Ok(Self {
                resize: Some(Resize::Shorter(side)),
                filter: Filter::Bicubic,
                scale: 1.0 / 255.0,
                mean: vec![0.481_454_66, 0.457_827_5, 0.408_210_73],
                std: vec![0.268_629_54, 0.261_302_58, 0.275_777_11],
                ..base
            }),
            _ => Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("expected one of `{}`, found preset `{name}`", PRESETS.join("`, `")),
            )),
        }
    }
}
