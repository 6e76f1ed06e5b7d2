//! The orientation tag, out of EXIF or XMP, and the first directory of a TIFF structure.
//!
//! As lenient as Pillow: a damaged block means "no orientation", never a refused picture.

use super::Orientation;

/// Orientation, in the first directory.
const ORIENTATION: u16 = 0x0112;

/// The orientation that an EXIF block (with or without its `Exif\0\0` prefix) and an XMP packet state; EXIF wins.
pub(super) fn orientation(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    let value = exif
        .map(|block| block.strip_prefix(b"Exif\0\0").unwrap_or(block))
        .and_then(|block| Entry::find(block, ORIENTATION))
        .and_then(|entry| entry.unsigned());
    Orientation::from_exif(value.or_else(|| xmp.and_then(xmp_orientation)).unwrap_or(1))
}

/// One entry of the first directory of a TIFF structure.
pub(super) struct Entry<'a> {
    block: &'a [u8],
    big_endian: bool,
    /// Where the entry's 12 bytes begin.
    pub(super) offset: usize,
}

impl<'a> Entry<'a> {
    /// The entry of `tag` in a classic (not Big) TIFF structure.
    pub(super) fn find(block: &'a [u8], tag: u16) -> Option<Self> {
        let big_endian = match block.get(..4)? {
            b"MM\0\x2a" => true,
            b"II\x2a\0" => false,
            _ => return None,
        };
        let mut entry = Self { block, big_endian, offset: 0 };
        let start = entry.u32_at(4)? as usize;
        let count = usize::from(entry.u16_at(start)?);
        for i in 0..count {
            entry.offset = start + 2 + 12 * i;
            if entry.u16_at(entry.offset)? == tag {
                return Some(entry);
            }
        }
        None
    }

    /// The value, where it is one or more BYTE, SHORT or LONG that fit the entry itself.
    pub(super) fn unsigned(&self) -> Option<u32> {
        let value = self.offset + 8;
        match self.u16_at(self.offset + 2)? {
            1 => self.block.get(value).copied().map(u32::from),
            3 => self.u16_at(value).map(u32::from),
            4 => self.u32_at(value),
            _ => None,
        }
    }

    /// The bytes of a SHORT in this structure's byte order.
    pub(super) fn short(&self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u16_at(&self, at: usize) -> Option<u16> {
        let bytes = self.block.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        let bytes = self.block.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

/// `tiff:Orientation="6"` or `<tiff:Orientation>6`, the two spellings that Pillow looks for.
fn xmp_orientation(packet: &[u8]) -> Option<u32> {
    const KEY: &[u8] = b"tiff:Orientation";
    packet.windows(KEY.len()).enumerate().filter(|(_, window)| *window == KEY).find_map(|(at, _)| {
        match &packet[at + KEY.len()..] {
            [b'=', b'"', digit, ..] | [b'>', digit, ..] if digit.is_ascii_digit() => {
                Some(u32::from(digit - b'0'))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(kind: u16, value: [u8; 4]) -> Vec<u8> {
        let mut bytes = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12".to_vec();
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 0, 0, 1]);
        bytes.extend(value);
        bytes
    }

    #[test]
    fn short_long_and_prefixed_blocks_are_read() {
        let six = Orientation::from_exif(6);
        assert_eq!(orientation(Some(&block(3, [0, 6, 0, 0])), None), six);
        assert_eq!(orientation(Some(&block(4, [0, 0, 0, 6])), None), six);
        let prefixed = [b"Exif\0\0".as_slice(), &block(3, [0, 6, 0, 0])].concat();
        assert_eq!(orientation(Some(&prefixed), None), six);
    }

    #[test]
    fn xmp_counts_only_without_exif() {
        let xmp = br#"<rdf:Description tiff:Orientation="8"/>"#;
        assert_eq!(orientation(None, Some(xmp)), Orientation::from_exif(8));
        assert_eq!(orientation(Some(&block(3, [0, 3, 0, 0])), Some(xmp)), Orientation::from_exif(3));
    }

    #[test]
    fn every_cut_of_a_block_is_harmless() {
        let whole = block(3, [0, 6, 0, 0]);
        for end in 0..whole.len() - 2 {
            assert!(orientation(Some(&whole[..end]), None).is_identity(), "cut at {end}");
        }
    }
}
