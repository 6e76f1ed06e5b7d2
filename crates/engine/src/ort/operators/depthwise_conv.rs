//! Depthwise convolution.

use ort::value::TensorElementType::Float32;
use tintype_core::Result;

use super::kernel::{Attributes, Call, Kernel, Like, Type};
use super::phases::{BLOCK, Phases, Window};
use super::threads::{Threads, chunks, misfit, require_len};
use super::wide::wide;

/// `DepthwiseConv(x[N,C,H,W], w[C,1,kh,kw]; kernel_shape, strides = 1, pads = 0: ints) → y[N,C,H',W']`
///
/// `y[n,c,i,j] = Σ w[c,0,a,b] · x[n,c, i·s+a-p, j·s+b-p]`, with zeros around `x`. `pads` are ONNX's
/// `[top, left, bottom, right]`. No dilation. ONNX Runtime takes many times as long for windows beyond 3×3, for which
/// it lays out every window of every channel.
pub(super) struct DepthwiseConv {
    kernel: [usize; 2],
    strides: [usize; 2],
    /// ONNX's `[top, left, bottom, right]`.
    pads: [usize; 4],
}

impl Kernel for DepthwiseConv {
    const NAME: &'static str = "DepthwiseConv";
    const INPUTS: &'static [Type] = &[Float32; 2];
    const OUTPUTS: usize = 1;

    fn new(attributes: &Attributes) -> Result<Self> {
        let kernel = attributes.sizes("kernel_shape", None)?;
        let strides: [usize; 2] = attributes.sizes("strides", Some(1))?;
        if strides.contains(&0) {
            return Err(misfit("`strides` must be at least 1"));
        }
        Ok(Self { kernel, strides, pads: attributes.sizes("pads", Some(0))? })
    }

    fn output_like(_: usize) -> Like {
        Like::Unknown
    }

    fn compute(&self, call: &Call) -> Result<()> {
        let (x, w) = (call.input(0)?, call.input(1)?);
        let shape = x.shape();
        let &[rows, channels, height, width] = &shape[..] else {
            return Err(misfit(format!("expected `x` of shape [N, C, H, W], found {shape:?}")));
        };
        let y = self.output([height, width])?;
        let mut out = call.output(0, &[rows, channels, y[0], y[1]])?;
        let pictures = [rows, channels, height, width];
        self.apply(call.threads(), pictures, [x.f32s()?, w.f32s()?], out.f32s()?)
    }
}

impl DepthwiseConv {
    /// The size of the output for pictures of this size.
    fn output(&self, x: [usize; 2]) -> Result<[usize; 2]> {
        let side = |axis: usize| {
            let padded = x[axis] + self.pads[axis] + self.pads[axis + 2];
            let room = padded.checked_sub(self.kernel[axis]).filter(|_| self.kernel[axis] > 0);
            room.map(|room| room / self.strides[axis] + 1)
        };
        side(0)
            .zip(side(1))
            .map(|(height, width)| [height, width])
            .ok_or_else(|| misfit(format!("a window of {:?} does not fit pictures of {x:?}", self.kernel)))
    }

    fn apply(
        &self,
        threads: &dyn Threads,
        [rows, channels, height, width]: [usize; 4],
        [x, w]: [&[f32]; 2],
        y: &mut [f32],
    ) -> Result<()> {
        let to = self.output([height, width])?;
        let (plane, out, taps) = (height * width, to[0] * to[1], self.kernel[0] * self.kernel[1]);
        require_len("`x`", x.len(), rows * channels * plane)?;
        require_len("`w`", w.len(), channels * taps)?;
        require_len("`y`", y.len(), rows * channels * out)?;
        chunks(threads, y, channels * out, |row, y| {
            let [top, left, ..] = self.pads;
            let window = Window { kernel: self.kernel, strides: self.strides, pads: [top, left] };
            let mut phases = Phases::new(window, [height, width], to);
            let mut wide = vec![0.0; phases.spread(to)];
            let mut weights = vec![(0, 0.0); taps];
            for (channel, y) in y.chunks_exact_mut(out).enumerate() {
                let at = row * channels + channel;
                phases.fill(&x[at * plane..][..plane], width);
                for (tap, weight) in weights.iter_mut().enumerate() {
                    *weight = (phases.place(tap), w[channel * taps + tap]);
                }
                weigh(&mut wide, &phases.values, &weights);
                for (y, wide) in y.chunks_exact_mut(to[1]).zip(wide.chunks_exact(phases.width)) {
                    y.copy_from_slice(&wide[..to[1]]);
                }
            }
        })
    }
}

wide! {
    /// `out[k] = Σ weight · x[place + k]`, a block at a time, in registers
    fn weigh(out: &mut [f32], x: &[f32], weights: &[(usize, f32)]) {
        for (k, block) in out.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            let mut sums = [0.0; BLOCK];
            for &(place, weight) in weights {
                let x = &x[place + k * BLOCK..][..BLOCK];
                for i in 0..BLOCK {
                    sums[i] += weight * x[i];
                }
            }
            *block = sums;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::threads::TestThreads;
    use super::*;

    #[test]
    fn results_are_those_of_the_definition() {
        let cases = [
            ("3x3", [3, 3], [1, 1], [1; 4], [6, 7]),
            ("5x3 stride 2", [5, 3], [2, 2], [2, 1, 2, 1], [9, 8]),
            ("more padding below", [5, 5], [2, 2], [1, 1, 2, 2], [8, 8]),
            ("wide", [5, 5], [1, 1], [2; 4], [2, 70]),
            ("1x1", [1, 1], [1, 1], [0; 4], [3, 4]),
            ("strides beyond the window", [2, 1], [3, 4], [0; 4], [11, 9]),
            ("all padding at one side", [2, 3], [1, 1], [0, 2, 1, 0], [4, 3]),
        ];
        for (name, kernel, strides, pads, x) in cases {
            let op = DepthwiseConv { kernel, strides, pads };
            let y = op.output(x).unwrap();
            let number = |i: usize| ((i * 31 + 7) % 23) as f32 - 11.0;
            let input: Vec<f32> = (0..6 * x[0] * x[1]).map(number).collect();
            let weights: Vec<f32> = (0..3 * kernel[0] * kernel[1]).map(|i| number(i + 5)).collect();
            let at = |plane: usize, row: usize, column: usize| {
                let (row, column) = (row.wrapping_sub(pads[0]), column.wrapping_sub(pads[1]));
                if row < x[0] && column < x[1] { input[(plane * x[0] + row) * x[1] + column] } else { 0.0 }
            };
            let mut expected = Vec::new();
            for place in 0..6 * y[0] * y[1] {
                let (plane, i, j) = (place / (y[0] * y[1]), place / y[1] % y[0], place % y[1]);
                let taps = (0..kernel[0]).flat_map(|a| (0..kernel[1]).map(move |b| (a, b)));
                expected.push(taps.fold(0.0, |sum, (a, b)| {
                    let weight = weights[(plane % 3 * kernel[0] + a) * kernel[1] + b];
                    sum + weight * at(plane, i * strides[0] + a, j * strides[1] + b)
                }));
            }
            let mut found = vec![f32::NAN; expected.len()];
            op.apply(&TestThreads, [2, 3, x[0], x[1]], [&input, &weights], &mut found).unwrap();
            // Sums of whole numbers below 2²⁴ are exact in any order.
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_window_that_does_not_fit_is_refused() {
        let op = DepthwiseConv { kernel: [5, 5], strides: [1, 1], pads: [1; 4] };
        assert!(op.output([2, 9]).is_err());
    }
}
