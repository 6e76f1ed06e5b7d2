//! Preprocessing by name, for models that come without a spec.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{DType, Error, ErrorKind, Filter, Layout, PixelType, PreprocessSpec, Resize, Result, TensorSpec};

/// The usual preprocessing of a family of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Shorter side to 256/224 of the input, bilinear, centre crop, 0..=1, then ImageNet's mean and standard deviation:
    /// torchvision's reference training.
    Imagenet,
    /// The same geometry, values in -1..=1 as `(x - 127.5) / 127.5`: Inception and MobileNet of TensorFlow.
    Inception,
    /// Shorter side to the input, bicubic, centre crop, 0..=1, then CLIP's mean and standard deviation
    /// (`_transform` in OpenAI's `clip.py`).
    Clip,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 3] = [Self::Imagenet, Self::Inception, Self::Clip];

    /// The name as in commands and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Imagenet => "imagenet",
            Self::Inception => "inception",
            Self::Clip => "clip",
        }
    }

    /// The preprocessing for an input of `[height, width]` pixels, as `f32` in `[3, H, W]`.
    ///
    /// Of an input that is not square the longer side counts, so that the crop never reaches beyond the picture.
    pub fn spec(self, [height, width]: [u32; 2]) -> PreprocessSpec {
        let side = height.max(width);
        // Rounded to the nearest: 224 → 256, 128 → 146, 160 → 183.
        let larger = u32::try_from((u64::from(side) * 256 + 112) / 224).unwrap_or(u32::MAX);
        let base = PreprocessSpec { crop: Some([height, width]), ..PreprocessSpec::default() };
        match self {
            Self::Imagenet => PreprocessSpec {
                resize: Some(Resize::Shorter(larger)),
                scale: 1.0 / 255.0,
                mean: vec![0.485, 0.456, 0.406],
                std: vec![0.229, 0.224, 0.225],
                ..base
            },
            Self::Inception => PreprocessSpec {
                resize: Some(Resize::Shorter(larger)),
                scale: 1.0 / 127.5,
                mean: vec![1.0],
                ..base
            },
            Self::Clip => PreprocessSpec {
                resize: Some(Resize::Shorter(side)),
                filter: Filter::Bicubic,
                scale: 1.0 / 255.0,
                mean: vec![0.481_454_66, 0.457_827_5, 0.408_210_73],
                std: vec![0.268_629_54, 0.261_302_58, 0.275_777_11],
                ..base
            },
        }
    }

    /// The preprocessing for a model's image input: size and layout come from its shape, `f32` or `f16` from its dtype.
    ///
    /// # Errors
    /// `InvalidConfig` when the input has no fixed size of three channels, or takes another dtype.
    pub fn for_input(self, input: &TensorSpec) -> Result<PreprocessSpec> {
        let refuse = |expected: &str| {
            Error::new(
                ErrorKind::InvalidConfig,
                format!("preset `{}`: expected an input {expected}, found `{input}`", self.as_str()),
            )
            .with_hint("say in a TOML file with a `[preprocess]` section how images become the input")
        };
        let (layout, height, width) = match input.shape[..] {
            [_, Some(3), Some(h), Some(w)] => (Layout::Nchw, h, w),
            [_, Some(h), Some(w), Some(3)] => (Layout::Nhwc, h, w),
            _ => return Err(refuse("of three channels and a fixed height and width")),
        };
        let (Ok(height), Ok(width)) = (u32::try_from(height), u32::try_from(width)) else {
            return Err(refuse("of a sensible size"));
        };
        let dtype = match input.dtype {
            DType::F32 => PixelType::F32,
            DType::F16 => PixelType::F16,
            _ => return Err(refuse("of `f32` or `f16`")),
        };
        Ok(PreprocessSpec { layout, dtype, ..self.spec([height, width]) })
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join("`, `");
            Error::new(ErrorKind::InvalidConfig, format!("expected one of `{known}`, found preset `{name}`"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(dtype: DType, shape: [Option<usize>; 4]) -> TensorSpec {
        TensorSpec { name: "x".into(), dtype, shape: shape.to_vec() }
    }

    #[test]
    fn size_and_layout_come_from_the_input() {
        let found =
            Preset::Imagenet.for_input(&input(DType::F32, [None, Some(3), Some(224), Some(224)])).unwrap();
        assert_eq!((found.resize, found.crop), (Some(Resize::Shorter(256)), Some([224, 224])));
        let found =
            Preset::Clip.for_input(&input(DType::F16, [Some(1), Some(96), Some(128), Some(3)])).unwrap();
        assert_eq!((found.resize, found.crop), (Some(Resize::Shorter(128)), Some([96, 128])));
        assert_eq!((found.layout, found.dtype), (Layout::Nhwc, PixelType::F16));
    }

    #[test]
    fn an_input_without_a_size_is_refused() {
        for (dtype, shape) in [
            (DType::F32, [None, Some(3), None, None]),
            (DType::F32, [None, Some(1), Some(28), Some(28)]),
            (DType::U8, [None, Some(3), Some(28), Some(28)]),
        ] {
            let input = input(dtype, shape);
            let error = Preset::Inception.for_input(&input).unwrap_err();
            assert!(error.message().ends_with(&format!("found `{input}`")), "{error}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for preset in Preset::ALL {
            assert_eq!(preset.as_str().parse::<Preset>().unwrap(), preset);
        }
        let error = "imagnet".parse::<Preset>().unwrap_err();
        assert_eq!(
            error.message(),
            "expected one of `imagenet`, `inception`, `clip`, found preset `imagnet`"
        );
    }
}
