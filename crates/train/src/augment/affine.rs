//! Shear, shift and rotation by the nearest pixel over black: Pillow's `Image.transform` and `Image.rotate`.

use tintype_core::image::Picture;

/// Where a pixel of the result comes from: `(a·x + b·y + c, d·x + e·y + f)`, in pixels whose centres are at halves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine([f64; 6]);

impl Affine {
    /// torchvision's `affine(shear=[degrees(atan(slope)), 0], center=[0, 0])`.
    pub fn shear_x(slope: f64) -> Self {
        Self([1.0, slope, 0.0, 0.0, 1.0, 0.0])
    }

    /// The same with `[0, degrees(atan(slope))]`.
    pub fn shear_y(slope: f64) -> Self {
        Self([1.0, 0.0, 0.0, slope, 1.0, 0.0])
    }

    /// `translate=[x, y]`, in whole pixels.
    pub fn shift(x: i32, y: i32) -> Self {
        Self([1.0, 0.0, -f64::from(x), 0.0, 1.0, -f64::from(y)])
    }

    /// `Image.rotate(degrees)`: counter-clockwise about the middle of a picture.
    pub fn rotation(degrees: f64, picture: &Picture) -> Self {
        let (sin, cos) = (-degrees.rem_euclid(360.0).to_radians()).sin_cos();
        let (x, y) = (f64::from(picture.width) / 2.0, f64::from(picture.height) / 2.0);
        Self([cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y])
    }

    /// The transformed picture, of the same size. Coordinates are added up in steps of 2^-16 of a pixel, as Pillow does.
    pub fn apply(self, picture: &Picture) -> Picture {
        let fixed = |v: f64| (v * 65_536.0 + 0.5).floor() as i64;
        let [a, b, c, d, e, f] = self.0;
        let (width, height) = (i64::from(picture.width), i64::from(picture.height));
        let mut start = [fixed(c + 0.5 * a + 0.5 * b), fixed(f + 0.5 * d + 0.5 * e)];
        let mut data = vec![0; picture.data.len()];
        for row in data.chunks_exact_mut(picture.width as usize * 3) {
            let [mut x, mut y] = start;
            for pixel in row.chunks_exact_mut(3) {
                let (column, line) = (x >> 16, y >> 16);
                if (0..width).contains(&column) && (0..height).contains(&line) {
                    let from = (line * width + column) as usize * 3;
                    pixel.copy_from_slice(&picture.data[from..from + 3]);
                }
                x += fixed(a);
                y += fixed(d);
            }
            start[0] += fixed(b);
            start[1] += fixed(e);
        }
        Picture { data, ..*picture }
    }
}
