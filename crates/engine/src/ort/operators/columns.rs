//! Pictures as the columns of a matrix, one row for each tap of a convolution's kernels.

use ort::value::TensorElementType::Float32;
use tintype_core::Result;

use super::kernel::{Attributes, Call, Kernel, Like, Type};
use super::threads::{Threads, chunks, misfit, require_len};

/// `Columns(x[N,C,H,W]; kernel_shape, strides = 1, dilations = 1, pads = 0: ints, images: int = 0) → columns`
///
/// Row `c·kh·kw + a·kw + b` holds `x[n,c, i·s+a·d-p, j·s+b·d-p]` for every place of the window, with zeros around `x`:
/// `columns[C·kh·kw, N·H'·W']`, or with `images = 1` a matrix an image, `columns[N, C·kh·kw, H'·W']`. `pads` are ONNX's
/// `[top, left, bottom, right]`. A product with it is a convolution's weight gradient in the weights' own layout; ONNX's
/// `Pad`, `Slice` for each tap and `Concat` would write every element twice.
pub(super) struct Columns {
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    pads: [usize; 4],
    images: bool,
}

impl Kernel for Columns {
    const NAME: &'static str = "Columns";
    const INPUTS: &'static [Type] = &[Float32];
    const OUTPUTS: usize = 1;

    fn new(attributes: &Attributes) -> Result<Self> {
        let columns = Self {
            kernel: attributes.sizes("kernel_shape", None)?,
            strides: attributes.sizes("strides", Some(1))?,
            dilations: attributes.sizes("dilations", Some(1))?,
            pads: attributes.sizes("pads", Some(0))?,
            images: attributes.flag("images"),
        };
        if [columns.kernel, columns.strides, columns.dilations].as_flattened().contains(&0) {
            return Err(misfit("`kernel_shape`, `strides` and `dilations` must be at least 1"));
        }
        Ok(columns)
    }

    fn output_like(_: usize) -> Like {
        Like::Unknown
    }

    fn compute(&self, call: &Call) -> Result<()> {
        let x = call.input(0)?;
        let sizes = self.sizes(&x.shape())?;
        let (rows, places) = (sizes.channels * self.taps(), sizes.y[0] * sizes.y[1]);
        let shape =
            if self.images { vec![sizes.images, rows, places] } else { vec![rows, sizes.images * places] };
        let mut y = call.output(0, &shape)?;
        self.apply(call.threads(), sizes, x.f32s()?, y.f32s()?)
    }
}

#[derive(Debug, Clone, Copy)]
struct Sizes {
    images: usize,
    channels: usize,
    x: [usize; 2],
    /// How many places the window has, down and across.
    y: [usize; 2],
}

impl Columns {
    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn sizes(&self, x: &[usize]) -> Result<Sizes> {
        let &[images, channels, height, width] = x else {
            return Err(misfit(format!("expected `x` of shape [N, C, H, W], found {x:?}")));
        };
        let mut y = [0; 2];
        for (i, size) in [height, width].into_iter().enumerate() {
            let spanned = self.dilations[i] * (self.kernel[i] - 1) + 1;
            let room = (size + self.pads[i] + self.pads[2 + i]).checked_sub(spanned);
            y[i] = room.ok_or_else(|| misfit(format!("a window of {spanned} does not fit `x` of {x:?}")))?
                / self.strides[i]
                + 1;
        }
        Ok(Sizes { images, channels, x: [height, width], y })
    }

    fn apply(&self, threads: &dyn Threads, sizes: Sizes, x: &[f32], y: &mut [f32]) -> Result<()> {
        let (plane, places, taps) = (sizes.x[0] * sizes.x[1], sizes.y[0] * sizes.y[1], self.taps());
        require_len("`x`", x.len(), sizes.images * sizes.channels * plane)?;
        require_len("`columns`", y.len(), sizes.images * sizes.channels * taps * places)?;
        if y.is_empty() {
            return Ok(());
        }
        if self.images {
            return chunks(threads, y, taps * places, |at, y| {
                for (tap, y) in y.chunks_exact_mut(places).enumerate() {
                    self.shift(sizes, tap, &x[at * plane..][..plane], y);
                }
            });
        }
        chunks(threads, y, taps * sizes.images * places, |channel, y| {
            // Image by image, so that a plane is in the cache for all its taps.
            for image in 0..sizes.images {
                let plane = &x[(image * sizes.channels + channel) * plane..][..plane];
                for tap in 0..taps {
                    self.shift(sizes, tap, plane, &mut y[(tap * sizes.images + image) * places..][..places]);
                }
            }
        })
    }

