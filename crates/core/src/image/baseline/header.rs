//! What stands before the coded bytes.

use std::rc::Rc;

use super::coefficients::ZIGZAG;
use super::huffman::{Kind, Table};
use crate::image::Size;

/// A picture that this decoder can read.
#[derive(Debug)]
pub(super) struct Header {
    pub size: Size,
    /// Luma blocks of an MCU side by side (1 or 2) and one below the other (1 or 2); of chroma there is one of each kind.
    pub across: usize,
    pub down: usize,
    /// MCUs across and down.
    pub mcus: Size,
    /// MCUs between restart markers; 0 for none.
    pub restart_interval: u32,
    pub components: [Component; 3],
    /// Where the coded bytes begin.
    pub scan: usize,
}

/// What Y, Cb or Cr is decoded with.
#[derive(Debug)]
pub(super) struct Component {
    /// In rows of the block, not in zigzag.
    pub quantization: [i16; 64],
    pub dc: Rc<Table>,
    pub ac: Rc<Table>,
}

/// Tables by their number, as far as they were defined.
#[derive(Debug, Default)]
struct Tables {
    quantization: [Option<[i16; 64]>; 4],
    dc: [Option<Rc<Table>>; 4],
    ac: [Option<Rc<Table>>; 4],
}

/// A frame header.
#[derive(Clone, Copy)]
struct Frame {
    size: Size,
    across: usize,
    down: usize,
    ids: [u8; 3],
    quantization: [u8; 3],
}

impl Header {
    /// Reads up to the begin of the scan; `None` for everything that is not plain baseline YCbCr.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut tables = Tables::default();
        let mut frame = None;
        let (mut restart_interval, mut jfif, mut adobe) = (0, false, None);
        let mut at = 2;
        loop {
            let [0xff, marker, high, low] = *bytes.get(at..)?.first_chunk()? else { return None };
            let next = at + 2 + usize::from(u16::from_be_bytes([high, low]));
            let segment = bytes.get(at + 4..next)?;
            at = next;
            match marker {
                0xdb => tables.quantization(segment)?,
                0xc4 => tables.codes(segment)?,
                0xc0 if frame.is_none() => frame = Some(Frame::read(segment)?),
                0xdd => restart_interval = u32::from(u16::from_be_bytes(segment.try_into().ok()?)),
                0xe0 => jfif |= segment.len() >= 14 && segment.starts_with(b"JFIF\0"),
                0xee if segment.len() >= 12 && segment.starts_with(b"Adobe") => adobe = Some(segment[11]),
                0xe1..=0xef | 0xfe => {}
                0xda => {
                    let frame = frame?;
                    // As libjpeg guesses the colours.
                    match (jfif, adobe) {
                        (true, _) | (false, Some(1)) => {}
                        (false, None) if frame.ids == [1, 2, 3] => {}
                        _ => return None,
                    }
                    return Self::new(frame, restart_interval, tables.components(&frame, segment)?, at);
                }
                _ => return None,
            }
        }
    }

    fn new(frame: Frame, restart_interval: u32, components: [Component; 3], scan: usize) -> Option<Self> {
        let Frame { size, across, down, .. } = frame;
        let mcus = Size {
            width: size.width.div_ceil(8 * across as u32),
            height: size.height.div_ceil(8 * down as u32),
        };
        // Narrower chroma is not interpolated.
        let wide_enough = across == 1 || size.width > 4;
        wide_enough.then_some(Self { size, across, down, mcus, restart_interval, components, scan })
    }
}

impl Frame {
    fn read(segment: &[u8]) -> Option<Self> {
        let [8, h1, h0, w1, w0, 3, rest @ ..] = segment else { return None };
        let &[y, y_sampling, y_table, cb, 0x11, cb_table, cr, 0x11, cr_table] = rest else { return None };
        let (across, down) = match y_sampling {
            0x11 => (1, 1),
            0x21 => (2, 1),
            0x22 => (2, 2),
            _ => return None,
        };
        let side = |high: u8, low: u8| u32::from(u16::from_be_bytes([high, low]));
        let size = Size { width: side(*w1, *w0), height: side(*h1, *h0) };
        let frame =
            Self { size, across, down, ids: [y, cb, cr], quantization: [y_table, cb_table, cr_table] };
        (size.pixels() > 0).then_some(frame)
    }
}

impl Tables {
    fn quantization(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [number, rest @ ..] = segment {
            // A number above 3 also means 16 bits an entry.
            let table = self.quantization.get_mut(usize::from(*number))?;
            let (values, rest) = rest.split_first_chunk::<64>()?;
            let mut natural = [0; 64];
            for (&place, &value) in ZIGZAG.iter().zip(values) {
                natural[usize::from(place)] = i16::from(value);
            }
            *table = Some(natural);
            segment = rest;
        }
        Some(())
    }

    fn codes(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [class, rest @ ..] = segment {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let (symbols, rest) = rest.split_at_checked(counts.iter().map(|&n| usize::from(n)).sum())?;
            let (kind, tables) = match class >> 4 {
                0 => (Kind::Dc, &mut self.dc),
                1 => (Kind::Ac, &mut self.ac),
                _ => return None,
            };
            *tables.get_mut(usize::from(class & 15))? = Some(Table::new(kind, counts, symbols)?.into());
            segment = rest;
        }
        Some(())
    }

    /// The components' tables, where the scan has all three of them in full and in order.
    fn components(&self, frame: &Frame, scan: &[u8]) -> Option<[Component; 3]> {
        let &[3, a, a_codes, b, b_codes, c, c_codes, 0, 63, 0] = scan else { return None };
        if [a, b, c] != frame.ids || a == b || b == c || a == c {
            return None;
        }
        let component = |i: usize, codes: u8| {
            Some(Component {
                quantization: (*self.quantization.get(usize::from(frame.quantization[i]))?)?,
                dc: self.dc.get(usize::from(codes >> 4))?.clone()?,
                ac: self.ac.get(usize::from(codes & 15))?.clone()?,
            })
        };
        Some([component(0, a_codes)?, component(1, b_codes)?, component(2, c_codes)?])
    }
}
