//! The weight gradient of a depthwise convolution.

use ort::value::TensorElementType::Float32;
use tintype_core::Result;

use super::correlate::{LANES, alone};
use super::kernel::{Attributes, Call, Kernel, Like, Type};
use super::phases::{Phases, Window};
use super::threads::{Threads, chunks, misfit, require_len};
use super::wide::total;

/// Planes whose products are summed in `f32` before they are in `f64`.
const TOGETHER: usize = 8;

/// `DepthwiseConvGradWeight(x[N,C,H,W], dy[N,C,H',W']; kernel_shape, strides = 1, pads = 0: ints) → dw[C,1,kh,kw]`
///
/// `dw[c,0,a,b] = Σ dy[n,c,i,j] · x[n,c, i·s+a-p, j·s+b-p]`, with zeros around `x`. `pads` are ONNX's
/// `[top, left, bottom, right]`. No dilation. ONNX's own way, a convolution with one group a channel and the batch
/// as its channels, has nothing to share and takes many times as long.
pub(super) struct DepthwiseConvGradWeight {
    window: Window,
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
        Ok(Self { window: Window { kernel, strides, pads: [top, left] } })
    }

    fn output_like(_: usize) -> Like {
        Like::Unknown
    }

    fn compute(&self, call: &Call) -> Result<()> {
        let (x, dy) = (call.input(0)?, call.input(1)?);
        let sizes = Sizes::new(&x.shape(), &dy.shape())?;
        let [kh, kw] = self.window.kernel;
        let mut dw = call.output(0, &[sizes.channels, 1, kh, kw])?;
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
        let taps = self.window.kernel[0] * self.window.kernel[1];
        require_len("`x`", x.len(), sizes.rows * sizes.channels * plane)?;
        require_len("`dy`", dy.len(), sizes.rows * sizes.channels * out)?;
        require_len("`dw`", dw.len(), sizes.channels * taps)?;
        if taps == 0 {
            return Ok(());
        }
        chunks(threads, dw, taps, |channel, dw| {
            let mut phases = Phases::new(self.window, sizes.x, sizes.dy);
            let places: Vec<usize> = (0..taps).map(|tap| phases.place(tap)).collect();
            let mut wide = vec![0.0; phases.spread(sizes.dy)];
            let mut lanes = vec![[0.0; LANES]; taps];
            let mut sums = vec![0.0; taps];
            for row in 0..sizes.rows {
                let at = row * sizes.channels + channel;
                phases.fill(&x[at * plane..][..plane], sizes.x[1]);
                let dy = dy[at * out..][..out].chunks_exact(sizes.dy[1].max(1));
                for (wide, dy) in wide.chunks_exact_mut(phases.width.max(1)).zip(dy) {
                    wide[..dy.len()].copy_from_slice(dy);
                }
                alone(&mut lanes, &wide, &phases.values, &places);
                if (row + 1) % TOGETHER == 0 || row + 1 == sizes.rows {
                    for (sum, lanes) in sums.iter_mut().zip(&mut lanes) {
                        *sum += total(lanes);
                        *lanes = [0.0; LANES];
                    }
                }
            }
            for (dw, sum) in dw.iter_mut().zip(sums) {
                *dw = sum as f32;
            }
        })
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
            let operator = DepthwiseConvGradWeight { window: Window { kernel, strides, pads } };
            operator.apply(&TestThreads, sizes, [&input, &gradient], &mut dw).unwrap();
            // Sums of whole numbers below 2²⁴ are exact in any order.
            assert_eq!(dw, expected, "{name}");
        }
    }
}
