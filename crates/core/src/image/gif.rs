//! The first frame of a GIF, as Pillow shows it.
//!
//! Pillow puts the frame on a canvas that is filled with the frame's transparent index, or with index 0, and then looks
//! every index up in the palette: the colour under a transparent pixel is the palette's, and so is the surrounding's.

use std::io::Cursor;

use gif::{ColorOutput, DecodeOptions, Decoder, DecodingError, MemoryLimit};

use super::{Format, Limits, Size, corrupt, too_much_memory};
use crate::{Error, Result};

/// A GIF whose first frame is next.
pub(super) struct Gif<'a> {
    decoder: Decoder<Cursor<&'a [u8]>>,
    limits: &'a Limits,
}

impl<'a> Gif<'a> {
    pub(super) fn open(bytes: &'a [u8], limits: &'a Limits) -> Result<Self> {
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::Indexed);
        if let Some(bytes) = std::num::NonZeroU64::new(limits.max_memory as u64) {
            options.set_memory_limit(MemoryLimit::Bytes(bytes));
        }
        let decoder = options.read_info(Cursor::new(bytes)).map_err(|e| failed(limits, e))?;
        Ok(Self { decoder, limits })
    }

    pub(super) fn size(&self) -> Size {
        Size { width: self.decoder.width().into(), height: self.decoder.height().into() }
    }

    /// Decodes the first frame to RGB.
    pub(super) fn decode(mut self, out: &mut [u8]) -> Result<()> {
        let size = self.size();
        let limits = self.limits;
        let global = self.decoder.global_palette().map(<[u8]>::to_vec);
        let frame = self
            .decoder
            .read_next_frame()
            .map_err(|e| failed(limits, e))?
            .ok_or_else(|| corrupt(Format::Gif, "no frame"))?;
        let palette = frame.palette.as_ref().or(global.as_ref());
        let palette = palette.ok_or_else(|| corrupt(Format::Gif, "no palette"))?;
        let color = |index: u8| -> [u8; 3] {
            let at = 3 * usize::from(index);
            palette.get(at..at + 3).and_then(|c| c.try_into().ok()).unwrap_or_default()
        };
        let around = color(frame.transparent.unwrap_or(0));
        for pixel in out.chunks_exact_mut(3) {
            pixel.copy_from_slice(&around);
        }
        let stride = size.width as usize * 3;
        let columns = usize::from(frame.width).min((size.width as usize).saturating_sub(frame.left.into()));
        let rows = frame.buffer.chunks_exact(usize::from(frame.width).max(1));
        for (row, line) in rows.zip(out.chunks_exact_mut(stride).skip(frame.top.into())) {
            let line = line.chunks_exact_mut(3).skip(frame.left.into()).take(columns);
            for (pixel, index) in line.zip(row) {
                pixel.copy_from_slice(&color(*index));
            }
        }
        Ok(())
    }
}

fn failed(limits: &Limits, error: DecodingError) -> Error {
    match error {
        DecodingError::MemoryLimit | DecodingError::OutOfMemory => too_much_memory(Format::Gif, limits),
        e => corrupt(Format::Gif, e),
    }
}
