//! Turning hues: torchvision's `adjust_hue` on Pillow's 8-bit HSV.

use tintype_core::image::Picture;

/// Turns every hue by `turn` of a circle, -0.5..=0.5.
pub(super) fn turn(picture: &mut Picture, turn: f64) {
    let step = (turn * 255.0) as i32 as u8;
    for pixel in picture.data.chunks_exact_mut(3) {
        let [h, s, v] = to_hsv([pixel[0], pixel[1], pixel[2]]);
        pixel.copy_from_slice(&to_rgb([h.wrapping_add(step), s, v]));
    }
}

/// Pillow's `rgb2hsv_row` (its `Convert.c`), in floats of the same width. Casts of floats saturate.
fn to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    if most == least {
        return [0, 0, most];
    }
    let range = f32::from(most - least);
    let [rc, gc, bc] = [r, g, b].map(|v| f32::from(most - v) / range);
    let hue = if r == most {
        bc - gc
    } else if g == most {
        (2.0 + f64::from(rc) - f64::from(bc)) as f32
    } else {
        (4.0 + f64::from(gc) - f64::from(rc)) as f32
    };
    let hue = ((f64::from(hue) / 6.0 + 1.0) % 1.0) as f32;
    let saturation = range / f32::from(most);
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, most]
}

/// Pillow's `hsv2rgb`.
fn to_rgb([h, s, v]: [u8; 3]) -> [u8; 3] {
    if s == 0 {
        return [v; 3];
    }
    let sixths = f64::from(h) * 6.0 / 255.0;
    let part = (sixths - sixths.floor()) as f32;
    let saturation = (f64::from(s) / 255.0) as f32;
    let level = |share: f32| (f64::from(v) * (1.0 - f64::from(share))).round() as u8;
    let p = level(saturation);
    let q = level(saturation * part);
    let t = (f64::from(v) * (1.0 - f64::from(saturation) * (1.0 - f64::from(part)))).round() as u8;
    match sixths as u8 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}
