//! From coded bits to the coefficients of a row of MCUs.

use std::ops::Range;

use super::header::{Component, Header};
use super::huffman::{END, Step, Table};
use super::scan::Scan;
use crate::widest::Kernel;

/// Coefficients of a block, in rows, and places for what is written behind the end of a block.
pub(super) type Block = [i16; 72];

/// Where the k-th coefficient belongs in a block; from the 64th on behind it.
pub(super) const ZIGZAG: [u8; 256] = {
    let mut places = [64; 256];
    let (mut x, mut y, mut k) = (0u8, 0u8, 0);
    while k < 64 {
        places[k] = y * 8 + x;
        // Even diagonals go up, odd ones down.
        let up = (x + y).is_multiple_of(2);
        match (up, x, y) {
            (true, 7, _) => y += 1,
            (true, _, 0) => x += 1,
            (true, _, _) => (x, y) = (x + 1, y - 1),
            (false, _, 7) => x += 1,
            (false, 0, _) => y += 1,
            (false, _, _) => (x, y) = (x - 1, y + 1),
        }
        k += 1;
    }
    places
};

/// The blocks of the wanted MCUs of one row, in the order of the scan.
#[derive(Debug, Default)]
pub(super) struct Coefficients {
    pub blocks: Vec<Block>,
    /// How many coefficients of each block were given, zeros included, in zigzag.
    pub counts: Vec<u8>,
}

/// What is left of the scan.
pub(super) struct Reader<'a> {
    header: &'a Header,
    scan: &'a Scan,
    /// The segment that `bits` are of.
    segment: usize,
    bits: Bits<'a>,
    predictions: [i16; 3],
    /// MCUs before the next restart marker.
    left: u32,
}

impl<'a> Reader<'a> {
    /// A reader at the begin of `scan`; `None` where that is empty.
    pub(super) fn new(header: &'a Header, scan: &'a Scan) -> Option<Self> {
        let bits = scan.segment(0)?;
        Some(Self { header, scan, segment: 0, bits, predictions: [0; 3], left: header.restart_interval })
    }

    /// Whether no bit was taken that is not there.
    pub(super) fn within(&self) -> Option<()> {
        self.bits.within()
    }

    fn restart(&mut self) -> Option<()> {
        self.bits.within()?;
        self.segment += 1;
        self.bits = self.scan.segment(self.segment)?;
        (self.predictions, self.left) = ([0; 3], self.header.restart_interval);
        Some(())
    }
}

/// Decodes a row of MCUs. Of those outside of `columns` only what the others depend on.
pub(super) struct Row<'r, 'a> {
    pub reader: &'r mut Reader<'a>,
    pub columns: Range<u32>,
    pub found: &'r mut Coefficients,
}

impl Kernel for Row<'_, '_> {
    type Output = Option<()>;

    #[inline(always)]
    fn run(self) -> Option<()> {
        let Self { reader, columns, found } = self;
        let header = reader.header;
        let per_mcu = header.across * header.down + 2;
        let wanted = columns.len() * per_mcu;
        found.blocks.resize(wanted, [0; 72]);
        found.counts.resize(wanted, 0);
        let mut blocks = found.blocks.iter_mut().zip(&mut found.counts);
        for x in 0..header.mcus.width {
            if header.restart_interval != 0 {
                if reader.left == 0 {
                    reader.restart()?;
                }
                reader.left -= 1;
            }
            for i in 0..per_mcu {
                let c = (i + 3).saturating_sub(per_mcu);
                let component = &header.components[c];
                let prediction = &mut reader.predictions[c];
                if columns.contains(&x) {
                    let (block, count) = blocks.next()?;
                    *block = [0; 72];
                    *count = reader.bits.block(component, prediction, Some(block))?;
                } else {
                    reader.bits.block(component, prediction, None)?;
                }
            }
        }
        Some(())
    }
}

/// The bits of a segment of the scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits<'a> {
    /// The segment and its padding.
    bytes: &'a [u8],
    /// Bytes of the segment.
    length: usize,
    /// The first byte that is not yet in `buffer`, all of it.
    at: usize,
    /// The next bits, from the highest on.
    buffer: u64,
    /// Bits in `buffer`.
    count: u32,
}

impl<'a> Bits<'a> {
    /// `length` bytes, which are `bytes` without the padding that allows to read eight bytes wherever one is.
    pub(super) fn new(bytes: &'a [u8], length: usize) -> Self {
        Self { bytes, length, at: 0, buffer: 0, count: 0 }
    }

    /// Makes at least 56 bits of the buffer valid.
    #[inline(always)]
    fn refill(&mut self) -> Option<()> {
        let next = self.bytes.get(self.at..)?.first_chunk()?;
        self.buffer |= u64::from_be_bytes(*next) >> self.count;
        self.at += (63 - self.count as usize) >> 3;
        self.count |= 56;
        Some(())
    }

    #[inline(always)]
    fn skip(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count -= bits;
    }

    /// Decodes the next block into `block`, which is clear, and says how many coefficients that are, zeros included. `None`
    /// for a code that does not exist or too many coefficients.
    #[inline(always)]
    fn block(
        &mut self,
        component: &Component,
        prediction: &mut i16,
        block: Option<&mut Block>,
    ) -> Option<u8> {
        let mut bits = *self;
        bits.refill()?;
        let step = component.dc.next(bits.buffer)?;
        bits.skip(step.bits());
        *prediction = prediction.wrapping_add(step.first());
        let count = match block {
            Some(block) => {
                block[0] = *prediction;
                bits.coefficients(&component.ac, |k, value| {
                    if let Some(place) = block.get_mut(usize::from(ZIGZAG[k & 0xff])) {
                        *place = value;
                    }
                })
            }
            None => bits.coefficients(&component.ac, |_, _| {}),
        };
        *self = bits;
        count
    }

    #[inline(always)]
    fn coefficients(&mut self, table: &Table, mut keep: impl FnMut(usize, i16)) -> Option<u8> {
        let mut k = 1;
        loop {
            self.refill()?;
            // A refill is enough for two steps of up to 16 + 10 bits.
            for _ in 0..2 {
                let step = table.next(self.buffer)?;
                // Without a second value this writes a 0 where the first one goes next.
                keep(k + step.advance() - 1, step.last());
                keep(k + step.first_advance() - 1, step.first());
                if k + step.advance() >= 64 {
                    return self.last_step(k, step);
                }
                self.skip(step.bits());
                k += step.advance();
            }
        }
    }

    /// The step that ends a block, at position `k`: what it holds beyond the 64th coefficient is of the next block.
    #[inline(always)]
    fn last_step(&mut self, k: usize, step: Step) -> Option<u8> {
        let first = k + step.first_advance();
        let (k, bits) =
            if first >= 64 { (first, step.first_bits()) } else { (k + step.advance(), step.bits()) };
        self.skip(bits);
        match k {
            64 => Some(64),
            65..=END => None,
            _ => Some((k - END) as u8),
        }
    }

    fn within(&self) -> Option<()> {
        (self.at * 8 - self.count as usize <= self.length * 8).then_some(())
    }
}
