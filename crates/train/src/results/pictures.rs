//! What TensorBoard shows of a finished training: its surest mistakes, and the confusion matrix.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::mistakes::{Encoded, small, worst};
use crate::evaluate::Answers;

/// Mistakes that are shown.
const MISTAKES: usize = 8;
/// About the side of the matrix's picture, in pixels; a cell has at least one.
const SIDE: usize = 320;

/// The pictures with their tags; `counts` is the confusion matrix.
pub(crate) fn of(answers: &Answers, counts: &[Vec<u64>]) -> Vec<(String, Encoded)> {
    let mistakes = worst(answers, MISTAKES).into_iter().enumerate().filter_map(|(place, mistake)| {
        let (truth, answer) = (&answers.labels[mistake.truth], &answers.labels[mistake.answer]);
        Some((format!("mistakes/{}: {truth} as {answer}", place + 1), small(&mistake.image)?))
    });
    mistakes.chain(matrix(counts).map(|picture| ("val/confusion".to_owned(), picture))).collect()
}

/// A row a true class, a column an answer: the darker, the larger the share of the row.
fn matrix(counts: &[Vec<u64>]) -> Option<Encoded> {
    let classes = counts.len();
    let cell = (SIDE / classes.max(1)).max(1);
    let side = classes * cell;
    let mut pixels = Vec::with_capacity(3 * side * side);
    for y in 0..side {
        let row = &counts[y / cell];
        let total = row.iter().sum::<u64>().max(1);
        for x in 0..side {
            let share = row[x / cell] as f64 / total as f64;
            // White, to the report's blue.
            pixels.extend([31.0, 95.0, 168.0].map(|ink: f64| (255.0 - share * (255.0 - ink)).round() as u8));
        }
    }
    let mut bytes = Vec::new();
    let size = u32::try_from(side).ok()?;
    PngEncoder::new(&mut bytes).write_image(&pixels, size, size, ExtendedColorType::Rgb8).ok()?;
    Some(Encoded { width: side, height: side, bytes })
}

#[cfg(test)]
mod tests {
    use tintype_core::Exif;
    use tintype_core::image::{Limits, decode};

    use super::*;

    #[test]
    fn shares_of_a_row_are_as_dark_as_they_are_large() {
        let picture = matrix(&[vec![3, 1], vec![0, 0]]).unwrap();
        let found = decode(&picture.bytes, Exif::Ignore, &Limits::default()).unwrap();
        assert_eq!((picture.width, found.width as usize, found.height), (320, 320, 320));
        let at = |x: usize, y: usize| found.data[3 * (y * 320 + x)];
        assert_eq!([at(0, 0), at(160, 159), at(0, 160), at(319, 319)], [87, 199, 255, 255]);
    }
}
