//! Pictures with what was recognised in them written underneath.
//!
//! The caption is a bar below the picture, so that nothing of it is covered, in a bitmap font that is enlarged by whole
//! pixels on large pictures. The font covers Latin-1; other characters become `?`.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

use embedded_graphics::mono_font::{MonoTextStyle, iso_8859_1::FONT_10X20};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Pixel, Point, Size};
use embedded_graphics::text::{Baseline, Text};
use image::{Rgb, RgbImage};
use tintype_core::image::Limits;
use tintype_core::{Error, ErrorKind, Exif, Prediction};

/// One character, in pixels at scale 1.
const CELL: (u32, u32) = (10, 20);
/// Around the text, in pixels at scale 1.
const MARGIN: u32 = 4;
/// A picture is made at least as wide as this many characters, so that a thumbnail's label can be read.
const MIN_COLUMNS: u32 = 16;
/// A caption of more lines ends in `...`.
const MAX_LINES: usize = 4;
/// One step of scale for each this many pixels of the picture's shorter side.
const PIXELS_PER_SCALE: u32 = 320;
const BACKGROUND: Rgb<u8> = Rgb([24, 24, 24]);
const FOREGROUND: Rgb<u8> = Rgb([255, 255, 255]);

/// Writes the picture at `source` with its best class to `target`, turned as its EXIF orientation says.
///
/// # Errors
/// As [`tintype_core::image::decode`]; `Io` when the picture cannot be read or written.
pub fn write(source: &Path, target: &Path, best: &Prediction) -> tintype_core::Result<()> {
    let bytes = std::fs::read(source).map_err(|e| Error::io(source, e))?;
    let picture = tintype_core::image::decode(&bytes, Exif::Apply, &Limits::default())?;
    let image = RgbImage::from_raw(picture.width, picture.height, picture.data)
        .ok_or_else(|| Error::new(ErrorKind::Internal, "a decoded picture is shorter than its size says"))?;
    // The number comes first, so that a long label cannot push it out.
    let text = format!("{:.1} % {}", best.confidence * 100.0, best.label);
    annotate(&image, &text).save(target).map_err(|e| match e {
        image::ImageError::IoError(e) => Error::io(target, e),
        other => Error::new(ErrorKind::Io, format!("`{}`: {other}", target.display())),
    })
}

/// The picture with `text` in a bar below it; wider than before only where a few words would not fit.
pub fn annotate(image: &RgbImage, text: &str) -> RgbImage {
    let scale = (image.width().min(image.height()) / PIXELS_PER_SCALE).max(1);
    let columns = (image.width().saturating_sub(2 * MARGIN * scale) / (CELL.0 * scale)).max(MIN_COLUMNS);
    let lines = wrap(text, columns as usize);
    let width = image.width().max((columns * CELL.0 + 2 * MARGIN) * scale);
    let bar = (lines.len() as u32 * CELL.1 + 2 * MARGIN) * scale;
    let mut annotated = RgbImage::from_pixel(width, image.height() + bar, BACKGROUND);
    image::imageops::replace(&mut annotated, image, i64::from((width - image.width()) / 2), 0);
    let origin = (MARGIN * scale, image.height() + MARGIN * scale);
    Caption { image: &mut annotated, origin, scale }.write(&lines);
    annotated
}

/// Breaks `text` into lines of at most `columns` characters, between words where there are any.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let characters: Vec<char> = word.chars().collect();
        for part in characters.chunks(columns) {
            let line = lines.last_mut().expect("there is a first line");
            let used = line.chars().count();
            if used == 0 {
                line.extend(part);
            } else if used + 1 + part.len() <= columns {
                line.push(' ');
                line.extend(part);
            } else {
                lines.push(part.iter().collect());
            }
        }
    }
    if lines.len() > MAX_LINES {
        lines.truncate(MAX_LINES);
        let last = lines.last_mut().expect("there are several");
        *last = last.chars().take(columns - 3).chain("...".chars()).collect();
    }
    lines
}

/// The bar, as the canvas that the font is drawn on: its pixels are squares of `scale` pixels of the picture.
struct Caption<'a> {
    image: &'a mut RgbImage,
    /// Where the text begins, in pixels of the picture.
    origin: (u32, u32),
    scale: u32,
}

impl Caption<'_> {
    fn write(&mut self, lines: &[String]) {
        let style = MonoTextStyle::new(&FONT_10X20, BinaryColor::On);
        let mut top = Point::zero();
        for line in lines {
            let drawn = Text::with_baseline(line, top, style, Baseline::Top).draw(self);
            match drawn {
                Ok(_) => top.y += CELL.1 as i32,
                Err(never) => match never {},
            }
        }
    }
}

impl OriginDimensions for Caption<'_> {
    fn size(&self) -> Size {
        let (width, height) = self.image.dimensions();
        Size::new((width - self.origin.0) / self.scale, (height - self.origin.1) / self.scale)
    }
}

impl DrawTarget for Caption<'_> {
    type Color = BinaryColor;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Self::Error> {
        let size = self.size();
        for Pixel(at, color) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(at.x), u32::try_from(at.y)) else { continue };
            if color == BinaryColor::Off || x >= size.width || y >= size.height {
                continue;
            }
            let (left, top) = (self.origin.0 + x * self.scale, self.origin.1 + y * self.scale);
            for (dx, dy) in (0..self.scale).flat_map(|dy| (0..self.scale).map(move |dx| (dx, dy))) {
                self.image.put_pixel(left + dx, top + dy, FOREGROUND);
            }
        }
        Ok(())
    }
}

/// File names for annotated pictures, each given once.
#[derive(Debug, Default)]
pub struct Names {
    /// In lowercase, since some file systems take `A.png` for `a.png`.
    given: HashSet<String>,
}

