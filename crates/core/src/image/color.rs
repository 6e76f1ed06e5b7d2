//! Pillow's arithmetic for `convert("RGB")` and `convert("L")` (its `Convert.c`), to the bit.

/// One CMYK pixel, 0 = no ink.
pub(super) fn cmyk_to_rgb([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = 255 - u32::from(k);
    [c, m, y].map(|ink| (light - divide_by_255(u32::from(ink) * light)) as u8)
}

/// `round(x / 255)`, exact for products of two bytes.
fn divide_by_255(x: u32) -> u32 {
    let x = x + 128;
    ((x >> 8) + x) >> 8
}

/// A 16-bit grey sample as Pillow's mode `I;16` clips it: 255 and more is white.
pub(super) fn clip_u16(value: u16) -> u8 {
    value.min(255) as u8
}

/// The grey byte of every RGB pixel, packed at the front of `pixels`, which shrinks to a third.
pub(crate) fn luma_in_place(pixels: &mut Vec<u8>) {
    let count = pixels.len() / 3;
    for i in 0..count {
        let [r, g, b] = [pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]].map(u32::from);
        pixels[i] = ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8;
    }
    pixels.truncate(count);
}

/// Every grey sample as an RGB pixel.
pub(super) fn spread_gray(samples: impl ExactSizeIterator<Item = u8>, out: &mut [u8]) {
    for (pixel, value) in out.chunks_exact_mut(3).zip(samples) {
        pixel.fill(value);
    }
}

/// The first three of every `channels` samples.
pub(super) fn take_rgb(samples: &[u8], channels: usize, out: &mut [u8]) {
    for (pixel, sample) in out.chunks_exact_mut(3).zip(samples.chunks_exact(channels)) {
        pixel.copy_from_slice(&sample[..3]);
    }
}
