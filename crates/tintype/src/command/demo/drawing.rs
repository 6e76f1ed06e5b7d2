//! A data set of ten classes, drawn: five textures that fill the picture, five shapes on a background.
//!
//! Colour, light, position, angle, size and noise are random, so that only the pattern tells the classes apart.

use std::path::Path;

use image::{Rgb, RgbImage, codecs::jpeg::JpegEncoder};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tintype_core::{Error, Result};

/// The classes, as folders are sorted.
pub const CLASSES: [&str; 10] =
    ["bricks", "checks", "cross", "disc", "dots", "rings", "square", "stripes", "triangle", "waves"];

/// How many pictures to draw, how large, from which seed.
#[derive(Debug, Clone, Copy)]
pub struct Drawing {
    /// Pictures in each class.
    pub per_class: usize,
    /// Width and height in pixels; each picture is up to a quarter wider or higher.
    pub size: u32,
    /// The same seed draws the same bytes.
    pub seed: u64,
}

impl Drawing {
    /// Writes `dir/<class>/<class>_0000.jpg` and so on.
    pub fn write(&self, dir: &Path) -> Result<()> {
        for (index, class) in CLASSES.iter().enumerate() {
            let folder = dir.join(class);
            std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
            for number in 0..self.per_class {
                // A seed of its own for each picture: more pictures do not change the first ones.
                let stream = (index * 1_000_000 + number) as u64;
                let mut rng = StdRng::seed_from_u64(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ stream);
                let path = folder.join(format!("{class}_{number:04}.jpg"));
                std::fs::write(&path, self.jpeg(class, &mut rng)).map_err(|e| Error::io(&path, e))?;
            }
        }
        Ok(())
    }

    fn jpeg(&self, class: &str, rng: &mut StdRng) -> Vec<u8> {
        let side = |rng: &mut StdRng| self.size + rng.random_range(0..=self.size / 4);
        let picture = picture(class, side(rng), side(rng), rng);
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, rng.random_range(70..=95))
            .encode_image(&picture)
            .expect("encoding RGB into memory cannot fail");
        bytes
    }
}

fn picture(class: &str, width: u32, height: u32, rng: &mut StdRng) -> RgbImage {
    let ground = [colour(rng), colour(rng)];
    let figure = contrasting(mix(ground[0], ground[1], 0.5), rng);
    let (ground_noise, figure_noise) = (Noise::new(rng), Noise::new(rng));
    let light = (rng.random_range(-0.25..0.25f32), rng.random_range(-0.25..0.25f32));
    let grain = rng.random_range(2.0..10.0f32);

    let angle = rng.random_range(0.0..std::f32::consts::TAU);
    let (sin, cos) = angle.sin_cos();
    let is_shape = matches!(class, "cross" | "disc" | "square" | "triangle" | "rings");
    // Textures repeat 4 to 9 times over the picture; shapes take a half to nine tenths of it.
    let scale = if is_shape { 2.0 / rng.random_range(0.5..0.9f32) } else { rng.random_range(4.0..9.0f32) };
    let reach = if is_shape { 0.12 } else { 0.5 };
    let centre = (rng.random_range(-reach..reach), rng.random_range(-reach..reach));

    let side = width.min(height) as f32;
    RgbImage::from_fn(width, height, |px, py| {
        let x = (px as f32 + 0.5 - width as f32 / 2.0) / side - centre.0;
        let y = (py as f32 + 0.5 - height as f32 / 2.0) / side - centre.1;
        let (u, v) = ((x * cos + y * sin) * scale, (y * cos - x * sin) * scale);
        let cover = smooth(pattern(class, u, v) * side / scale);
        let back = mix(ground[0], ground[1], ground_noise.at(x, y));
        let front = figure.map(|c| c + 50.0 * (figure_noise.at(x, y) - 0.5));
        let shade = 1.0 + light.0 * x * 2.0 + light.1 * y * 2.0;
        let pixel = mix(back, front, cover);
        Rgb(pixel.map(|c| (c * shade + rng.random_range(-grain..grain)).round().clamp(0.0, 255.0) as u8))
    })
}

