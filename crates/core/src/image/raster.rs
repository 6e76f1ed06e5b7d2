//! PNG, WebP and BMP through the `image` crate.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{ColorType, ImageDecoder, ImageError};

use super::{Format, Limits, Orientation, Size, color, corrupt, exif, too_much_memory, unsupported};
use crate::{Error, Result};

/// A picture whose header the `image` crate has read.
pub(super) struct Raster<'a> {
    format: Format,
    limits: &'a Limits,
    /// A 16-bit grey PNG without an alpha channel, which Pillow clips instead of scaling.
    gray16: bool,
    /// The largest red, green and blue level of a BMP of 16 bits a pixel.
    levels: Option<[u32; 3]>,
    decoder: Decoder<'a>,
}

enum Decoder<'a> {
    Png(Box<PngDecoder<Cursor<&'a [u8]>>>),
    WebP(WebPDecoder<Cursor<&'a [u8]>>),
    Bmp(BmpDecoder<Cursor<&'a [u8]>>),
}

macro_rules! each {
    ($decoder:expr, $name:ident => $body:expr) => {
        match $decoder {
            Decoder::Png($name) => $body,
            Decoder::WebP($name) => $body,
            Decoder::Bmp($name) => $body,
        }
    };
}

impl<'a> Raster<'a> {
    pub(super) fn open(format: Format, bytes: &'a [u8], limits: &'a Limits) -> Result<Self> {
        let reader = Cursor::new(bytes);
        let decoder = match format {
            Format::Png => {
                let mut budget = image::Limits::no_limits();
                budget.max_alloc = Some(limits.max_memory as u64);
                PngDecoder::with_limits(reader, budget).map(|png| Decoder::Png(Box::new(png)))
            }
            Format::WebP => WebPDecoder::new(reader).map(Decoder::WebP),
            _ => BmpDecoder::new(reader).map(Decoder::Bmp),
        };
        let decoder = decoder.map_err(|e| failed(format, limits, e))?;
        // The header chunk of a PNG is always first: depth at byte 24, colour type (0 = grey) at byte 25.
        let gray16 = format == Format::Png && bytes.get(24..26) == Some(&[16, 0]);
        let levels = if format == Format::Bmp { bmp_levels(bytes) } else { None };
        Ok(Self { format, limits, gray16, levels, decoder })
    }

    pub(super) fn size(&self) -> Size {
        let (width, height) = each!(&self.decoder, d => d.dimensions());
        Size { width, height }
    }

    /// Decodes to RGB.
    pub(super) fn decode(self, out: &mut [u8]) -> Result<()> {
        let Self { format, limits, gray16, levels, decoder } = self;
        let (color, total) = each!(&decoder, d => (d.color_type(), d.total_bytes()));
        // Beside the two buffers here, WebP keeps a frame and a canvas of 4 bytes a pixel each; the others little.
        let working = if format == Format::WebP { 8 * out.len() as u64 / 3 } else { 0 };
        if total.saturating_add(out.len() as u64).saturating_add(working) > limits.max_memory as u64 {
            return Err(too_much_memory(format, limits));
        }
        let read = |pixels: &mut [u8]| {
            each!(decoder, d => d.read_image(pixels)).map_err(|e| failed(format, limits, e))
        };
        if color == ColorType::Rgb8 {
            read(out)?;
            if let Some(levels) = levels {
                truncate_levels(levels, out);
            }
            return Ok(());
        }
        let mut raw = vec![0; usize::try_from(total).map_err(|_| too_much_memory(format, limits))?];
        read(&mut raw)?;
        to_rgb(color, gray16, &raw, out).ok_or_else(|| unsupported(format, format!("pixels of {color:?}")))
    }
}

/// What a BMP's header says of pixels of 16 bits: 5 bits a colour, or 6 of green where a mask says so.
fn bmp_levels(bytes: &[u8]) -> Option<[u32; 3]> {
    const BITS: std::ops::Range<usize> = 28..30;
    const GREEN_MASK: std::ops::Range<usize> = 58..62;
    const BY_MASKS: u8 = 3;
    if bytes.get(BITS)? != [16, 0] {
        return None;
    }
    let wide = bytes.get(30) == Some(&BY_MASKS) && bytes.get(GREEN_MASK)? == [0xe0, 0x07, 0, 0];
    Some([31, if wide { 63 } else { 31 }, 31])
}

/// Levels of few bits, widened with rounding, as Pillow widens them: with truncation.
fn truncate_levels(levels: [u32; 3], pixels: &mut [u8]) {
    for pixel in pixels.chunks_exact_mut(3) {
        for (value, largest) in pixel.iter_mut().zip(levels) {
            let level = (u32::from(*value) * largest + 127) / 255;
            *value = (level * 255 / largest) as u8;
        }
    }
}

/// 16-bit samples lose their low byte, as Pillow's `RGB;16B` and `LA;16B` do; alpha is dropped.
fn to_rgb(color: ColorType, gray16: bool, raw: &[u8], out: &mut [u8]) -> Option<()> {
    let words = |step: usize| raw.chunks_exact(2 * step).map(|w| u16::from_ne_bytes([w[0], w[1]]));
    let high = |word: u16| (word >> 8) as u8;
    match color {
        ColorType::L8 => color::spread_gray(raw.iter().copied(), out),
        ColorType::La8 => color::spread_gray(raw.chunks_exact(2).map(|p| p[0]), out),
        ColorType::L16 => color::spread_gray(words(1).map(color::clip_u16), out),
        ColorType::La16 if gray16 => color::spread_gray(words(2).map(color::clip_u16), out),
        ColorType::La16 => color::spread_gray(words(2).map(high), out),
        ColorType::Rgba8 => color::take_rgb(raw, 4, out),
        ColorType::Rgb16 | ColorType::Rgba16 => {
            let samples: Vec<u8> = words(1).map(high).collect();
            color::take_rgb(&samples, usize::from(color.channel_count()), out);
        }
        _ => return None,
    }
    Some(())
}

fn failed(format: Format, limits: &Limits, error: ImageError) -> Error {
    match error {
        ImageError::Limits(_) => too_much_memory(format, limits),
        ImageError::Unsupported(e) => unsupported(format, e),
        ImageError::Decoding(e) => corrupt(format, plain(&e)),
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            corrupt(format, "the file ends before the picture does")
        }
        e => corrupt(format, e),
    }
}

/// The decoder's own words, unless they are a dump of its data.
fn plain(error: &dyn std::error::Error) -> String {
    let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    if text.contains('{') {
        "a part of the file is missing or altered".to_owned()
    } else {
        text.to_lowercase()
    }
}

/// The orientation in a PNG's `eXIf` or XMP chunk or a WebP's `EXIF` or `XMP ` chunk, wherever in the file it stands.
pub(super) fn orientation(format: Format, bytes: &[u8]) -> Orientation {
    let (mut exif, mut xmp) = (None, None);
    match format {
        Format::Png => {
            for chunk in png_chunks(bytes) {
                match chunk.name {
                    b"eXIf" => exif = Some(chunk.data),
                    b"iTXt" if chunk.data.starts_with(b"XML:com.adobe.xmp\0\0") => xmp = Some(chunk.data),
                    _ => {}
                }
            }
        }
        Format::WebP => {
            for chunk in riff_chunks(bytes) {
                match chunk.name {
                    b"EXIF" => exif = Some(chunk.data),
                    b"XMP " => xmp = Some(chunk.data),
                    _ => {}
                }
            }
        }
        _ => {}
    }
    exif::orientation(exif, xmp)
}

struct Chunk<'a> {
    name: &'a [u8; 4],
    data: &'a [u8],
}

/// Length, name, data, checksum, after a signature of 8 bytes.
fn png_chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (name, after) = after.split_first_chunk::<4>()?;
        let (data, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after.get(4..).unwrap_or_default();
        Some(Chunk { name, data })
    })
}

/// Name, length, data, a byte of padding after odd lengths, after a header of 12 bytes.
fn riff_chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = bytes.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (name, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (data, after) = after.split_at_checked(length)?;
        rest = after.get(length % 2..).unwrap_or_default();
        Some(Chunk { name, data })
    })
}
