//! The weight gradient of a convolution of few channels.

use ort::value::TensorElementType::Float32;
use tintype_core::Result;

use super::correlate::{LANES, PLANES, together};
use super::kernel::{Attributes, Call, Kernel, Like, Type};
use super::phases::{Phases, Window};
use super::threads::{Threads, chunks, misfit, require_len};
use super::wide::total;

/// Images whose products are summed in `f32`, on one thread, before they are in `f64`. What is added to what must not depend on
/// the number of threads.
const TOGETHER: usize = 8;

/// `ConvGradWeight(x[N,C,H,W], dy[N,O,H',W']; kernel_shape, strides = 1, pads = 0: ints) → dw[O,C,kh,kw]`
///
/// `dw[o,c,a,b] = Σ dy[n,o,i,j] · x[n,c, i·s+a-p, j·s+b-p]`, with zeros around `x`. `pads` are ONNX's
/// `[top, left, bottom, right]`. No dilation, no groups. With few channels the matrix of [`super::columns`] takes longer to
/// write than the product with it; here every plane is multiplied where it is.
pub(super) struct ConvGradWeight {
    window: Window,
}

impl Kernel for ConvGradWeight {
    const NAME: &'static str = "ConvGradWeight";
    const INPUTS: &'static [Type] = &[Float32; 2];
    const OUTPUTS: usize = 1;

    fn new(attributes: &Attributes) -> Result<Self> {
        Ok(Self { window: Window::new(attributes)? })
    }

    fn output_like(_: usize) -> Like {
        Like::Unknown
    }

    fn compute(&self, call: &Call) -> Result<()> {
        let (x, dy) = (call.input(0)?, call.input(1)?);
        let sizes = Sizes::new(&x.shape(), &dy.shape())?;
        let [kh, kw] = self.window.kernel;
        let mut dw = call.output(0, &[sizes.outputs, sizes.channels, kh, kw])?;
        self.apply(call.threads(), sizes, [x.f32s()?, dy.f32s()?], dw.f32s()?)
    }
}

#[derive(Debug, Clone, Copy)]
struct Sizes {
    images: usize,
    channels: usize,
    outputs: usize,
    x: [usize; 2],
    dy: [usize; 2],
}

impl Sizes {
    fn new(x: &[usize], dy: &[usize]) -> Result<Self> {
        match (x, dy) {
            (&[images, channels, h, w], &[rows, outputs, dh, dw]) if images == rows => {
                Ok(Self { images, channels, outputs, x: [h, w], dy: [dh, dw] })
            }
            _ => Err(misfit(format!("expected `x` and `dy` of shape [N, C, H, W], found {x:?} and {dy:?}"))),
        }
    }
}

impl ConvGradWeight {
    fn apply(&self, threads: &dyn Threads, sizes: Sizes, [x, dy]: [&[f32]; 2], dw: &mut [f32]) -> Result<()> {
        let Sizes { images, channels, outputs, .. } = sizes;
        let (plane, out) = (sizes.x[0] * sizes.x[1], sizes.dy[0] * sizes.dy[1]);
        let taps = self.window.kernel[0] * self.window.kernel[1];
        require_len("`x`", x.len(), images * channels * plane)?;
        require_len("`dy`", dy.len(), images * outputs * out)?;
        require_len("`dw`", dw.len(), outputs * channels * taps)?;
        let mut parts = vec![0.0; images.div_ceil(TOGETHER) * dw.len()];
        chunks(threads, &mut parts, dw.len(), |part, dw| {
            let first = part * TOGETHER;
            let images = first..images.min(first + TOGETHER);
            let x = &x[images.start * channels * plane..images.end * channels * plane];
            let dy = &dy[images.start * outputs * out..images.end * outputs * out];
            self.sum(Sizes { images: images.len(), ..sizes }, [x, dy], dw);
        })?;
        for (index, dw) in dw.iter_mut().enumerate() {
            let parts = parts.iter().skip(index).step_by(outputs * channels * taps);
            *dw = parts.map(|&part| f64::from(part)).sum::<f64>() as f32;
        }
        Ok(())
    }

