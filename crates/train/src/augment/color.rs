//! Brightness, contrast, saturation and sharpness: Pillow's `ImageEnhance`.
//!
//! Each mixes the picture with a poorer one: black, an even grey, its own greys, or a blurred copy. A factor of 0 is the
//! poor one, 1 the picture, more exaggerates.

use tintype_core::image::Picture;

/// Towards black.
pub(super) fn brightness(picture: &mut Picture, factor: f64) {
    by_table(picture, |v| blend(0, v, factor as f32));
}

/// Towards the mean of the greys.
pub(super) fn contrast(picture: &mut Picture, factor: f64) {
    let pixels = picture.data.chunks_exact(3);
    let count = pixels.len().max(1) as f64;
    let mean = pixels.map(|p| f64::from(luma(p))).sum::<f64>() / count;
    let mean = (mean + 0.5) as u8;
    by_table(picture, |v| blend(mean, v, factor as f32));
}

/// Towards the greys.
pub(super) fn saturation(picture: &mut Picture, factor: f64) {
    for pixel in picture.data.chunks_exact_mut(3) {
        let gray = luma(pixel);
        pixel.iter_mut().for_each(|v| *v = blend(gray, *v, factor as f32));
    }
}

/// Towards Pillow's `SMOOTH`: the mean of 3×3 pixels in which the middle counts five times. The frame stays.
pub(super) fn sharpness(picture: &mut Picture, factor: f64) {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let source = picture.data.clone();
    let stride = width * 3;
    for y in 1..height.saturating_sub(1) {
        for i in 3..stride.saturating_sub(3) {
            let at = y * stride + i;
            let around: u32 = [at - stride, at, at + stride]
                .iter()
                .map(|&c| u32::from(source[c - 3]) + u32::from(source[c]) + u32::from(source[c + 3]))
                .sum();
            let smooth = (around + 4 * u32::from(source[at]) + 6) / 13;
            picture.data[at] = blend(smooth as u8, source[at], factor as f32);
        }
    }
}

/// `Image.convert("L")`.
fn luma(pixel: &[u8]) -> u8 {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16) as u8
}

/// `Image.blend`, which truncates. Casts of floats saturate as Pillow clips.
fn blend(poor: u8, rich: u8, factor: f32) -> u8 {
    (f32::from(poor) + factor * (f32::from(rich) - f32::from(poor))) as u8
}

fn by_table(picture: &mut Picture, of: impl Fn(u8) -> u8) {
    let table: [u8; 256] = std::array::from_fn(|v| of(v as u8));
    picture.data.iter_mut().for_each(|v| *v = table[usize::from(*v)]);
}
