//! The weight gradient of a depthwise convolution.

use ort::value::TensorElementType::Float32;
use tintype_core::Result;

use super::kernel::{Attributes, Call, Kernel, Like, Type};
use super::threads::{Threads, chunks, misfit, require_len};
use super::wide::{LANES, total, wide};

/// `DepthwiseConvGradWeight(x[N,C,H,W], dy[N,C,H',W']; kernel_shape, strides = 1, pads = 0: ints) → dw[C,1,kh,kw]`
///
/// `dw[c,0,a,b] = Σ dy[n,c,i,j] · x[n,c, i·s+a-p, j·s+b-p]`, with zeros around `x`. `pads` are ONNX's
/// `[top, left, bottom, right]`. No dilation. ONNX's own way, a convolution with one group a channel and the batch
/// as its channels, has nothing to share and takes many times as long.
pub(super) struct DepthwiseConvGradWeight {
    kernel: [usize; 2],
    strides: [usize; 2],
    /// Above and to the left; what is below and to the right shows in the size of `dy`.
    pads: [usize; 2],
}

impl Kernel for DepthwiseConvGradWeight {
    const NAME: &'static str = "DepthwiseConvGradWeight";
    const INPUTS: &'static [Type] = &[Float32; 2];
    const OUTPUTS: usize = 1;

    fn new(attributes: &Attributes) -> Result<Self> {
        let [top, left, ..] = attributes.sizes::<4>("pads", Some(0))?;
        let kernel = attributes.sizes("kernel_shape", None)?;
        let strides: [usize; 2] = attributes.sizes("strides", Some(1))?;
        if strides.contains(&0) {
            return Err(misfit("`strides` must be at least 1"));
        }
        Ok(Self { kernel, strides, pads: [top, left] })
    }

    fn output_like(_: usize) -> Like {
        Like::Unknown
    }

    fn compute(&self, call: &Call) -> Result<()> {
        let (x, dy) = (call.input(0)?, call.input(1)?);
        let sizes = Sizes::new(&x.shape(), &dy.shape())?;
        let mut dw = call.output(0, &[sizes.channels, 1, self.kernel[0], self.kernel[1]])?;
        self.apply(call.threads(), sizes, [x.f32s()?, dy.f32s()?], dw.f32s()?)
    }
}

#[derive(Debug, Clone, Copy)]
struct Sizes {
    rows: usize,
    channels: usize,
    x: [usize; 2],
    dy: [usize; 2],
}

impl Sizes {
    fn new(x: &[usize], dy: &[usize]) -> Result<Self> {
        match (x, dy) {
            (&[n, c, h, w], &[dn, dc, dh, dw]) if (n, c) == (dn, dc) => {
                Ok(Self { rows: n, channels: c, x: [h, w], dy: [dh, dw] })
            }
            _ => Err(misfit(format!("expected `x` and `dy` of shape [N, C, H, W], found {x:?} and {dy:?}"))),
        }
    }
}

impl DepthwiseConvGradWeight {
    fn apply(&self, threads: &dyn Threads, sizes: Sizes, [x, dy]: [&[f32]; 2], dw: &mut [f32]) -> Result<()> {
        let (plane, out) = (sizes.x[0] * sizes.x[1], sizes.dy[0] * sizes.dy[1]);
        let taps = self.kernel[0] * self.kernel[1];
        require_len("`x`", x.len(), sizes.rows * sizes.channels * plane)?;
        require_len("`dy`", dy.len(), sizes.rows * sizes.channels * out)?;
        require_len("`dw`", dw.len(), sizes.channels * taps)?;
        if taps == 0 {
            return Ok(());
        }
        chunks(threads, dw, taps, |channel, dw| {
            let mut padded = self.padded(sizes);
            let mut sums = vec![0.0; taps];
            for row in 0..sizes.rows {
                let at = row * sizes.channels + channel;
                padded.fill(&x[at * plane..][..plane], sizes.x[1], self.pads);
                let dy = &dy[at * out..][..out];
                for (tap, sum) in sums.iter_mut().enumerate() {
                    let (a, b) = (tap / self.kernel[1], tap % self.kernel[1]);
                    *sum += self.tap(&padded, dy, sizes.dy[1], [a, b]);
                }
            }
            for (dw, sum) in dw.iter_mut().zip(sums) {
                *dw = sum as f32;
            }
        })
    }

