//! Changes of levels, each channel by itself: Pillow's `ImageOps`.

use tintype_core::image::Picture;

/// Keeps the highest `bits` bits, 0..=8.
pub(super) fn posterize(picture: &mut Picture, bits: u32) {
    let mask = !((1u32 << 8u32.saturating_sub(bits)) - 1) as u8;
    picture.data.iter_mut().for_each(|v| *v &= mask);
}

/// Inverts the levels from `threshold` on.
pub(super) fn solarize(picture: &mut Picture, threshold: f64) {
    picture.data.iter_mut().filter(|v| f64::from(**v) >= threshold).for_each(|v| *v = 255 - *v);
}

/// Stretches each channel over all levels.
pub(super) fn autocontrast(picture: &mut Picture) {
    by_histogram(picture, |histogram| {
        let darkest = histogram.iter().position(|&n| n > 0)?;
        let brightest = histogram.iter().rposition(|&n| n > 0)?;
        if brightest == darkest {
            return None;
        }
        let scale = 255.0 / (brightest - darkest) as f64;
        let offset = -(darkest as f64) * scale;
        // Casts of floats truncate and saturate, as Pillow does.
        Some(std::array::from_fn(|v| (v as f64 * scale + offset) as u8))
    });
}

/// Spreads each channel's levels so that all are about as frequent.
pub(super) fn equalize(picture: &mut Picture) {
    by_histogram(picture, |histogram| {
        let last = *histogram.iter().rfind(|&&n| n > 0)?;
        let step = (histogram.iter().sum::<u32>() - last) / 255;
        if step == 0 {
            return None;
        }
        let mut below = step / 2;
        Some(std::array::from_fn(|v| {
            let level = (below / step).min(255) as u8;
            below += histogram[v];
            level
        }))
    });
}

/// Exchanges the levels of each channel for those that `table` makes of its histogram; a channel without stays.
fn by_histogram(picture: &mut Picture, table: impl Fn(&[u32; 256]) -> Option<[u8; 256]>) {
    for channel in 0..3 {
        let mut histogram = [0u32; 256];
        picture.data.iter().skip(channel).step_by(3).for_each(|&v| histogram[usize::from(v)] += 1);
        if let Some(table) = table(&histogram) {
            picture.data.iter_mut().skip(channel).step_by(3).for_each(|v| *v = table[usize::from(*v)]);
        }
    }
}
