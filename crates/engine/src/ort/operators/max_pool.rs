//! The gradient of two-dimensional max pooling.

use ort::value::TensorElementType::Float32;
use tintype_core::Result;

use super::kernel::{Attributes, Call, Kernel, Like, Type};
use super::phases::Window;
use super::threads::{Threads, chunks, misfit, require_len};
use super::wide::wide;

/// `MaxPoolGrad(dy, x[N,C,H,W], y; kernel_shape, strides = 1, pads = 0: ints) → dx[N,C,H,W]`
///
/// Each element of `dy` goes to the first maximum of its window in row-major order, as in PyTorch. `pads` are ONNX's
/// `[top, left, bottom, right]`; windows that `ceil_mode` lets reach beyond the padding are cut. No dilation.
pub(super) struct MaxPoolGrad {
    window: Window,
}

impl Kernel for MaxPoolGrad {
    const NAME: &'static str = "MaxPoolGrad";
    const INPUTS: &'static [Type] = &[Float32; 3];
    const OUTPUTS: usize = 1;

    fn new(attributes: &Attributes) -> Result<Self> {
        Ok(Self { window: Window::new(attributes)? })
    }

    fn output_like(_: usize) -> Like {
        Like::Input(1)
    }

    fn compute(&self, call: &Call) -> Result<()> {
        let (dy, x, y) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let mut dx = call.output(0, &x.shape())?;
        let sizes = Sizes::new(&x.shape(), &y.shape())?;
        let forward = Forward { dy: dy.f32s()?, x: x.f32s()?, y: y.f32s()? };
        self.apply(call.threads(), sizes, forward, dx.f32s()?)
    }
}

/// Height and width of `x` and of `y`, and how many planes there are.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    planes: usize,
    x: [usize; 2],
    y: [usize; 2],
}

impl Sizes {
    fn new(x: &[usize], y: &[usize]) -> Result<Self> {
        match (x, y) {
            (&[n, c, h, w], &[yn, yc, yh, yw]) if (n, c) == (yn, yc) => {
                Ok(Self { planes: n * c, x: [h, w], y: [yh, yw] })
            }
            _ => Err(misfit(format!("expected `x` and `y` of shape [N, C, H, W], found {x:?} and {y:?}"))),
        }
    }
}

/// Input and output of the pooling, and the gradient of its output; whole or one plane.
#[derive(Clone, Copy)]
struct Forward<'a> {
    dy: &'a [f32],
    x: &'a [f32],
    y: &'a [f32],
}

impl MaxPoolGrad {
    fn apply(&self, threads: &dyn Threads, sizes: Sizes, forward: Forward, dx: &mut [f32]) -> Result<()> {
        let ([h, w], [yh, yw]) = (sizes.x, sizes.y);
        let (plane, pooled) = (h * w, yh * yw);
        require_len("`dx`", dx.len(), sizes.planes * plane)?;
        require_len("`x`", forward.x.len(), sizes.planes * plane)?;
        require_len("`y`", forward.y.len(), sizes.planes * pooled)?;
        require_len("`dy`", forward.dy.len(), sizes.planes * pooled)?;
        let halves = Window { kernel: [2, 2], strides: [2, 2], pads: [0, 0] };
        let fast = self.window == halves && yh == h / 2 && yw == w / 2;
        chunks(threads, dx, plane, |index, dx| {
            let one = Forward {
                dy: &forward.dy[index * pooled..][..pooled],
                x: &forward.x[index * plane..][..plane],
                y: &forward.y[index * pooled..][..pooled],
            };
            if fast { plane_of_halves(dx, one, sizes) } else { self.plane(dx, one, sizes) }
        })
    }

    fn plane(&self, dx: &mut [f32], forward: Forward, sizes: Sizes) {
        let ([h, w], [yh, yw]) = (sizes.x, sizes.y);
        dx.fill(0.0);
        for i in 0..yh {
            for j in 0..yw {
                let (max, gradient) = (forward.y[i * yw + j], forward.dy[i * yw + j]);
                let mut window = self.window.cells([i, j], [h, w]).map(|(row, column)| row * w + column);
                // A NaN is the maximum of its window; it equals nothing.
                let first = window.find(|&at| forward.x[at] == max || forward.x[at].is_nan());
                if let Some(at) = first {
                    dx[at] += gradient;
                }
            }
        }
    }
}

impl Window {
    /// The cells of `x` under the window at `[i, j]` of `y`, in row-major order.
    fn cells(self, at: [usize; 2], size: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
        let range = |axis: usize| {
            let start = at[axis] * self.strides[axis];
            let end = (start + self.kernel[axis]).saturating_sub(self.pads[axis]).min(size[axis]);
            start.saturating_sub(self.pads[axis])..end
        };
        let (rows, columns) = (range(0), range(1));
        rows.flat_map(move |row| columns.clone().map(move |column| (row, column)))
    }
}