impl Names {
    /// A name for the annotated form of `source`: its own, as a JPEG where it is one and a PNG otherwise, with a number
    /// where another picture of that name came before.
    pub fn unused(&mut self, source: &Path) -> OsString {
        let stem = source.file_stem().unwrap_or("picture".as_ref()).to_string_lossy().into_owned();
        let extension = source.extension().map(|e| e.to_string_lossy().to_lowercase());
        let extension = if matches!(extension.as_deref(), Some("jpg" | "jpeg")) { "jpg" } else { "png" };
        let mut name = format!("{stem}.{extension}");
        let mut number = 1;
        while !self.given.insert(name.to_lowercase()) {
            number += 1;
            name = format!("{stem}-{number}.{extension}");
        }
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: Rgb<u8> = Rgb([200, 0, 0]);

    /// The bar's text at scale 1, a `#` for each white pixel.
    fn drawn(image: &RgbImage, from: u32, scale: u32) -> Vec<String> {
        let rows = (from..image.height()).step_by(scale as usize);
        let row = |y| (0..image.width()).step_by(scale as usize).map(move |x| *image.get_pixel(x, y));
        rows.map(|y| row(y).map(|pixel| if pixel == FOREGROUND { '#' } else { '.' }).collect()).collect()
    }

    #[test]
    fn the_picture_stays_and_the_caption_is_below() {
        let picture = RgbImage::from_fn(300, 200, |x, y| Rgb([x as u8, y as u8, 9]));
        let annotated = annotate(&picture, "dog 98.1 %");
        assert_eq!(annotated.dimensions(), (300, 228));
        assert_eq!(*image::imageops::crop_imm(&annotated, 0, 0, 300, 200).to_image(), *picture);
        let text = drawn(&annotated, 200, 1).concat();
        let (white, black) = (text.matches('#').count(), text.matches('.').count());
        assert!(white > 100 && black > 10 * white, "{white} white pixels, {black} of the background");
    }

    #[test]
    fn letters_differ_and_unknown_ones_are_question_marks() {
        let picture = RgbImage::from_pixel(300, 50, RED);
        let bar = |text| drawn(&annotate(&picture, text), 50, 1);
        assert_ne!(bar("dog"), bar("cat"));
        assert_ne!(bar("Bär"), bar("B?r"));
        assert_eq!(bar("猫 ł"), bar("? ?"));
        assert_eq!(bar("a\tb\nc"), bar("a b c"));
    }

    #[test]
    fn large_pictures_have_large_letters() {
        let small = annotate(&RgbImage::from_pixel(330, 330, RED), "dog");
        let large = annotate(&RgbImage::from_pixel(990, 990, RED), "dog");
        assert_eq!(large.dimensions(), (990, 990 + 3 * 28));
        assert_eq!(drawn(&large, 990, 3), drawn(&small, 330, 1));
    }

    #[test]
    fn tiny_pictures_are_widened_for_their_label() {
        for (width, height) in [(1, 1), (20, 10), (3, 700)] {
            let annotated = annotate(&RgbImage::from_pixel(width, height, RED), "green 98.1 %");
            assert_eq!(annotated.width(), 168, "{width}x{height}");
            assert!(annotated.height() > height);
            assert_eq!(annotated.pixels().filter(|p| **p == RED).count() as u32, width * height);
        }
    }

    #[test]
    fn lines_break_between_words() {
        for (text, lines) in [
            ("", vec![""]),
            ("dog", vec!["dog"]),
            ("great white shark", vec!["great", "white", "shark"]),
            ("a b c d e f", vec!["a b c d", "e f"]),
            ("abcdefghij kl", vec!["abcdefg", "hij kl"]),
            ("äöüäöüä ß", vec!["äöüäöüä", "ß"]),
            ("one two three four five six", vec!["one two", "three", "four", "five..."]),
        ] {
            assert_eq!(wrap(text, 7), lines, "{text}");
        }
    }

    #[test]
    fn a_file_is_written_in_the_form_of_its_name() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let source = folder.path().join("in.png");
        RgbImage::from_pixel(200, 100, RED).save(&source).expect("a picture");
        let best = Prediction { index: 3, label: "dog".to_owned(), confidence: 0.9812 };
        for (name, format) in [("out.png", image::ImageFormat::Png), ("out.jpg", image::ImageFormat::Jpeg)] {
            let target = folder.path().join(name);
            write(&source, &target, &best).expect("a picture");
            let bytes = std::fs::read(&target).expect("a file");
            assert_eq!(image::guess_format(&bytes).expect("an image"), format);
            let written = image::load_from_memory(&bytes).expect("an image").to_rgb8();
            assert_eq!(written.dimensions(), (200, 128), "{name}");
        }
        let expected = annotate(&RgbImage::from_pixel(200, 100, RED), "98.1 % dog");
        assert_eq!(image::open(folder.path().join("out.png")).expect("an image").to_rgb8(), expected);
        std::fs::write(&source, "no picture").expect("a file");
        let error = write(&source, &folder.path().join("x.png"), &best).expect_err("no picture");
        assert_eq!(error.kind(), ErrorKind::NotAnImage);
        assert!(!folder.path().join("x.png").exists());
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names::default();
        for (source, name) in [
            ("x/cat.JPG", "cat.jpg"),
            ("y/cat.jpeg", "cat-2.jpg"),
            ("z/CAT.jpg", "CAT-3.jpg"),
            ("cat.webp", "cat.png"),
            ("cat-2.jpg", "cat-2-2.jpg"),
            ("noextension", "noextension.png"),
            ("/", "picture.png"),
        ] {
            assert_eq!(names.unused(Path::new(source)), *name, "{source}");
        }
    }
}
