//! The gradients of ReLU and HardSwish.

use std::marker::PhantomData;

use ort::value::TensorElementType::Float32;
use tintype_core::Result;

use super::kernel::{Attributes, Call, Kernel, Like, Type};
use super::threads::{Threads, chunks, require_len};
use super::wide::wide;

/// How an activation's gradient follows, place by place, from its output's and from what the activation took or gave.
pub(super) trait Slope: Send + Sync + 'static {
    /// The operator's name in the domain.
    const NAME: &'static str;

    /// Fills `dx`, all of one length.
    fn fill(dx: &mut [f32], dy: &[f32], of: &[f32]);
}

/// `ReluGrad(dy, y) → dx`: `dx = dy` where `y > 0`, else 0. `y` is ReLU's output (or input, which has the same sign).
pub(super) struct Relu;

impl Slope for Relu {
    const NAME: &'static str = "ReluGrad";

    fn fill(dx: &mut [f32], dy: &[f32], y: &[f32]) {
        relu(dx, dy, y);
    }
}

/// `HardSwishGrad(dy, x) → dx`: `dx = dy` times 0 for `x < -3`, 1 for `x > 3`, and `x / 3 + 1 / 2` between.
pub(super) struct HardSwish;

impl Slope for HardSwish {
    const NAME: &'static str = "HardSwishGrad";

    fn fill(dx: &mut [f32], dy: &[f32], x: &[f32]) {
        hard_swish(dx, dy, x);
    }
}

/// The gradient operator of an activation.
pub(super) struct ActivationGrad<S>(PhantomData<S>);

impl<S: Slope> Kernel for ActivationGrad<S> {
    const NAME: &'static str = S::NAME;
    const INPUTS: &'static [Type] = &[Float32; 2];
    const OUTPUTS: usize = 1;

    fn new(_: &Attributes) -> Result<Self> {
        Ok(Self(PhantomData))
    }

    fn output_like(_: usize) -> Like {
        Like::Input(1)
    }

    fn compute(&self, call: &Call) -> Result<()> {
        let (dy, of) = (call.input(0)?, call.input(1)?);
        let mut dx = call.output(0, &of.shape())?;
        apply::<S>(call.threads(), dy.f32s()?, of.f32s()?, dx.f32s()?)
    }
}

/// Elements a thread does at a time: 64 KiB of each tensor, which fits the second-level cache.
const CHUNK: usize = 16 << 10;

fn apply<S: Slope>(threads: &dyn Threads, dy: &[f32], of: &[f32], dx: &mut [f32]) -> Result<()> {
    require_len("`dy`", dy.len(), dx.len())?;
    require_len("the activation", of.len(), dx.len())?;
    chunks(threads, dx, CHUNK, |index, dx| {
        let start = index * CHUNK;
        S::fill(dx, &dy[start..][..dx.len()], &of[start..][..dx.len()]);
    })
}

wide! {
    fn relu(dx: &mut [f32], dy: &[f32], y: &[f32]) {
        for ((dx, dy), y) in dx.iter_mut().zip(dy).zip(y) {
            *dx = if *y <= 0.0 { 0.0 } else { *dy };
        }
    }
}

wide! {
    fn hard_swish(dx: &mut [f32], dy: &[f32], x: &[f32]) {
        for ((dx, dy), x) in dx.iter_mut().zip(dy).zip(x) {
            let between = *x * (1.0 / 3.0) + 0.5;
            let slope = if *x < -3.0 { 0.0 } else if *x > 3.0 { 1.0 } else { between };
            *dx = *dy * slope;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::threads::TestThreads;
    use super::*;

    #[test]
    fn the_gradient_passes_where_the_output_is_positive() {
        let y: Vec<f32> = (0..3 * CHUNK + 5).map(|i| ((i * 7) % 5) as f32 - 2.0).collect();
        let dy: Vec<f32> = (0..y.len()).map(|i| i as f32).collect();
        let mut dx = vec![f32::NAN; y.len()];
        apply::<Relu>(&TestThreads, &dy, &y, &mut dx).unwrap();
        for i in 0..y.len() {
            assert_eq!(dx[i], if y[i] > 0.0 { dy[i] } else { 0.0 }, "{i}");
        }
    }

    #[test]
    fn hard_swish_has_three_slopes() {
        let x = [-4.0, -3.0, -1.5, 0.0, 1.5, 3.0, 4.0];
        let mut dx = [f32::NAN; 7];
        apply::<HardSwish>(&TestThreads, &[2.0; 7], &x, &mut dx).unwrap();
        // Of PyTorch's `hardswish`, but for the corners, where it takes the one or the other side.
        tintype_testkit::assert_close(&dx, &[0.0, -1.0, 0.0, 1.0, 2.0, 3.0, 2.0], 1e-6);
    }

    #[test]
    fn different_lengths_are_an_error() {
        assert!(apply::<Relu>(&TestThreads, &[0.0; 2], &[0.0; 3], &mut [0.0; 3]).is_err());
    }
}