    /// Room for one plane with the zeros that the outermost windows see.
    fn padded(&self, sizes: Sizes) -> Padded {
        let side = |axis: usize| {
            let seen = sizes.dy[axis].saturating_sub(1) * self.strides[axis] + self.kernel[axis];
            // The stride behind the last window makes every row as long as the loop over it wants.
            seen.max(sizes.x[axis] + self.pads[axis]) + self.strides[axis]
        };
        Padded { values: vec![0.0; side(0) * side(1)], width: side(1) }
    }

    /// `Σ dy[i,j] · padded[i·s+a, j·s+b]`
    fn tap(&self, padded: &Padded, dy: &[f32], width: usize, [a, b]: [usize; 2]) -> f64 {
        let [down, right] = self.strides;
        let rows = dy.chunks_exact(width.max(1)).enumerate();
        let rows = rows.map(|(i, dy)| (dy, &padded.values[(i * down + a) * padded.width + b..]));
        let mut lanes = [0.0; LANES];
        for (dy, x) in rows {
            if right == 1 { dot(&mut lanes, dy, x) } else { strided_dot(&mut lanes, dy, x, right) }
        }
        total(&lanes)
    }
}

struct Padded {
    values: Vec<f32>,
    width: usize,
}

impl Padded {
    /// Replaces the plane; the zeros around it stay.
    fn fill(&mut self, plane: &[f32], width: usize, pads: [usize; 2]) {
        for (i, row) in plane.chunks_exact(width.max(1)).enumerate() {
            self.values[(i + pads[0]) * self.width + pads[1]..][..width].copy_from_slice(row);
        }
    }
}

wide! {
    fn dot(lanes: &mut [f32; LANES], a: &[f32], b: &[f32]) {
        let (blocks, rest) = a.as_chunks::<LANES>();
        let (others, other_rest) = b[..a.len()].as_chunks::<LANES>();
        for (a, b) in blocks.iter().zip(others) {
            for i in 0..LANES {
                lanes[i] += a[i] * b[i];
            }
        }
        for ((lane, a), b) in lanes.iter_mut().zip(rest).zip(other_rest) {
            *lane += a * b;
        }
    }
}

fn strided_dot(lanes: &mut [f32; LANES], a: &[f32], b: &[f32], stride: usize) {
    for (i, (a, b)) in a.iter().zip(b.iter().step_by(stride)).enumerate() {
        lanes[i % LANES] += a * b;
    }
}

#[cfg(test)]
mod tests {
    use super::super::threads::TestThreads;
    use super::*;

    #[test]
    fn gradients_are_those_of_the_definition() {
        let cases = [
            ("3x3", [3, 3], [1, 1], [1, 1], [6, 7], [6, 7]),
            ("5x3 stride 2", [5, 3], [2, 2], [2, 1], [9, 8], [5, 4]),
            ("wide", [3, 3], [1, 1], [1, 1], [2, 70], [2, 70]),
            ("1x1", [1, 1], [1, 1], [0, 0], [3, 4], [3, 4]),
            ("no pads", [2, 4], [1, 3], [0, 0], [5, 11], [4, 3]),
        ];
        for (name, kernel, strides, pads, x, dy) in cases {
            let sizes = Sizes { rows: 2, channels: 3, x, dy };
            let number = |i: usize| ((i * 31 + 7) % 23) as f32 - 11.0;
            let input: Vec<f32> = (0..6 * x[0] * x[1]).map(number).collect();
            let gradient: Vec<f32> = (0..6 * dy[0] * dy[1]).map(|i| number(i + 5)).collect();
            let mut expected = vec![0.0; 3 * kernel[0] * kernel[1]];
            for (at, g) in gradient.iter().enumerate() {
                let (plane, i, j) = (at / (dy[0] * dy[1]), at / dy[1] % dy[0], at % dy[1]);
                for a in 0..kernel[0] {
                    for b in 0..kernel[1] {
                        let row = (i * strides[0] + a).wrapping_sub(pads[0]);
                        let column = (j * strides[1] + b).wrapping_sub(pads[1]);
                        if row < x[0] && column < x[1] {
                            let tap = (plane % 3 * kernel[0] + a) * kernel[1] + b;
                            expected[tap] += g * input[(plane * x[0] + row) * x[1] + column];
                        }
                    }
                }
            }
            let mut dw = vec![f32::NAN; expected.len()];
            let operator = DepthwiseConvGradWeight { kernel, strides, pads };
            operator.apply(&TestThreads, sizes, [&input, &gradient], &mut dw).unwrap();
            // Sums of whole numbers below 2²⁴ are exact in any order.
            assert_eq!(dw, expected, "{name}");
        }
    }
}
