//! An image in a `BYTES` element: the file's bytes, or base64 text of them.

use crate::image::Format;
use crate::{Error, ErrorKind, Result};

/// The encoded file. Bytes that begin as an image are taken as they are; else they must be base64 text, which may stand in
/// a `data:` URL and have line breaks.
///
/// # Errors
/// `NotAnImage` naming the row.
pub(super) fn decode(bytes: Vec<u8>, row: usize) -> Result<Vec<u8>> {
    if Format::sniff(&bytes).is_some() {
        return Ok(bytes);
    }
    let not_an_image = || {
        Error::new(
            ErrorKind::NotAnImage,
            format!("element {row} is neither an encoded image nor base64 text of one"),
        )
    };
    bytes_of_text(&bytes).ok_or_else(not_an_image)
}

/// The bytes of a file that came as base64 text, which may stand in a `data:` URL and have line breaks; `None` for
/// other text, and for none.
pub fn bytes_of_text(text: &[u8]) -> Option<Vec<u8>> {
    base64_simd::forgiving_decode_to_vec(payload(text)).ok().filter(|decoded| !decoded.is_empty())
}

/// The text after `data:…;base64,`, or all of it.
fn payload(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    if !text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"data:")) {
        return text;
    }
    memchr::memchr(b',', text).map_or(text, |comma| &text[comma + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_text_of_them() {
        let gif = b"GIF89a\x01\x00\x01\x00".to_vec();
        let text = base64_simd::STANDARD.encode_to_string(&gif);
        let unpadded = text.trim_end_matches('=').to_owned();
        let broken = format!(" {}\r\n{}\n", &text[..6], &text[6..]);
        for given in [
            gif.clone(),
            text.clone().into_bytes(),
            unpadded.into_bytes(),
            broken.into_bytes(),
            format!("data:image/gif;base64,{text}").into_bytes(),
            format!("DATA:;base64,{text}").into_bytes(),
        ] {
            assert_eq!(decode(given.clone(), 0).unwrap(), gif, "{}", String::from_utf8_lossy(&given));
        }
        for given in [&b""[..], b"  ", b"not base64!", b"data:image/gif;base64", b"\xff\x00"] {
            let error = decode(given.to_vec(), 3).expect_err("no image");
            assert_eq!(error.kind(), ErrorKind::NotAnImage);
            assert!(error.message().contains("element 3"), "{error}");
        }
    }
}
