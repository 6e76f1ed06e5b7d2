//! Small encoded pictures, drawn from a seed: the same arguments always give the same bytes.
//!
//! The drawing is photo-like on purpose (soft gradients, blobs, fine grain), so that lossy coding, resampling and
//! chroma handling all have something to do. Reference pictures of odd formats are not made here; the crates that need
//! them keep them beside the script that made them.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

/// An 8-bit RGB picture of `width` × `height`, rows from the top.
pub fn rgb(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut noise = Noise(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let slopes: [f32; 6] = std::array::from_fn(|_| noise.unit() * 2.0 - 1.0);
    let blobs: [[f32; 6]; 5] = std::array::from_fn(|_| std::array::from_fn(|_| noise.unit()));
    let (w, h) = (width.max(1) as f32, height.max(1) as f32);
    RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (x as f32 / w, y as f32 / h);
        let grain = (noise.unit() - 0.5) * 24.0;
        let mut pixel = [0u8; 3];
        for (c, value) in pixel.iter_mut().enumerate() {
            let mut level =
                128.0 + 90.0 * (slopes[2 * c] * (u - 0.5) + slopes[2 * c + 1] * (v - 0.5)) + grain;
            for blob in &blobs {
                let distance = (u - blob[0]).powi(2) + (v - blob[1]).powi(2);
                level += 160.0 * (blob[3 + c] - 0.5) * (-distance * (20.0 + 200.0 * blob[2])).exp();
            }
            *value = level.clamp(0.0, 255.0) as u8;
        }
        image::Rgb(pixel)
    })
}

/// The picture as a JPEG of quality 90.
pub fn jpeg(width: u32, height: u32, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90)
        .encode_image(&rgb(width, height, seed))
        .expect("a picture in memory always encodes");
    bytes
}

/// The picture as a PNG.
pub fn png(width: u32, height: u32, seed: u64) -> Vec<u8> {
    encode(width, height, seed, ImageFormat::Png)
}

/// The picture in any format that the `image` crate writes.
///
/// # Panics
/// When it does not write `format`.
pub fn encode(width: u32, height: u32, seed: u64, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    rgb(width, height, seed).write_to(&mut bytes, format).expect("a picture in memory always encodes");
    bytes.into_inner()
}

/// `jpeg` with an EXIF segment that says `orientation` (1..=8).
pub fn jpeg_with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], &exif, &jpeg[2..]].concat()
}

/// xorshift64*.
struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1u64 << 24) as f32
    }
}
