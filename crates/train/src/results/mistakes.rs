//! The answers that were surest and wrong, with small pictures.

use image::codecs::jpeg::JpegEncoder;
use tintype_core::image::Limits;
use tintype_core::{Layout, PixelType, Plan, PreprocessSpec, Resize, Result, Scratch};

use super::calibration::best_of;
use crate::data::Origin;
use crate::evaluate::Answers;

/// The longer side of a small picture, in pixels.
const SIDE: u32 = 160;
/// JPEG quality of a small picture.
const QUALITY: u8 = 80;

/// A picture as a file of some format.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub width: usize,
    pub height: usize,
    pub bytes: Vec<u8>,
}

/// A wrong answer.
#[derive(Debug)]
pub(super) struct Mistake {
    pub image: Origin,
    pub truth: usize,
    pub answer: usize,
    /// The probability of the answer.
    pub confidence: f32,
}

/// The `most` wrong answers of the highest confidence, surest first.
pub(super) fn worst(answers: &Answers, most: usize) -> Vec<Mistake> {
    let rows = answers.probabilities();
    let wrong = |i: usize| {
        let (answer, confidence) = best_of(&rows[i]);
        let (image, truth) = (answers.images[i].clone(), answers.truths[i]);
        (answer != truth).then_some(Mistake { image, truth, answer, confidence })
    };
    let mut found: Vec<Mistake> = (0..rows.len()).filter_map(wrong).collect();
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then_with(|| a.image.cmp(&b.image)));
    found.truncate(most);
    found
}

/// A small JPEG of the image as a data URL; none where it cannot be made.
pub(super) fn thumbnail(image: &Origin) -> Option<String> {
    Some(format!("data:image/jpeg;base64,{}", base64_simd::STANDARD.encode_to_string(small(image)?.bytes)))
}

/// A small JPEG of the image; none where it cannot be made.
pub(super) fn small(image: &Origin) -> Option<Encoded> {
    shrink(image).inspect_err(|error| tracing::debug!("`{image}`: {error}")).ok()?
}

fn shrink(image: &Origin) -> Result<Option<Encoded>> {
    let spec = PreprocessSpec {
        resize: Some(Resize::Longer(SIDE)),
        layout: Layout::Nhwc,
        dtype: PixelType::U8,
        ..PreprocessSpec::default()
    };
    let picture = Plan::new(spec, Limits::default())?.prepare(&image.read()?, &mut Scratch::default())?;
    let &[height, width, 3] = picture.shape() else { return Ok(None) };
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    let image = image::ExtendedColorType::Rgb8;
    let pixels = picture.values::<u8>()?;
    let written = image::ImageEncoder::write_image(encoder, pixels, width as u32, height as u32, image);
    Ok(written.is_ok().then_some(Encoded { width, height, bytes: jpeg }))
}