    /// One plane as one tap sees it.
    fn shift(&self, sizes: Sizes, tap: usize, plane: &[f32], y: &mut [f32]) {
        let [down, right] = self.strides;
        let (a, b) = (tap / self.kernel[1] * self.dilations[0], tap % self.kernel[1] * self.dilations[1]);
        let width = sizes.x[1];
        // The places whose pixel is in the picture; before and after them are zeros.
        let first = self.pads[1].saturating_sub(b).div_ceil(right).min(sizes.y[1]);
        let end = (width + self.pads[1]).saturating_sub(b).div_ceil(right).clamp(first, sizes.y[1]);
        for (i, y) in y.chunks_exact_mut(sizes.y[1]).enumerate() {
            let row = (i * down + a).checked_sub(self.pads[0]).filter(|&row| row < sizes.x[0]);
            let Some(row) = row.filter(|_| first < end) else {
                y.fill(0.0);
                continue;
            };
            let pixels = &plane[row * width..][..width][first * right + b - self.pads[1]..];
            y[..first].fill(0.0);
            y[end..].fill(0.0);
            let y = &mut y[first..end];
            if right == 1 {
                y.copy_from_slice(&pixels[..y.len()]);
            } else {
                y.iter_mut().zip(pixels.iter().step_by(right)).for_each(|(y, pixel)| *y = *pixel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::threads::TestThreads;
    use super::*;

    #[test]
    fn columns_are_those_of_the_definition() {
        let plain = || Columns {
            kernel: [3, 3],
            strides: [1, 1],
            dilations: [1, 1],
            pads: [1, 1, 1, 1],
            images: false,
        };
        for (name, columns, x) in [
            ("3x3", plain(), [4, 5]),
            ("an image at a time", Columns { images: true, ..plain() }, [4, 5]),
            (
                "5x2, strides",
                Columns { kernel: [5, 2], strides: [2, 3], pads: [2, 0, 1, 1], ..plain() },
                [7, 8],
            ),
            ("dilations", Columns { dilations: [2, 3], pads: [2, 3, 2, 3], images: true, ..plain() }, [5, 7]),
            ("more zeros than picture", Columns { pads: [4, 4, 4, 4], strides: [2, 2], ..plain() }, [1, 2]),
        ] {
            let sizes = columns.sizes(&[2, 3, x[0], x[1]]).unwrap();
            let input: Vec<f32> = (1..=6 * x[0] * x[1]).map(|i| i as f32).collect();
            let (taps, places) = (columns.taps(), sizes.y[0] * sizes.y[1]);
            let mut found = vec![f32::NAN; 6 * taps * places];
            columns.apply(&TestThreads, sizes, &input, &mut found).unwrap();
            for (at, &found) in found.iter().enumerate() {
                let (row, image, place) = if columns.images {
                    (at / places % (3 * taps), at / places / (3 * taps), at % places)
                } else {
                    (at / places / 2, at / places % 2, at % places)
                };
                let (channel, tap) = (row / taps, row % taps);
                let pixel = |place: usize, tap: usize, i: usize| {
                    (place * columns.strides[i] + tap * columns.dilations[i]).wrapping_sub(columns.pads[i])
                };
                let h = pixel(place / sizes.y[1], tap / columns.kernel[1], 0);
                let w = pixel(place % sizes.y[1], tap % columns.kernel[1], 1);
                let inside = h < x[0] && w < x[1];
                let expected =
                    if inside { input[((image * 3 + channel) * x[0] + h) * x[1] + w] } else { 0.0 };
                assert_eq!(found, expected, "{name}: row {row}, image {image}, place {place}");
            }
        }
    }

    #[test]
    fn a_window_that_does_not_fit_is_an_error() {
        let columns =
            Columns { kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [0; 4], images: false };
        assert!(columns.sizes(&[1, 1, 2, 5]).is_err());
        assert!(columns.sizes(&[1, 2, 5]).is_err());
    }
}
