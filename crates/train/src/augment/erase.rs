//! Random erasing (Zhong et al. 2017) with torchvision's `RandomErasing` defaults: on normalised numbers, with 0.

use rand::RngExt;
use rand::rngs::StdRng;
use tintype_core::Layout;
use tintype_core::image::{Region, Size};

use super::random::{chance, uniform};
use crate::config::AugmentConfig;

/// The erased share of the area, from and to.
const SCALE: [f64; 2] = [0.02, 0.33];
/// Height divided by width of what is erased, from and to.
const RATIO: [f64; 2] = [0.3, 3.3];
/// Draws after which nothing is erased.
const TRIES: usize = 10;

/// Sets a random rectangle of the row of an image to 0, in the configured share of images.
pub(super) fn apply(config: &AugmentConfig, layout: Layout, size: Size, row: &mut [f32], rng: &mut StdRng) {
    if chance(rng, config.erase)
        && let Some(region) = region(size, rng)
    {
        each_line(layout, size, region, row.len(), |line| row[line].fill(0.0));
    }
}

fn region(Size { width, height }: Size, rng: &mut StdRng) -> Option<Region> {
    for _ in 0..TRIES {
        let area = f64::from(width) * f64::from(height) * uniform(rng, SCALE);
        let aspect = uniform(rng, RATIO.map(f64::ln)).exp();
        let h = (area * aspect).sqrt().round_ties_even() as u32;
        let w = (area / aspect).sqrt().round_ties_even() as u32;
        if h < height && w < width {
            let y = rng.random_range(0..=height - h);
            return Some(Region { x: rng.random_range(0..=width - w), y, width: w, height: h });
        }
    }
    None
}

/// Calls `each` with the places of a region's numbers in an image's row of `length` numbers, line by line.
pub(super) fn each_line(
    layout: Layout,
    size: Size,
    region: Region,
    length: usize,
    mut each: impl FnMut(std::ops::Range<usize>),
) {
    let plane = size.width as usize * size.height as usize;
    let channels = length / plane.max(1);
    // A line's numbers are next to each other; planar images have one line a channel.
    let (step, planes) = match layout {
        Layout::Nchw => (1, channels),
        Layout::Nhwc => (channels, 1),
    };
    for start in (0..planes).map(|p| p * plane) {
        for y in region.y..region.y + region.height {
            let from = start + (y as usize * size.width as usize + region.x as usize) * step;
            each(from..from + region.width as usize * step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::{Moment, Stream};
    use super::*;

    #[test]
    fn rectangles_are_of_the_asked_area_and_share() {
        let config = AugmentConfig { erase: 0.25, ..AugmentConfig::default() };
        let size = Size { width: 40, height: 30 };
        let mut rng = Moment { seed: 1, epoch: 1 }.generator(Stream::Image, 0);
        let (mut erased, mut areas) = (0, 0.0);
        for round in 0..2000 {
            let layout = if round % 2 == 0 { Layout::Nchw } else { Layout::Nhwc };
            let mut row = vec![1.0f32; 40 * 30 * 3];
            apply(&config, layout, size, &mut row, &mut rng);
            let zeros = row.iter().filter(|&&v| v == 0.0).count();
            if zeros > 0 {
                erased += 1;
                areas += zeros as f64 / 3600.0;
                // All three channels of a pixel are erased or none.
                let of = |pixel: usize, c: usize| match layout {
                    Layout::Nchw => row[c * 1200 + pixel],
                    Layout::Nhwc => row[pixel * 3 + c],
                };
                assert!((0..1200).all(|p| of(p, 0) == of(p, 1) && of(p, 0) == of(p, 2)));
            }
        }
        assert!((430..570).contains(&erased), "{erased} of 2000");
        // Uniform between 0.02 and 0.33, less the few that do not fit.
        let mean = areas / f64::from(erased);
        assert!((0.155..0.185).contains(&mean), "{mean}");
    }
}
