//! What is written down in `tintype.toml`: the model's task, its preprocessing and its postprocessing.
//!
//! A spec is only data; [`Plan`](crate::Plan) validates and runs the preprocessing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// The whole of a `tintype.toml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// What the model is for.
    #[serde(default)]
    pub task: Task,
    /// The ONNX file, relative to this one, where it has another name or place than `model.onnx` beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The ONNX input that takes the image; its only input where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The ONNX output that holds a score per class; its first output where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// From encoded image to input tensor. Absent for a model that takes raw tensors only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocess: Option<PreprocessSpec>,
    /// From scores to ranked labels.
    #[serde(default)]
    pub postprocess: PostprocessSpec,
    /// What the inputs and outputs of `config.pbtxt` are to the model.
    #[serde(default, skip_serializing_if = "ServingSpec::is_empty")]
    pub serving: ServingSpec,
    /// An image whose answer is known: a model that answers otherwise is not put in service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<GoldenSpec>,
    /// What was measured of the model, e.g. `accuracy`; fractions, not percent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// Where the model comes from: data, backbone, tool version, seed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provenance: BTreeMap<String, String>,
}

impl ModelSpec {
    /// Parses a `tintype.toml`.
    ///
    /// # Errors
    /// `InvalidConfig` with line and column for bad syntax, unknown keys and wrong types.
    pub fn from_toml(text: &str) -> Result<Self> {
        toml::from_str(text)
            .map_err(|e| Error::new(ErrorKind::InvalidConfig, e.to_string().trim().to_owned()))
    }

    /// The spec as TOML.
    ///
    /// # Errors
    /// `Internal` when a number cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))
    }
}

/// What the inputs and outputs that `config.pbtxt` declares are to the model, by their names there. Those that are not
/// listed go by the ONNX model's names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServingSpec {
    /// `image` (an encoded file, or base64 text of one), `ignored`, or the name of an ONNX input.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// `label`, `probability`, `index`, `top_k`, `scores`, or the name of an ONNX output.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
    /// Whether `/predict` says if it abstains, by the thresholds of `[postprocess]`, where a request does not choose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub abstain: bool,
}

impl ServingSpec {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.outputs.is_empty() && !self.abstain
    }
}

/// An image whose answer is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenSpec {
    /// A file beside the ONNX model, or a `data:…;base64,…` URL.
    pub image: String,
    /// The class that must be the best one.
    pub index: usize,
    /// Its probability, 0 to 1; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f32>,
    /// How far the probability may be off; 0.02 where absent: another machine rounds otherwise.
    #[serde(default = "golden_tolerance")]
    pub tolerance: f32,
}

fn golden_tolerance() -> f32 {
    0.02
}

/// What a model is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// One score per class.
    #[default]
    Classification,
}

/// From an encoded image to a tensor, as data.
///
/// The order is fixed: decode, orient, resize, crop or pad, then `y = (x * scale - mean) / std` per channel with
/// `x` in 0..=255, written in `layout` as `dtype`. With `dtype = "u8"` the pixels are written as they are, so
/// `scale`, `mean` and `std` must be absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreprocessSpec {
    /// Whether the EXIF orientation turns the picture.
    #[serde(default)]
    pub exif: Exif,
    /// The channels and their order.
    #[serde(default)]
    pub channels: Channels,
    /// The resize, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// The filter of the resize, antialiased as in Pillow.
    #[serde(default)]
    pub filter: Filter,
    /// Centre crop to `[height, width]`, zero-padded where the image is smaller, as torchvision's `CenterCrop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<[u32; 2]>,
    /// Centre the image on a canvas; not together with `crop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad: Option<Pad>,
    /// The order of the axes.
    #[serde(default)]
    pub layout: Layout,
    /// `f32`, `f16` or `u8`.
    #[serde(default)]
    pub dtype: PixelType,
    /// Multiplier of the 0..=255 values.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub scale: f64,
    /// Subtracted per channel after `scale`; one value for all channels or one each. Absent: 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mean: Vec<f64>,
    /// Divisor per channel after `mean`; one value for all channels or one each. Absent: 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub std: Vec<f64>,
}

impl Default for PreprocessSpec {
    /// The pixels as they are, as `f32` in `[3, H, W]`.
    fn default() -> Self {
        Self {
            exif: Exif::default(),
            channels: Channels::default(),
            resize: None,
            filter: Filter::default(),
            crop: None,
            pad: None,
            layout: Layout::default(),
            dtype: PixelType::default(),
            scale: one(),
            mean: Vec::new(),
            std: Vec::new(),
        }
    }
}

fn one() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_one(x: &f64) -> bool {
    *x == 1.0
}

/// Whether the EXIF orientation turns the picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exif {
    /// Turn and mirror as the tag says, as Pillow's `ImageOps.exif_transpose`.
    #[default]
    Apply,
    /// Leave the pixels as stored.
    Ignore,
}

/// The channels of the tensor and their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel of ITU-R 601 luma, as Pillow's `convert("L")`.
    Gray,
}

impl Channels {
    /// 3, or 1 for grey.
    pub fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Gray => 1,
        }
    }
}

/// The size that an image is resized to, with sizes computed as torchvision's `Resize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// The shorter side becomes this many pixels, the aspect ratio is kept.
    Shorter(u32),
    /// The longer side becomes this many pixels, the aspect ratio is kept.
    Longer(u32),
    /// Exactly `[height, width]`.
    Exact([u32; 2]),
}

/// Resampling filter, with Pillow's supports: box 0.5, bilinear 1, bicubic 2 (a = -0.5), lanczos 3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The pixel under the centre.
    Nearest,
    /// Mean of the covered pixels.
    Box,
    /// Triangle.
    #[default]
    Bilinear,
    /// Cubic convolution, a = -0.5.
    Bicubic,
    /// Windowed sinc with three lobes.
    Lanczos,
}

/// A canvas on which the image is centred; a larger image is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// `[height, width]`.
    pub size: [u32; 2],
    /// The value around the image, 0..=255, before normalisation.
    #[serde(default)]
    pub value: u8,
}

/// The order of a prepared image's axes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channel, height, width.
    #[default]
    Nchw,
    /// Batch, height, width, channel.
    Nhwc,
}

/// The element type of a prepared image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelType {
    /// 32-bit float.
    #[default]
    F32,
    /// 16-bit float.
    F16,
    /// The pixels as they are, 0..=255.
    U8,
}

/// From a row of scores to ranked labels, as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostprocessSpec {
    /// What makes probabilities of the scores.
    #[serde(default)]
    pub activation: Activation,
    /// How many predictions an answer holds unless it asks for another number; at least 1.
    #[serde(default = "five")]
    pub top_k: usize,
    /// Logits are divided by this before the activation (Guo et al. 2017); above 0.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub temperature: f64,
    /// For each class the probability below which an answer that names it abstains, 0..=1; absent: no answer does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<f32>,
}

impl Default for PostprocessSpec {
    fn default() -> Self {
        Self { activation: Activation::default(), top_k: five(), temperature: 1.0, thresholds: Vec::new() }
    }
}

fn five() -> usize {
    5
}

/// What makes probabilities of a model's scores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `exp(x) / Σ exp(x)`: one class is right.
    #[default]
    Softmax,
    /// `1 / (1 + exp(-x))`: each class stands alone.
    Sigmoid,
    /// The scores are probabilities already.
    None,
}
