//! The first page of a TIFF, through the `tiff` crate.
//!
//! That crate knows no palettes. A palette picture is therefore read as grey (its indices), from a copy of the file
//! whose photometric tag says so, and the palette is looked up here.

use std::borrow::Cow;
use std::io::Cursor;

use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::exif::Entry;
use super::{Format, Limits, Size, color, corrupt, too_much_memory, unsupported};
use crate::{Error, Result};

const PHOTOMETRIC: u16 = 0x0106;
const BLACK_IS_ZERO: u16 = 1;
const PALETTE: u32 = 3;

/// A TIFF whose first directory was read.
pub(super) struct Tiff<'a> {
    decoder: Decoder<Cursor<Cow<'a, [u8]>>>,
    limits: &'a Limits,
    size: Size,
    color: ColorType,
    /// Red, green and blue of every index, 16 bits each, one colour after the other.
    palette: Option<Vec<u16>>,
}

impl<'a> Tiff<'a> {
    pub(super) fn open(bytes: &'a [u8], limits: &'a Limits) -> Result<Self> {
        let fail = |e| failed(limits, e);
        let photometric = Entry::find(bytes, PHOTOMETRIC).filter(|entry| entry.unsigned() == Some(PALETTE));
        let indexed = photometric.is_some();
        let bytes = match photometric {
            Some(entry) => {
                let mut copy = bytes.to_vec();
                let at = entry.offset + 8;
                copy[at..at + 2].copy_from_slice(&entry.short(BLACK_IS_ZERO));
                Cow::Owned(copy)
            }
            None => Cow::Borrowed(bytes),
        };
        let mut budget = tiff::decoder::Limits::default();
        budget.decoding_buffer_size = limits.max_memory;
        budget.intermediate_buffer_size = limits.max_memory;
        let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(fail)?.with_limits(budget);
        let (width, height) = decoder.dimensions().map_err(fail)?;
        let color = decoder.colortype().map_err(fail)?;
        let palette =
            if indexed { Some(decoder.get_tag_u16_vec(Tag::ColorMap).map_err(fail)?) } else { None };
        Ok(Self { decoder, limits, size: Size { width, height }, color, palette })
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Decodes to RGB.
    pub(super) fn decode(mut self, out: &mut [u8]) -> Result<()> {
        let mut samples = DecodingResult::U8(Vec::new());
        let layout = self.decoder.read_image_to_buffer(&mut samples).map_err(|e| failed(self.limits, e))?;
        let bytes = match samples {
            DecodingResult::U8(bytes) => bytes,
            // Grey clips, colours lose their low byte: what Pillow does with `I;16` and with `RGB;16`.
            DecodingResult::U16(words) if self.color == ColorType::Gray(16) => {
                words.into_iter().map(color::clip_u16).collect()
            }
            DecodingResult::U16(words) => words.into_iter().map(|word| (word >> 8) as u8).collect(),
            _ => return Err(self.unknown()),
        };
        let planar = layout.planes > 1;
        match (self.color, planar) {
            (ColorType::Gray(bits), _) => self.gray(bits, &bytes, out)?,
            (ColorType::RGB(8 | 16), false) => color::take_rgb(&bytes, 3, out),
            (ColorType::RGBA(8 | 16), false) => color::take_rgb(&bytes, 4, out),
            (ColorType::RGB(8 | 16) | ColorType::RGBA(8 | 16), true) => {
                let pixels = out.len() / 3;
                if bytes.len() < 3 * pixels {
                    return Err(corrupt(Format::Tiff, "a colour plane is missing"));
                }
                for (i, pixel) in out.chunks_exact_mut(3).enumerate() {
                    pixel.copy_from_slice(&[bytes[i], bytes[pixels + i], bytes[2 * pixels + i]]);
                }
            }
            (ColorType::CMYK(8 | 16), false) => {
                for (pixel, inks) in out.chunks_exact_mut(3).zip(bytes.chunks_exact(4)) {
                    pixel.copy_from_slice(&color::cmyk_to_rgb([inks[0], inks[1], inks[2], inks[3]]));
                }
            }
            (ColorType::Multiband { bit_depth: 8, num_samples: 2 }, false) => {
                color::spread_gray(bytes.chunks_exact(2).map(|p| p[0]), out);
            }
            _ => return Err(self.unknown()),
        }
        Ok(())
    }

    /// Grey levels or palette indices of 1 to 8 bits, rows beginning at whole bytes, or 16-bit levels clipped already.
    fn gray(&self, bits: u8, bytes: &[u8], out: &mut [u8]) -> Result<()> {
        let (width, row_bits) = (self.size.width as usize, self.size.width as usize * usize::from(bits));
        let whole = |bytes: &[u8], x: usize| bytes.get(x).copied().unwrap_or(0);
        let part = |bytes: &[u8], x: usize| {
            let at = x * usize::from(bits);
            whole(bytes, at / 8) >> (8 - usize::from(bits) - at % 8) & ((1u16 << bits) - 1) as u8
        };
        let (stride, white) = match bits {
            1 | 2 | 4 => (row_bits.div_ceil(8), (1u16 << bits) - 1),
            8 => (width, 255),
            16 if self.palette.is_none() => (width, 255),
            _ => return Err(self.unknown()),
        };
        for (row, line) in bytes.chunks(stride.max(1)).zip(out.chunks_exact_mut(width * 3)) {
            for (x, pixel) in line.chunks_exact_mut(3).enumerate() {
                let value = if bits < 8 { part(row, x) } else { whole(row, x) };
                match &self.palette {
                    None => pixel.fill((u16::from(value) * 255 / white) as u8),
                    Some(palette) => {
                        let colors = palette.len() / 3;
                        for (c, level) in pixel.iter_mut().enumerate() {
                            let index = usize::from(value).min(colors.saturating_sub(1));
                            *level = palette.get(c * colors + index).map_or(0, |v| (v >> 8) as u8);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn unknown(&self) -> Error {
        unsupported(Format::Tiff, format!("pixels of {:?}", self.color))
    }
}

fn failed(limits: &Limits, error: TiffError) -> Error {
    match error {
        TiffError::LimitsExceeded => too_much_memory(Format::Tiff, limits),
        TiffError::UnsupportedError(e) => unsupported(Format::Tiff, e),
        TiffError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            corrupt(Format::Tiff, "the file ends before the picture does")
        }
        e => corrupt(Format::Tiff, e),
    }
}