/// Signed distance, in pattern units, from the edge of the figure at `(u, v)`: above 0 inside.
///
/// Textures have period 1; shapes have radius about 1.
fn pattern(class: &str, u: f32, v: f32) -> f32 {
    /// Distance to the nearest integer, 0..=0.5.
    fn to_grid(t: f32) -> f32 {
        (t - t.round()).abs()
    }
    match class {
        "stripes" => 0.25 - to_grid(u),
        "waves" => 0.25 - to_grid(u + 0.3 * (v * std::f32::consts::PI).sin()),
        "checks" => {
            let (a, b) = (0.25 - to_grid(u * 0.7), 0.25 - to_grid(v * 0.7));
            if (a > 0.0) == (b > 0.0) { a.abs().min(b.abs()) } else { -a.abs().min(b.abs()) }
        }
        "dots" => 0.28 - to_grid(u).hypot(to_grid(v)),
        "bricks" => {
            let row = (v * 1.4).round();
            let shift = if row.rem_euclid(2.0) < 1.0 { 0.0 } else { 0.5 };
            // Mortar runs between the rows and at each brick's end.
            (0.42 - to_grid(v * 1.4)).min(0.44 - to_grid(u * 0.7 + shift))
        }
        "rings" => {
            (0.14 - (u.hypot(v) * 2.0 - (u.hypot(v) * 2.0).round()).abs() / 2.0).min(1.15 - u.hypot(v))
        }
        "disc" => 0.9 - u.hypot(v),
        "square" => 0.8 - u.abs().max(v.abs()),
        "triangle" => {
            let side = |a: f32| 0.5 - (u * a.cos() + v * a.sin());
            side(0.0).min(side(std::f32::consts::TAU / 3.0)).min(side(-std::f32::consts::TAU / 3.0))
        }
        "cross" => {
            let arm = |a: f32, b: f32| (0.28 - a.abs()).min(0.95 - b.abs());
            arm(u, v).max(arm(v, u))
        }
        other => unreachable!("`{other}` is not one of the classes"),
    }
}

/// Coverage of a pixel whose centre lies `distance` pixels inside an edge.
fn smooth(distance: f32) -> f32 {
    (distance + 0.5).clamp(0.0, 1.0)
}

fn mix(a: [f32; 3], b: [f32; 3], t: f32) -> [f32; 3] {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * t)
}

fn colour(rng: &mut StdRng) -> [f32; 3] {
    std::array::from_fn(|_| rng.random_range(20.0..235.0))
}

/// A colour whose brightness differs from `other`'s by at least 70 of 255.
fn contrasting(other: [f32; 3], rng: &mut StdRng) -> [f32; 3] {
    let luma = |c: [f32; 3]| 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2];
    loop {
        let candidate = colour(rng);
        if (luma(candidate) - luma(other)).abs() >= 70.0 {
            return candidate;
        }
    }
}

/// Soft blotches: a sum of a few sine waves of random direction and phase.
struct Noise([[f32; 3]; 4]);

impl Noise {
    fn new(rng: &mut StdRng) -> Self {
        Self(std::array::from_fn(|i| {
            let frequency = (i + 1) as f32 * 3.0;
            let angle = rng.random_range(0.0..std::f32::consts::TAU);
            [frequency * angle.cos(), frequency * angle.sin(), rng.random_range(0.0..std::f32::consts::TAU)]
        }))
    }

    /// 0..=1.
    fn at(&self, x: f32, y: f32) -> f32 {
        let sum: f32 = self.0.iter().map(|[fx, fy, phase]| (fx * x + fy * y + phase).sin()).sum();
        0.5 + sum / 8.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_bytes() {
        let drawing = Drawing { per_class: 1, size: 32, seed: 7 };
        for class in CLASSES {
            let draw = |seed| drawing.jpeg(class, &mut StdRng::seed_from_u64(seed));
            assert_eq!(draw(1), draw(1), "{class}");
            assert_ne!(draw(1), draw(2), "{class}");
        }
    }

    #[test]
    fn every_pattern_has_an_inside_and_an_outside() {
        for class in CLASSES {
            let points = (0..400).map(|i| ((i % 20) as f32 / 10.0 - 1.0, (i / 20) as f32 / 10.0 - 1.0));
            let inside = points.filter(|&(u, v)| pattern(class, u, v) > 0.0).count();
            assert!((20..380).contains(&inside), "{class}: {inside} of 400 points are inside");
        }
    }
}
