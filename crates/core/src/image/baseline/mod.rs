//! Baseline JPEG, the kind that cameras, phones and web sites write: faster than libjpeg-turbo, and equal to it in every bit.
//!
//! Three fifths of the time that a photo took went into decoding its codes one by one. So this decodes mostly two in one look,
//! makes no pixels that nobody wants and stops behind the last wanted row.
//!
//! * `header` reads the tables and says whether this is such a picture: YCbCr, 4:4:4, 4:2:2 or 4:2:0, one scan. All others,
//!   and those in whose scan something is odd, are left to libjpeg-turbo (`jpeg`), and so are the error messages.
//! * `scan` takes the stuffing out of the coded bytes, `huffman` holds the code tables, `coefficients` decodes a row of MCUs
//!   (the smallest units of whole blocks of all components, 8 or 16 pixels wide and high).
//! * `idct` turns coefficients to samples, `planes` keeps two rows of MCUs of them, and `color` makes pixels: all in the
//!   integers of libjpeg's "islow" transform, "fancy" upsampling and colour tables.
//!
//! A row of MCUs goes all the way before the next is begun, so that everything between bytes and pixels stays in the cache.

mod coefficients;
mod color;
mod header;
mod huffman;
mod idct;
mod planes;
mod scan;

use super::{Region, prepare_buffer};
use crate::widest::{self, Kernel};

use coefficients::{Coefficients, Reader, Row};
use color::Convert;
use header::Header;
use planes::Planes;
use scan::Scan;

/// The decoder: buffers that are kept between pictures.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    scan: Scan,
    coefficients: Coefficients,
    planes: Planes,
    rows: color::Rows,
}

impl Baseline {
    /// Decodes `want` of the JPEG in `bytes` to RGB in `out`; `None`, with anything in `out`, where this is not a picture
    /// for this decoder.
    pub(super) fn decode(&mut self, bytes: &[u8], want: Region, out: &mut Vec<u8>) -> Option<()> {
        let header = &Header::read(bytes)?;
        let Self { scan, coefficients, planes, rows } = self;
        scan.read(bytes.get(header.scan..)?, header.restart_interval != 0)?;
        planes.prepare(header, want);
        let out = prepare_buffer(out, want.rgb_len());
        let reader = &mut Reader::new(header, scan)?;
        for row in 0..planes.rows.end {
            let kept = planes.rows.contains(&row);
            let columns = if kept { planes.columns.clone() } else { 0..0 };
            widest::run(Row { reader, columns, found: coefficients })?;
            if kept {
                planes.advance(row);
                widest::run(Draw { header, coefficients, planes })?;
                widest::run(Convert { header, planes, mcus: row, want, rows, out });
            }
        }
        reader.within()
    }

    /// Gives buffers of more than `keep` bytes back.
    pub(super) fn shrink(&mut self, keep: usize) {
        self.scan.shrink(keep);
    }
}

/// Turns the coefficients of a row of MCUs to samples.
struct Draw<'a> {
    header: &'a Header,
    coefficients: &'a Coefficients,
    planes: &'a mut Planes,
}

impl Kernel for Draw<'_> {
    type Output = Option<()>;

    #[inline(always)]
    fn run(self) -> Option<()> {
        let Self { header, coefficients, planes } = self;
        let per_mcu = header.across * header.down + 2;
        let blocks = coefficients.blocks.iter().zip(&coefficients.counts);
        for (n, (block, &count)) in blocks.enumerate() {
            let (x, i) = (n / per_mcu, n % per_mcu);
            let c = (i + 3).saturating_sub(per_mcu);
            let quantization = &header.components[c].quantization;
            let (samples, stride) = planes.block(c, x, i, header.across);
            idct::inverse(block, count, quantization, samples, stride)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Decompressor, Limits, Size, jpeg::Job};

    /// A picture's name and bytes.
    type Named = (&'static str, &'static [u8]);

    macro_rules! picture {
        ($name:literal) => {{
            let bytes: &'static [u8] =
                include_bytes!(concat!("../../../tests/data/pixels/decode/", $name, ".jpg"));
            ($name, bytes)
        }};
    }

    const PLAIN: &[Named] = &[
        picture!("wide_444"),
        picture!("wide_422"),
        picture!("wide_420"),
        picture!("baseline_444"),
        picture!("baseline_422"),
        picture!("baseline_420"),
        picture!("restarts"),
        picture!("tail_behind_the_end"),
    ];

    fn by_libjpeg(bytes: &[u8]) -> Option<(Size, Vec<u8>)> {
        let mut decompressor = Decompressor::new();
        let (stream, mut out) = (decompressor.open(bytes).ok()?, Vec::new());
        let job = Job { want: Region::all(stream.size()), limits: &Limits::default() };
        decompressor.decode_any(&stream, job, &mut out).ok()?;
        Some((stream.size(), out))
    }

    #[test]
    fn every_part_is_that_of_libjpeg() {
        let mut baseline = Baseline::default();
        for (name, bytes) in PLAIN {
            let (size, full) = by_libjpeg(bytes).unwrap();
            let edges = |side: u32| [0, 1, 7, side / 3, side / 2 + 1, side - 1, side];
            for (x, right) in edges(size.width).into_iter().flat_map(|a| edges(size.width).map(|b| (a, b))) {
                for (y, bottom) in
                    edges(size.height).into_iter().flat_map(|a| edges(size.height).map(|b| (a, b)))
                {
                    if x >= right || y >= bottom {
                        continue;
                    }
                    let want = Region { x, y, width: right - x, height: bottom - y };
                    let mut part = vec![1; 3];
                    assert!(baseline.decode(bytes, want, &mut part).is_some(), "{name}: {want:?} refused");
                    let length = want.width as usize * 3;
                    for (row, found) in part.chunks_exact(length).enumerate() {
                        let begin = ((want.y as usize + row) * size.width as usize + want.x as usize) * 3;
                        assert_eq!(found, &full[begin..begin + length], "{name}: row {row} of {want:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn other_kinds_are_left_alone() {
        let others = [
            picture!("wide_progressive"),
            picture!("wide_gray"),
            picture!("cmyk_adobe"),
            picture!("keep_rgb"),
            picture!("one_pixel"),
            picture!("truncated"),
        ];
        for (name, bytes) in others {
            let want = Region { x: 0, y: 0, width: 1, height: 1 };
            assert!(Baseline::default().decode(bytes, want, &mut Vec::new()).is_none(), "{name}");
        }
    }

    /// Each byte of a picture altered, in two ways: what still decodes is what libjpeg makes of it.
    #[test]
    fn damaged_pictures_are_refused_or_equal() {
        let mut baseline = Baseline::default();
        let (mut equal, mut refused) = (0, 0);
        for (name, bytes) in [picture!("restarts"), picture!("baseline_420")] {
            for (at, flip) in (2..bytes.len()).flat_map(|at| [(at, 0x10), (at, 0x81)]) {
                let mut bytes = bytes.to_vec();
                bytes[at] ^= flip;
                let Some((size, expected)) = by_libjpeg(&bytes) else { continue };
                let mut found = Vec::new();
                match baseline.decode(&bytes, Region::all(size), &mut found) {
                    Some(()) => {
                        assert!(found == expected, "{name}: {flip:#x} at {at}");
                        equal += 1;
                    }
                    None => refused += 1,
                }
            }
        }
        assert!(equal > 100 && refused > 100, "{equal} equal, {refused} refused");
    }
}
