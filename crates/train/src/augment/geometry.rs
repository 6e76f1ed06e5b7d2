//! Mirroring, in place.

use tintype_core::image::Picture;

/// Left becomes right.
pub(super) fn mirror(picture: &mut Picture) {
    for row in picture.data.chunks_exact_mut(picture.width as usize * 3) {
        let (pixels, _) = row.as_chunks_mut::<3>();
        pixels.reverse();
    }
}

/// Top becomes bottom.
pub(super) fn turn_over(picture: &mut Picture) {
    let (stride, height) = (picture.width as usize * 3, picture.height as usize);
    let (upper, lower) = picture.data.split_at_mut(height.div_ceil(2) * stride);
    let lower_rows = lower.chunks_exact_mut(stride).rev();
    upper.chunks_exact_mut(stride).zip(lower_rows).for_each(|(a, b)| a.swap_with_slice(b));
}
