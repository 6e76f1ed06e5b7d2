//! From encoded bytes to 8-bit RGB pixels, within limits.
//!
//! * The format is recognised by content ([`Format::sniff`]), never by a name or a content type.
//! * [`Source::open`] reads the header and checks it against [`Limits`]; nothing of the picture's size is allocated
//!   before that. [`Source::decode`] then fills a buffer.
//! * JPEG goes through a decoder of our own where it is plain baseline (`baseline`), else through libjpeg-turbo (`jpeg`);
//!   both can decode a part of the picture alone. PNG, WebP and BMP go through the `image` crate (`raster`), GIF and TIFF through `gif` and `tiff`, because the
//!   `image` crate hides the palette that Pillow's results depend on.
//! * Colours become RGB exactly as Pillow's `convert("RGB")` makes them (`color`), alpha is dropped, colour profiles are
//!   not applied. Of an animation the first frame counts.
//! * [`Orientation`] says how the picture is to be turned; turning is left to the caller.
//!
//! Resizing, cropping and normalising are [`Plan`](crate::Plan)'s.

mod baseline;
mod color;
mod exif;
mod gif;
mod jpeg;
mod markers;
mod orientation;
mod raster;
mod region;
mod source;
mod tiff;

pub(crate) use color::luma_in_place;
pub(crate) use jpeg::Decompressor;
pub use orientation::Orientation;
pub use region::Region;
pub(crate) use source::Source;

use crate::{Error, ErrorKind, Result, spec::Exif};

/// What decoding one image may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Encoded bytes.
    pub max_bytes: usize,
    /// Width times height, read from the header before decoding.
    pub max_pixels: u64,
    /// Bytes that decoding may allocate, the decoded pixels included.
    pub max_memory: usize,
}

impl Default for Limits {
    /// 64 MiB encoded, 100 megapixels, 1 GiB while decoding.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_pixels: 100_000_000, max_memory: 1 << 30 }
    }
}

/// Extensions, in lower case, by which a folder's files are taken for images. What a file is, its content says.
pub const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"];

/// Whether `path` ends in one of [`EXTENSIONS`], in either case.
pub fn has_image_extension(path: &std::path::Path) -> bool {
    let extension = path.extension().and_then(std::ffi::OsStr::to_str);
    extension.is_some_and(|e| EXTENSIONS.contains(&e.to_ascii_lowercase().as_str()))
}

/// The formats that are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG (baseline, progressive, arithmetic; 8 bits a sample).
    Jpeg,
    /// PNG; of an APNG the default image.
    Png,
    /// WebP, lossy and lossless.
    WebP,
    /// GIF.
    Gif,
    /// Windows and OS/2 bitmaps.
    Bmp,
    /// TIFF; of several pages the first.
    Tiff,
}

impl Format {
    /// The format of `bytes`, by its first bytes.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'B', b'M', ..] => Some(Self::Bmp),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Self::Tiff),
            _ => None,
        }
    }

    /// The name as in messages, e.g. `JPEG`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        }
    }
}

/// A decoded picture: 8-bit RGB, interleaved, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub data: Vec<u8>,
}

/// Decodes the whole picture, turned as its EXIF orientation says where `exif` is `Apply`.
///
/// # Errors
/// `NotAnImage`, `CorruptImage`, `UnsupportedImage`, `ImageTooLarge` or, for too many encoded bytes, `PayloadTooLarge`.
pub fn decode(bytes: &[u8], exif: Exif, limits: &Limits) -> Result<Picture> {
    let mut jpeg = Decompressor::new();
    let source = Source::open(bytes, limits, &mut jpeg)?;
    let orientation = source.orientation_for(exif);
    let (stored, size) = (source.size(), orientation.oriented(source.size()));
    let mut data = Vec::new();
    source.decode(Region::all(stored), &mut jpeg, &mut data)?;
    let mut turned = Vec::new();
    let data = if orientation.turn(&data, stored, &mut turned) { turned } else { data };
    Ok(Picture { width: size.width, height: size.height, data })
}

/// Width and height of the picture in `bytes`, turned where `exif` is `Apply`, from the header alone.
///
/// # Errors
/// As [`decode`], as far as the header shows it.
pub fn dimensions(bytes: &[u8], exif: Exif, limits: &Limits) -> Result<Size> {
    let source = Source::open(bytes, limits, &mut Decompressor::new())?;
    Ok(source.orientation_for(exif).oriented(source.size()))
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl Size {
    /// Width times height.
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

fn corrupt(format: Format, reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::CorruptImage, format!("damaged {}: {reason}", format.as_str()))
}

fn unsupported(format: Format, reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::UnsupportedImage, format!("unsupported {}: {reason}", format.as_str()))
}

fn too_much_memory(format: Format, limits: &Limits) -> Error {
    Error::new(
        ErrorKind::ImageTooLarge,
        format!("decoding this {} needs more than {} MiB", format.as_str(), limits.max_memory >> 20),
    )
}

/// A buffer of `length` bytes without a copy of what was in it; the bytes are overwritten by the caller.
fn prepare_buffer(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.clear();
        buffer.resize(length, 0);
    }
    buffer.truncate(length);
    buffer
}
