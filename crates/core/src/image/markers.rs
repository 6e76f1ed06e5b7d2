//! The marker structure of a JPEG stream: where its metadata is, and whether it ends.
//!
//! libjpeg fills a truncated picture with grey and calls it a warning; Pillow refuses it. So do we, by looking for the
//! end marker ourselves, which also holds where a cropped decode never reads the last rows.

/// What a walk over the markers found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Markers<'a> {
    /// The first EXIF block, without its `Exif\0\0` prefix.
    pub exif: Option<&'a [u8]>,
    /// The first XMP packet.
    pub xmp: Option<&'a [u8]>,
    /// Whether the end-of-image marker is there.
    pub complete: bool,
}

impl<'a> Markers<'a> {
    /// Walks `bytes` from its start-of-image marker to its end-of-image marker, or as far as it goes.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let mut found = Self::default();
        let mut at = 2;
        while let Some(marker) = next_marker(bytes, &mut at) {
            if marker == 0xd9 {
                found.complete = true;
                break;
            }
            // Restart markers, TEM and a stray start of image stand alone; all others have a length.
            if matches!(marker, 0x01 | 0xd0..=0xd8) {
                continue;
            }
            let Some(length) = bytes.get(at..at + 2) else { break };
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let Some(segment) = bytes.get(at + 2..at + length.max(2)) else { break };
            if marker == 0xe1 {
                found.note(segment);
            }
            at += length.max(2);
        }
        found
    }

    fn note(&mut self, segment: &'a [u8]) {
        if let Some(exif) = segment.strip_prefix(b"Exif\0\0") {
            self.exif.get_or_insert(exif);
        } else if let Some(xmp) = segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
            self.xmp.get_or_insert(xmp);
        }
    }
}

/// The code of the next marker after `at`, which moves behind it; stuffed zeros and fill bytes are skipped.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        *at += memchr::memchr(0xff, bytes.get(*at..)?)? + 1;
        while *bytes.get(*at)? == 0xff {
            *at += 1;
        }
        let code = bytes[*at];
        *at += 1;
        if code != 0 {
            return Some(code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_stream_is_complete() {
        let jpeg = tintype_testkit::image::jpeg(40, 30, 1);
        assert!(Markers::read(&jpeg).complete);
        for end in 2..jpeg.len() {
            assert!(!Markers::read(&jpeg[..end]).complete, "cut at {end} of {}", jpeg.len());
        }
    }

    #[test]
    fn bytes_after_the_end_and_a_marker_inside_a_segment_do_not_matter() {
        let mut jpeg = tintype_testkit::image::jpeg(40, 30, 1);
        jpeg.extend(b"trailer \xff\xd8\xff");
        assert!(Markers::read(&jpeg).complete);
        let comment = [&jpeg[..2], b"\xff\xfe\0\x04\xff\xd9"].concat();
        assert!(!Markers::read(&comment).complete);
    }
}