    /// The gradient of some images.
    fn sum(&self, sizes: Sizes, [x, dy]: [&[f32]; 2], dw: &mut [f32]) {
        let (plane, out) = (sizes.x[0] * sizes.x[1], sizes.dy[0] * sizes.dy[1]);
        let mut phases = Phases::new(self.window, sizes.x, sizes.dy);
        let taps = self.window.kernel[0] * self.window.kernel[1];
        let places: Vec<usize> = (0..taps).map(|tap| phases.place(tap)).collect();
        let (length, groups) = (phases.spread(sizes.dy), sizes.outputs.div_ceil(PLANES));
        // Of the planes that make the last group whole nothing is ever read but zeros.
        let mut wide = vec![0.0; groups * PLANES * length];
        let mut lanes = vec![[[0.0; LANES]; PLANES]; sizes.channels * groups * taps];
        for image in 0..sizes.images {
            for output in 0..sizes.outputs {
                let wide = wide[output * length..][..length].chunks_exact_mut(phases.width.max(1));
                let dy = dy[(image * sizes.outputs + output) * out..][..out].chunks_exact(sizes.dy[1].max(1));
                wide.zip(dy).for_each(|(wide, dy)| wide[..dy.len()].copy_from_slice(dy));
            }
            for channel in 0..sizes.channels {
                phases.fill(&x[(image * sizes.channels + channel) * plane..][..plane], sizes.x[1]);
                for group in 0..groups {
                    let planes = std::array::from_fn(|p| &wide[(group * PLANES + p) * length..][..length]);
                    let sums = &mut lanes[(channel * groups + group) * taps..][..taps];
                    together(sums, planes, &phases.values, &places);
                }
            }
        }
        for (index, dw) in dw.iter_mut().enumerate() {
            let (output, channel, tap) =
                (index / taps / sizes.channels, index / taps % sizes.channels, index % taps);
            let sums = &lanes[(channel * groups + output / PLANES) * taps + tap];
            *dw = total(&sums[output % PLANES]) as f32;
        }
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
            ("2x1", [2, 1], [1, 1], [0, 0], [3, 4], [2, 4]),
            ("no pads", [2, 4], [1, 3], [0, 0], [5, 11], [4, 3]),
        ];
        for (name, kernel, strides, pads, x, dy) in cases {
            // More images than are summed together, and planes that leave a group incomplete.
            let sizes = Sizes { images: TOGETHER + 2, channels: 2, outputs: PLANES + 1, x, dy };
            let number = |i: usize| ((i * 31 + 7) % 23) as f32 - 11.0;
            let input: Vec<f32> = (0..sizes.images * 2 * x[0] * x[1]).map(number).collect();
            let gradient: Vec<f32> =
                (0..sizes.images * sizes.outputs * dy[0] * dy[1]).map(|i| number(i + 5)).collect();
            let taps = kernel[0] * kernel[1];
            let mut expected = vec![0.0; sizes.outputs * 2 * taps];
            for (at, g) in gradient.iter().enumerate() {
                let (plane, i, j) = (at / (dy[0] * dy[1]), at / dy[1] % dy[0], at % dy[1]);
                let (image, output) = (plane / sizes.outputs, plane % sizes.outputs);
                for index in 0..2 * taps {
                    let (channel, a, b) = (index / taps, index % taps / kernel[1], index % kernel[1]);
                    let row = (i * strides[0] + a).wrapping_sub(pads[0]);
                    let column = (j * strides[1] + b).wrapping_sub(pads[1]);
                    if row < x[0] && column < x[1] {
                        let pixel = input[((image * 2 + channel) * x[0] + row) * x[1] + column];
                        expected[output * 2 * taps + index] += g * pixel;
                    }
                }
            }
            let mut dw = vec![f32::NAN; expected.len()];
            let operator = ConvGradWeight { window: Window { kernel, strides, pads } };
            operator.apply(&TestThreads, sizes, [&input, &gradient], &mut dw).unwrap();
            // Sums of whole numbers below 2²⁴ are exact in any order.
            assert_eq!(dw, expected, "{name}");
        }
    }
}
