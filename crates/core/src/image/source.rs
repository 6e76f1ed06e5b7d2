//! One encoded picture: opened, checked against the limits, then decoded.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::jpeg::{self, Decompressor, Job};
use super::markers::Markers;
use super::raster::{self, Raster};
use super::{Format, Limits, Orientation, Region, Size, corrupt, exif, gif, too_much_memory};
use crate::{Error, ErrorKind, Result, spec::Exif};

/// A picture whose header was read and fits the limits.
pub(crate) struct Source<'a> {
    format: Format,
    size: Size,
    orientation: Orientation,
    limits: &'a Limits,
    coded: Coded<'a>,
}

enum Coded<'a> {
    Jpeg(jpeg::Stream<'a>),
    Gif(Box<gif::Gif<'a>>),
    Tiff(Box<super::tiff::Tiff<'a>>),
    Raster(Raster<'a>),
}

impl<'a> Source<'a> {
    /// Reads the header of `bytes`.
    pub(crate) fn open(bytes: &'a [u8], limits: &'a Limits, jpeg: &mut Decompressor) -> Result<Self> {
        if bytes.len() > limits.max_bytes {
            return Err(Error::new(
                ErrorKind::PayloadTooLarge,
                format!("expected at most {} bytes of image, found {}", limits.max_bytes, bytes.len()),
            ));
        }
        let format = Format::sniff(bytes).ok_or_else(not_an_image)?;
        let source = match format {
            Format::Jpeg => Self::open_jpeg(bytes, limits, jpeg),
            _ => guarded(format, || Self::open_other(format, bytes, limits)),
        }?;
        source.check_size()?;
        Ok(source)
    }

    fn open_jpeg(bytes: &'a [u8], limits: &'a Limits, jpeg: &mut Decompressor) -> Result<Self> {
        let markers = Markers::read(bytes);
        let stream = match jpeg.open(bytes) {
            Ok(stream) => stream,
            Err(_) if !markers.complete => return Err(truncated()),
            Err(error) => return Err(error),
        };
        let source = Self {
            format: Format::Jpeg,
            size: stream.size(),
            orientation: exif::orientation(markers.exif, markers.xmp),
            limits,
            coded: Coded::Jpeg(stream),
        };
        // Too many pixels is the better answer where both hold.
        source.check_size()?;
        if markers.complete { Ok(source) } else { Err(truncated()) }
    }

    fn open_other(format: Format, bytes: &'a [u8], limits: &'a Limits) -> Result<Self> {
        let (size, orientation, coded) = match format {
            Format::Gif => {
                let gif = gif::Gif::open(bytes, limits)?;
                (gif.size(), Orientation::default(), Coded::Gif(Box::new(gif)))
            }
            Format::Tiff => {
                let tiff = super::tiff::Tiff::open(bytes, limits)?;
                (tiff.size(), exif::orientation(Some(bytes), None), Coded::Tiff(Box::new(tiff)))
            }
            _ => {
                let raster = Raster::open(format, bytes, limits)?;
                (raster.size(), raster::orientation(format, bytes), Coded::Raster(raster))
            }
        };
        Ok(Self { format, size, orientation, limits, coded })
    }

    fn check_size(&self) -> Result<()> {
        if self.size.pixels() == 0 {
            return Err(corrupt(self.format, format!("expected at least one pixel, found {}", self.size)));
        }
        if self.size.pixels() > self.limits.max_pixels {
            return Err(Error::new(
                ErrorKind::ImageTooLarge,
                format!(
                    "expected at most {} pixels, found {} ({})",
                    self.limits.max_pixels,
                    self.size.pixels(),
                    self.size
                ),
            ));
        }
        Ok(())
    }

    /// The stored size, before turning.
    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// The orientation, or none where the spec ignores it.
    pub(crate) fn orientation_for(&self, exif: Exif) -> Orientation {
        match exif {
            Exif::Apply => self.orientation,
            Exif::Ignore => Orientation::default(),
        }
    }

    /// Decodes at least `want` of the stored picture to RGB in `out` and says which region that is.
    pub(crate) fn decode(self, want: Region, jpeg: &mut Decompressor, out: &mut Vec<u8>) -> Result<Region> {
        let (size, limits) = (self.size, self.limits);
        if let Coded::Jpeg(stream) = &self.coded {
            return jpeg.decode(stream, Job { want, limits }, out);
        }
        let length = Region::all(size).rgb_len();
        if length > limits.max_memory {
            return Err(too_much_memory(self.format, limits));
        }
        guarded(self.format, || {
            let out = super::prepare_buffer(out, length);
            match self.coded {
                Coded::Jpeg(_) => Ok(()),
                Coded::Gif(gif) => gif.decode(out),
                Coded::Tiff(tiff) => tiff.decode(out),
                Coded::Raster(raster) => raster.decode(out),
            }
        })?;
        Ok(Region::all(size))
    }
}

/// The decoders of the other formats are safe Rust, but a hostile file may find an overflow or an index in them: that
/// is the file's fault and must not take the thread along.
fn guarded<T>(format: Format, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(corrupt(format, "the decoder gave up on it")))
}

fn not_an_image() -> Error {
    Error::new(
        ErrorKind::NotAnImage,
        "expected a JPEG, PNG, WebP, GIF, BMP or TIFF image, found something else",
    )
}

fn truncated() -> Error {
    corrupt(Format::Jpeg, "the file ends before the picture does")
}
