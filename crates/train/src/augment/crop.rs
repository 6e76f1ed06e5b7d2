//! Which part of an image is seen: torchvision's `RandomResizedCrop` and `RandomCrop`.

use rand::RngExt;
use rand::rngs::StdRng;
use tintype_core::image::{Picture, Region, Size};

use super::random::uniform;

/// Draws after which `RandomResizedCrop` takes the middle.
const TRIES: usize = 10;

/// A part of random area and aspect ratio (`RandomResizedCrop.get_params`): the area is uniform in `scale`, the
/// ratio's logarithm in `ratio`'s. Where none fits after ten draws it is the middle, as large as the ratio allows.
pub(super) fn region(size: Size, scale: [f64; 2], ratio: [f64; 2], rng: &mut StdRng) -> Region {
    let Size { width, height } = size;
    let area = f64::from(width) * f64::from(height);
    for _ in 0..TRIES {
        let target = area * uniform(rng, scale);
        let aspect = uniform(rng, ratio.map(f64::ln)).exp();
        // Casts of floats saturate.
        let w = (target * aspect).sqrt().round_ties_even() as u32;
        let h = (target / aspect).sqrt().round_ties_even() as u32;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let y = rng.random_range(0..=height - h);
            return Region { x: rng.random_range(0..=width - w), y, width: w, height: h };
        }
    }
    let [narrowest, widest] = ratio;
    let whole = f64::from(width) / f64::from(height);
    let side = |length: f64, most: u32| (length.round_ties_even() as u32).clamp(1, most);
    let (w, h) = if whole < narrowest {
        (width, side(f64::from(width) / narrowest, height))
    } else if whole > widest {
        (side(f64::from(height) * widest, width), height)
    } else {
        (width, height)
    };
    Region { x: (width - w) / 2, y: (height - h) / 2, width: w, height: h }
}

/// A part of the picture's own size, of the picture with `padding` black pixels on every side.
pub(super) fn padded(picture: &Picture, padding: usize, rng: &mut StdRng) -> Picture {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let (left, top) = (rng.random_range(0..=2 * padding), rng.random_range(0..=2 * padding));
    let mut data = vec![0; picture.data.len()];
    // Where source and result overlap: result x is source x + left - padding.
    let columns = padding.saturating_sub(left)..width.min((width + padding).saturating_sub(left));
    for (y, row) in data.chunks_exact_mut(width * 3).enumerate() {
        let source = (y + top).checked_sub(padding).filter(|&s| s < height);
        if let Some(source) = source.filter(|_| !columns.is_empty()) {
            let from = (source * width + columns.start + left - padding) * 3;
            let length = columns.len() * 3;
            row[columns.start * 3..][..length].copy_from_slice(&picture.data[from..from + length]);
        }
    }
    Picture { data, ..*picture }
}

#[cfg(test)]
mod tests {
    use super::super::random::{Moment, Stream};
    use super::*;

    fn rng() -> StdRng {
        Moment { seed: 5, epoch: 1 }.generator(Stream::Image, 0)
    }

    #[test]
    fn areas_and_ratios_are_spread_as_asked() {
        let (mut rng, size) = (rng(), Size { width: 400, height: 400 });
        let (scale, ratio) = ([0.1, 0.5], [0.5, 2.0]);
        let drawn: Vec<Region> = (0..4000).map(|_| region(size, scale, ratio, &mut rng)).collect();
        let areas: Vec<f64> = drawn.iter().map(|r| f64::from(r.width * r.height) / 160_000.0).collect();
        let logs: Vec<f64> = drawn.iter().map(|r| (f64::from(r.width) / f64::from(r.height)).ln()).collect();
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        // Nothing is refused here: both are uniform. Five standard errors.
        assert!((mean(&areas) - 0.3).abs() < 5.0 * 0.4 / (12.0f64 * 4000.0).sqrt(), "{}", mean(&areas));
        assert!(mean(&logs).abs() < 5.0 * 1.386 / (12.0f64 * 4000.0).sqrt(), "{}", mean(&logs));
        assert!(areas.iter().all(|&a| a > 0.097 && a < 0.503) && logs.iter().all(|&l| l.abs() < 0.71));
        let quarter = areas.iter().filter(|&&a| a < 0.2).count();
        assert!((850..1150).contains(&quarter), "{quarter} of 4000 in the first quarter");
        let right = drawn.iter().filter(|r| r.x > (400 - r.width) / 2).count();
        assert!((1850..2150).contains(&right), "{right} of 4000 right of the middle");
        assert!(drawn.iter().all(|r| r.x + r.width <= 400 && r.y + r.height <= 400));
    }

    #[test]
    fn where_nothing_fits_it_is_the_middle() {
        let ratio = [3.0 / 4.0, 4.0 / 3.0];
        let table = [
            ((300, 10), Region { x: 143, y: 0, width: 13, height: 10 }),
            ((10, 300), Region { x: 0, y: 143, width: 10, height: 13 }),
        ];
        for ((width, height), expected) in table {
            assert_eq!(region(Size { width, height }, [1.0, 1.0], ratio, &mut rng()), expected);
        }
        let one = region(Size { width: 1, height: 1 }, [0.08, 1.0], ratio, &mut rng());
        assert_eq!((one.width, one.height), (1, 1));
    }

    #[test]
    fn a_padded_crop_is_the_picture_moved_over_black() {
        let picture = Picture { width: 3, height: 2, data: (1..=18).collect() };
        let at = |p: &Picture, x: i64, y: i64| {
            let inside = (0..3).contains(&x) && (0..2).contains(&y);
            if inside { p.data[(y * 3 + x) as usize * 3] } else { 0 }
        };
        let mut seen = std::collections::BTreeSet::new();
        let mut rng = rng();
        for _ in 0..2000 {
            let moved = padded(&picture, 4, &mut rng);
            let fits = |dx: i64, dy: i64| {
                let places = (0..2).flat_map(|y| (0..3).map(move |x| (x, y)));
                places.clone().all(|(x, y)| at(&moved, x, y) == at(&picture, x + dx, y + dy))
            };
            let found =
                (-4..=4).flat_map(|dx| (-4..=4).map(move |dy| (dx, dy))).find(|&(dx, dy)| fits(dx, dy));
            seen.insert(found.expect("a move of at most 4 pixels"));
        }
        // Moves of 3 and more across or 2 and more down show black alone, and are one of 81; 15 show something.
        assert_eq!(seen.len(), 16);
        assert_eq!(padded(&picture, 0, &mut rng), picture);
    }
}
