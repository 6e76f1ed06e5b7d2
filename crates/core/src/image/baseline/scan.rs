//! The coded bytes of the scan: between the header and the end-of-image marker, in segments with restart markers between.

use super::coefficients::Bits;

/// Zeros behind a segment: its last bits are read eight bytes at a time, with up to seven bytes behind them already taken.
const PADDING: usize = 16;

/// The scan without stuffing.
#[derive(Debug, Default)]
pub(super) struct Scan {
    bytes: Vec<u8>,
    /// Where the segments end, without their padding.
    ends: Vec<usize>,
}

impl Scan {
    /// Takes the scan at the begin of `coded`. `None` unless it ends in an end-of-image marker and has restart markers,
    /// in their order, only where `restarts` says so.
    pub(super) fn read(&mut self, coded: &[u8], restarts: bool) -> Option<()> {
        self.bytes.clear();
        self.ends.clear();
        self.bytes.reserve(coded.len() + PADDING);
        let mut rest = coded;
        loop {
            let at = memchr::memchr(0xff, rest)?;
            let marker = *rest.get(at + 1)?;
            // A stuffed zero says that the 0xff is data.
            self.bytes.extend_from_slice(&rest[..at + usize::from(marker == 0)]);
            rest = &rest[at + 2..];
            match marker {
                0 => {}
                0xd0..=0xd7 if restarts && usize::from(marker & 7) == self.ends.len() % 8 => self.end(),
                0xd9 => {
                    self.end();
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn end(&mut self) {
        self.ends.push(self.bytes.len());
        self.bytes.extend_from_slice(&[0; PADDING]);
    }

    /// The segment of number `index`.
    pub(super) fn segment(&self, index: usize) -> Option<Bits<'_>> {
        let begin = index.checked_sub(1).map_or(0, |last| self.ends[last] + PADDING);
        let end = *self.ends.get(index)?;
        Some(Bits::new(&self.bytes[begin..end + PADDING], end - begin))
    }

    /// Gives a buffer of more than `keep` bytes back.
    pub(super) fn shrink(&mut self, keep: usize) {
        if self.bytes.capacity() > keep {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffing_goes_and_only_sound_markers_pass() {
        let read = |coded: &[u8], restarts| {
            let mut scan = Scan::default();
            scan.read(coded, restarts).map(|()| scan)
        };
        let scan = read(b"\x01\xff\0\xff\0\x02\xff\xd0\x03\xff\xd1\xff\xd9trailer", true).expect("a scan");
        let pad = [0; PADDING];
        assert_eq!(scan.bytes, [&[1, 0xff, 0xff, 2][..], &pad, &[3], &pad, &pad].concat());
        assert_eq!(scan.ends, [4, 21, 37]);
        assert!(scan.segment(2).is_some() && scan.segment(3).is_none());
        for (coded, restarts) in [
            (&b"\x01\xff\xd0\x02\xff\xd9"[..], false),
            (b"\x01\xff\xd1\x02\xff\xd9", true),
            (b"\x01\xff\xc4\x02\xff\xd9", true),
            (b"\x01\xff\xff\xd9", true),
            (b"\x01\x02", true),
            (b"\x01\xff", true),
        ] {
            assert!(read(coded, restarts).is_none(), "{coded:x?}");
        }
    }
}