/// Windows of 2×2 that touch but do not overlap: every cell of `dx` is written once, without a branch.
fn plane_of_halves(dx: &mut [f32], forward: Forward, sizes: Sizes) {
    let ([_, w], [yh, yw]) = (sizes.x, sizes.y);
    if yw == 0 {
        dx.fill(0.0);
        return;
    }
    let (pooled, rest) = dx.split_at_mut(2 * yh * w);
    let rows = pooled.chunks_exact_mut(2 * w).zip(forward.x.chunks_exact(2 * w));
    let pooled_rows = forward.y.chunks_exact(yw).zip(forward.dy.chunks_exact(yw));
    for ((dx, x), (y, dy)) in rows.zip(pooled_rows) {
        row_of_halves(dx, Forward { dy, x, y });
    }
    rest.fill(0.0);
}

wide! {
    /// Two rows of `x` and `dx`, one of `y` and `dy`.
    fn row_of_halves(dx: &mut [f32], row: Forward) {
        let w = dx.len() / 2;
        let (dx0, dx1) = dx.split_at_mut(w);
        let (x0, x1) = row.x.split_at(w);
        let ((dx0, edge0), (dx1, edge1)) = (dx0.as_chunks_mut::<2>(), dx1.as_chunks_mut::<2>());
        let ((x0, _), (x1, _)) = (x0.as_chunks::<2>(), x1.as_chunks::<2>());
        for (((((dx0, dx1), x0), x1), y), dy) in dx0.iter_mut().zip(dx1).zip(x0).zip(x1).zip(row.y).zip(row.dy) {
            // `|`, not `||`: without branches the loop vectorises.
            let a = x0[0] == *y;
            let b = x0[1] == *y;
            let c = x1[0] == *y;
            let d = x1[1] == *y;
            let pick = |hit: bool| if hit { *dy } else { 0.0 };
            *dx0 = [pick(a), pick(b & !a)];
            *dx1 = [pick(c & !(a | b)), pick(d & !(a | b | c))];
        }
        edge0.fill(0.0);
        edge1.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::threads::TestThreads;
    use super::*;

    /// Pools and differentiates by the definition: every window is a list of values.
    fn reference(window: Window, sizes: Sizes, x: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let ([h, w], [yh, yw]) = (sizes.x, sizes.y);
        let (mut y, mut dx) = (Vec::new(), vec![0.0; x.len()]);
        for (at, gradient) in dy.iter().enumerate() {
            let (plane, i, j) = (at / (yh * yw), at / yw % yh, at % yw);
            let mut best: Option<usize> = None;
            for a in 0..window.kernel[0] {
                for b in 0..window.kernel[1] {
                    let row = (i * window.strides[0] + a) as isize - window.pads[0] as isize;
                    let column = (j * window.strides[1] + b) as isize - window.pads[1] as isize;
                    if (0..h as isize).contains(&row) && (0..w as isize).contains(&column) {
                        let cell = plane * h * w + row as usize * w + column as usize;
                        best = Some(best.filter(|&best| x[best] >= x[cell]).unwrap_or(cell));
                    }
                }
            }
            y.push(x[best.unwrap()]);
            dx[best.unwrap()] += gradient;
        }
        (y, dx)
    }

    #[test]
    fn gradients_go_to_the_first_maximum() {
        let window = |kernel, strides, pads| Window { kernel, strides, pads };
        let halves = window([2, 2], [2, 2], [0, 0]);
        let cases = [
            ("halves", halves, [6, 8], [3, 4]),
            ("halves of odd sizes", halves, [7, 5], [3, 2]),
            ("halves, narrow", halves, [2, 1], [1, 0]),
            ("halves, ceil_mode", halves, [5, 5], [3, 3]),
            ("overlap", window([3, 3], [2, 2], [1, 1]), [8, 7], [4, 4]),
            ("stride 1", window([2, 3], [1, 1], [0, 0]), [4, 5], [3, 3]),
            ("gaps", window([1, 2], [3, 2], [0, 1]), [7, 6], [3, 4]),
            ("whole", window([4, 5], [1, 1], [0, 0]), [4, 5], [1, 1]),
        ];
        for (name, window, x, y) in cases {
            let sizes = Sizes { planes: 3, x, y };
            // Few different values, so that most windows have several maxima.
            let input: Vec<f32> = (0..3 * x[0] * x[1]).map(|i| ((i * i * 7 + i) % 4) as f32 - 2.0).collect();
            let dy: Vec<f32> = (0..3 * y[0] * y[1]).map(|i| 1.0 + i as f32).collect();
            let (pooled, expected) = reference(window, sizes, &input, &dy);
            let mut dx = vec![f32::NAN; input.len()];
            let forward = Forward { dy: &dy, x: &input, y: &pooled };
            MaxPoolGrad { window }.apply(&TestThreads, sizes, forward, &mut dx).unwrap();
            assert_eq!(dx, expected, "{name}");
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        assert!(Sizes::new(&[1, 2, 4, 4], &[1, 3, 2, 2]).is_err());
        assert!(Sizes::new(&[1, 2, 4], &[1, 2, 2]).is_err());
        let window = Window { kernel: [2, 2], strides: [2, 2], pads: [0, 0] };
        let forward = Forward { dy: &[0.0; 4], x: &[0.0; 16], y: &[0.0; 3] };
        let sizes = Sizes { planes: 1, x: [4, 4], y: [2, 2] };
        assert!(MaxPoolGrad { window }.apply(&TestThreads, sizes, forward, &mut [0.0; 16]).is_err());
    }
}
