//! Hostile and oversized pictures are refused for the right reason, before they cost anything.

use tintype_core::image::{Format, Limits, decode, dimensions};
use tintype_core::{ErrorKind, Exif, Plan, PreprocessSpec, Resize, Scratch};
use tintype_testkit::image::{encode, jpeg, jpeg_with_orientation, png};

fn kind(bytes: &[u8], limits: &Limits) -> ErrorKind {
    decode(bytes, Exif::Apply, limits).expect_err("a refusal").kind()
}

#[test]
fn what_is_not_an_image_is_told_from_what_is_damaged() {
    let limits = Limits::default();
    for bytes in [b"".as_slice(), b"\xff", b"GIF", b"<html>", b"\0\0\0\x1cftypavif"] {
        assert_eq!(kind(bytes, &limits), ErrorKind::NotAnImage, "{bytes:?}");
    }
    for bytes in
        [b"\xff\xd8\xff".as_slice(), b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"RIFF\0\0\0\0WEBP"]
    {
        assert_eq!(kind(bytes, &limits), ErrorKind::CorruptImage, "{bytes:?}");
    }
}

#[test]
fn encoded_bytes_are_counted_first() {
    let limits = Limits { max_bytes: 100, ..Limits::default() };
    assert_eq!(kind(&jpeg(64, 64, 1), &limits), ErrorKind::PayloadTooLarge);
    assert_eq!(kind(&[0; 101], &limits), ErrorKind::PayloadTooLarge);
}

#[test]
fn pixels_are_counted_from_the_header() {
    use image::ImageFormat::{Bmp, Gif, Tiff, WebP};
    let limits = Limits { max_pixels: 64 * 64 - 1, ..Limits::default() };
    let enough = Limits { max_pixels: 64 * 64, ..Limits::default() };
    let mut pictures = vec![jpeg(64, 64, 1), png(64, 64, 1)];
    pictures.extend([Bmp, Gif, Tiff, WebP].map(|format| encode(64, 64, 1, format)));
    for bytes in pictures {
        let format = Format::sniff(&bytes).unwrap();
        assert_eq!(kind(&bytes, &limits), ErrorKind::ImageTooLarge, "{format:?}");
        assert!(decode(&bytes, Exif::Apply, &enough).is_ok(), "{format:?}");
    }
}

/// 60,000 × 60,000 pixels announced by a few bytes: nothing of that size may be allocated.
#[test]
fn announced_giants_cost_nothing() {
    let mut bytes = jpeg(64, 64, 1);
    let sof = bytes.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    bytes[sof + 5..sof + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    let limits = Limits::default();
    assert_eq!(kind(&bytes, &limits), ErrorKind::ImageTooLarge);
    let unlimited = Limits { max_pixels: u64::MAX, ..limits };
    assert_eq!(kind(&bytes, &unlimited), ErrorKind::ImageTooLarge, "memory");
    assert!(dimensions(&bytes, Exif::Apply, &unlimited).is_ok());
}

#[test]
fn decode_memory_is_limited() {
    let limits = Limits { max_memory: 10_000, ..Limits::default() };
    for bytes in [jpeg(64, 64, 1), png(64, 64, 1), encode(64, 64, 1, image::ImageFormat::WebP)] {
        assert_eq!(kind(&bytes, &limits), ErrorKind::ImageTooLarge);
    }
}

/// A progressive picture keeps all coefficients: 2 bytes for each of 3 × 1024 × 1024 samples, beside 3 MiB of pixels.
#[test]
fn progressive_jpegs_count_their_coefficients() {
    let bytes = include_bytes!("data/pixels/decode/wide_progressive.jpg");
    let pixels = 317 * 203 * 3;
    let limits = Limits { max_memory: pixels + 100, ..Limits::default() };
    // What is left is rounded up to a MiB, which this small picture fits.
    assert!(decode(bytes, Exif::Apply, &limits).is_ok());
    assert_eq!(kind(bytes, &Limits { max_memory: pixels - 1, ..limits }), ErrorKind::ImageTooLarge);
}

/// Repeating the last scan is cheap to send and costs a pass over the picture each time.
#[test]
fn progressive_jpegs_have_few_scans() {
    let bytes = include_bytes!("data/pixels/decode/wide_progressive.jpg");
    let last = bytes.windows(2).rposition(|w| w == [0xff, 0xda]).unwrap();
    let scan = &bytes[last..bytes.len() - 2];
    let mut bomb = bytes[..bytes.len() - 2].to_vec();
    for _ in 0..200 {
        bomb.extend_from_slice(scan);
    }
    bomb.extend([0xff, 0xd9]);
    let error = decode(&bomb, Exif::Apply, &Limits::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageTooLarge, "{error}");
    assert!(error.message().contains("scans"), "{error}");
}

/// One pixel by many: the shorter side decides, and the longer one would become enormous.
#[test]
fn thin_strips_do_not_grow_beyond_bounds() {
    let strip = encode(1, 4000, 1, image::ImageFormat::Png);
    let spec = PreprocessSpec { resize: Some(Resize::Shorter(256)), ..PreprocessSpec::default() };
    let limits = Limits { max_pixels: 1_000_000, max_memory: 8 << 20, ..Limits::default() };
    let plan = Plan::new(spec.clone(), limits).unwrap();
    let error = plan.prepare(&strip, &mut Scratch::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageTooLarge, "{error}");
    // With a crop only the kept part is computed.
    let plan = Plan::new(PreprocessSpec { crop: Some([32, 32]), ..spec }, limits).unwrap();
    assert_eq!(plan.prepare(&strip, &mut Scratch::new()).unwrap().shape(), [3, 32, 32]);
}

#[test]
fn dimensions_follow_the_orientation() {
    let sideways = jpeg_with_orientation(&jpeg(40, 30, 1), 6);
    let size = |exif| {
        let size = dimensions(&sideways, exif, &Limits::default()).unwrap();
        [size.width, size.height]
    };
    assert_eq!((size(Exif::Apply), size(Exif::Ignore)), ([30, 40], [40, 30]));
}
