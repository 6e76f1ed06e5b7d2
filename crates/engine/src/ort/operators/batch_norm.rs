//! Batch normalisation as training does it, alone or with the ReLU behind it, and its gradient.

use ort::value::TensorElementType::Float32;
use tintype_core::Result;

use super::kernel::{Attributes, Call, Kernel, Like, Type};
use super::threads::{Planes, Threads, channels, require_len};
use super::wide::{LANES, sum, total, wide};

/// `BatchNormTrain(x[N,C,…], gamma[C], beta[C]; epsilon = 1e-5, relu = 0) → (y, mean[C], var[C])`
///
/// `y = (x - mean) / sqrt(var + epsilon) · gamma + beta` with the batch's own mean and biased variance, per channel;
/// with `relu = 1`, `y = max(y, 0)`. The variance is computed around the mean in a second pass: one over squares
/// cancels when the mean is large. Sums are lanes of `f32` per plane, added up in `f64`.
pub(super) struct BatchNormTrain {
    epsilon: f32,
    relu: bool,
}

impl Kernel for BatchNormTrain {
    const NAME: &'static str = "BatchNormTrain";
    const INPUTS: &'static [Type] = &[Float32; 3];
    const OUTPUTS: usize = 3;

    fn new(attributes: &Attributes) -> Result<Self> {
        Ok(Self { epsilon: attributes.float("epsilon", 1e-5), relu: attributes.flag("relu") })
    }

    fn output_like(output: usize) -> Like {
        if output == 0 { Like::Input(0) } else { Like::Channels(0) }
    }

    fn compute(&self, call: &Call) -> Result<()> {
        let (x, gamma, beta) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let planes = Planes::of(&x.shape())?;
        let (mut y, mut mean) = (call.output(0, &x.shape())?, call.output(1, &[planes.channels])?);
        let mut var = call.output(2, &[planes.channels])?;
        let input = Affine { x: x.f32s()?, gamma: gamma.f32s()?, beta: beta.f32s()? };
        self.apply(call.threads(), planes, input, [y.f32s()?, mean.f32s()?, var.f32s()?])
    }
}

struct Affine<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
}

impl BatchNormTrain {
    fn apply(
        &self,
        threads: &dyn Threads,
        planes: Planes,
        Affine { x, gamma, beta }: Affine,
        [y, mean, var]: [&mut [f32]; 3],
    ) -> Result<()> {
        require_len("`x`", x.len(), planes.count())?;
        require_len("`gamma`", gamma.len(), planes.channels)?;
        require_len("`beta`", beta.len(), planes.channels)?;
        let count = planes.per_channel() as f64;
        channels(threads, planes, y, [mean, var], |c, y| {
            let mean = planes.of_channel(x, c).map(sum).sum::<f64>() / count;
            let mean = mean as f32;
            let var = planes.of_channel(x, c).map(|x| sum_of_squares(x, mean)).sum::<f64>() / count;
            let scale = gamma[c] / (var as f32 + self.epsilon).sqrt();
            for (row, x) in planes.of_channel(x, c).enumerate() {
                let y = y.plane(row);
                let line = Line { mean, scale, shift: beta[c] };
                if self.relu { normalise::<true>(y, x, line) } else { normalise::<false>(y, x, line) }
            }
            [mean, var as f32]
        })
    }
}

/// `BatchNormTrainGrad(dy, x, y, gamma[C], mean[C], var[C]; epsilon = 1e-5, relu = 0) → (dx, dgamma[C], dbeta[C])`
///
/// The gradient of [`BatchNormTrain`] for its own inputs and outputs; with `relu = 1`, `dy` counts where `y > 0`.
/// Formula: Ioffe and Szegedy 2015, section 3.
pub(super) struct BatchNormTrainGrad {
    epsilon: f32,
    relu: bool,
}

impl Kernel for BatchNormTrainGrad {
    const NAME: &'static str = "BatchNormTrainGrad";
    const INPUTS: &'static [Type] = &[Float32; 6];
    const OUTPUTS: usize = 3;

    fn new(attributes: &Attributes) -> Result<Self> {
        Ok(Self { epsilon: attributes.float("epsilon", 1e-5), relu: attributes.flag("relu") })
    }

    fn output_like(output: usize) -> Like {
        if output == 0 { Like::Input(1) } else { Like::Channels(1) }
    }

    fn compute(&self, call: &Call) -> Result<()> {
        let (dy, x, y) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let (gamma, mean, var) = (call.input(3)?, call.input(4)?, call.input(5)?);
        let planes = Planes::of(&x.shape())?;
        let (mut dx, mut dgamma) = (call.output(0, &x.shape())?, call.output(1, &[planes.channels])?);
        let mut dbeta = call.output(2, &[planes.channels])?;
        let forward = Forward {
            dy: dy.f32s()?,
            x: x.f32s()?,
            y: y.f32s()?,
            gamma: gamma.f32s()?,
            mean: mean.f32s()?,
            var: var.f32s()?,
        };
        self.apply(call.threads(), planes, &forward, [dx.f32s()?, dgamma.f32s()?, dbeta.f32s()?])
    }
}

struct Forward<'a> {
    dy: &'a [f32],
    x: &'a [f32],
    y: &'a [f32],
    gamma: &'a [f32],
    mean: &'a [f32],
    var: &'a [f32],
}

impl BatchNormTrainGrad {
    fn apply(
        &self,
        threads: &dyn Threads,
        planes: Planes,
        forward: &Forward,
        [dx, dgamma, dbeta]: [&mut [f32]; 3],
    ) -> Result<()> {
        for (name, values) in [("`dy`", forward.dy), ("`x`", forward.x), ("`y`", forward.y)] {
            require_len(name, values.len(), planes.count())?;
        }
        for (name, values) in [("`gamma`", forward.gamma), ("`mean`", forward.mean), ("`var`", forward.var)] {
            require_len(name, values.len(), planes.channels)?;
        }
        if self.relu {
            self.fill::<true>(threads, planes, forward, [dx, dgamma, dbeta])
        } else {
            self.fill::<false>(threads, planes, forward, [dx, dgamma, dbeta])
        }
    }

    fn fill<const RELU: bool>(
        &self,
        threads: &dyn Threads,
        planes: Planes,
        forward: &Forward,
        [dx, dgamma, dbeta]: [&mut [f32]; 3],
    ) -> Result<()> {
        let count = planes.per_channel() as f64;
        let triples = |c| {
            let (dy, x) = (planes.of_channel(forward.dy, c), planes.of_channel(forward.x, c));
            dy.zip(x).zip(planes.of_channel(forward.y, c)).map(|((dy, x), y)| Triple { dy, x, y })
        };
        channels(threads, planes, dx, [dgamma, dbeta], |c, dx| {
            let (mean, inverse) = (forward.mean[c], 1.0 / (forward.var[c] + self.epsilon).sqrt());
            let (mut sum, mut dot) = (0.0, 0.0);
            for triple in triples(c) {
                let [s, d] = sums::<RELU>(triple, mean);
                sum += s;
                dot += d;
            }
            let line = Line { mean, scale: forward.gamma[c] * inverse, shift: (sum / count) as f32 };
            let slope = (dot / count) as f32 * inverse * inverse;
            for (row, triple) in triples(c).enumerate() {
                gradient::<RELU>(dx.plane(row), triple, line, slope);
            }
            [dot as f32 * inverse, sum as f32]
        })
    }
}

/// `(v - mean) · scale + shift`, or the like.
#[derive(Clone, Copy)]
struct Line {
    mean: f32,
    scale: f32,
    shift: f32,
}

#[derive(Clone, Copy)]
struct Triple<'a> {
    dy: &'a [f32],
    x: &'a [f32],
    y: &'a [f32],
}

wide! {
    fn sum_of_squares(values: &[f32], mean: f32) -> f64 {
        let (blocks, rest) = values.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for block in blocks {
            for i in 0..LANES {
                let d = block[i] - mean;
                lanes[i] += d * d;
            }
        }
        for (lane, value) in lanes.iter_mut().zip(rest) {
            let d = value - mean;
            *lane += d * d;
        }
        total(&lanes)
    }
}

wide! {
    fn normalise<const RELU: bool>(y: &mut [f32], x: &[f32], line: Line) {
        for (y, x) in y.iter_mut().zip(x) {
            let v = (x - line.mean) * line.scale + line.shift;
            // Not `max`, which would turn NaN into 0 and hide that a training diverged.
            *y = if RELU && v < 0.0 { 0.0 } else { v };
        }
    }
}

/// `dy`, or 0 where ReLU cut; a mask instead of a choice, which vectorises everywhere.
#[inline(always)]
fn passed<const RELU: bool>(dy: f32, y: f32) -> f32 {
    let cut = RELU & (y <= 0.0);
    f32::from_bits(dy.to_bits() & u32::from(cut).wrapping_sub(1))
}

wide! {
    /// `[Σ t, Σ t · (x - mean)]` where `t` is `dy`, or 0 where ReLU cut.
    fn sums<const RELU: bool>(triple: Triple, mean: f32) -> [f64; 2] {
        // With 16 the compiler gives up on vectors: ten times slower.
        const WIDTH: usize = 2 * LANES;
        let (dy, dy_rest) = triple.dy.as_chunks::<WIDTH>();
        let (x, x_rest) = triple.x.as_chunks::<WIDTH>();
        let (y, y_rest) = triple.y.as_chunks::<WIDTH>();
        let (mut sum, mut dot) = ([0.0; WIDTH], [0.0; WIDTH]);
        for ((dy, x), y) in dy.iter().zip(x).zip(y) {
            for i in 0..WIDTH {
                let t = passed::<RELU>(dy[i], y[i]);
                sum[i] += t;
                dot[i] += t * (x[i] - mean);
            }
        }
        for (i, ((dy, x), y)) in dy_rest.iter().zip(x_rest).zip(y_rest).enumerate() {
            let t = passed::<RELU>(*dy, *y);
            sum[i] += t;
            dot[i] += t * (x - mean);
        }
        [total(&sum), total(&dot)]
    }
}

wide! {
    fn gradient<const RELU: bool>(dx: &mut [f32], triple: Triple, line: Line, slope: f32) {
        for (((dx, dy), x), y) in dx.iter_mut().zip(triple.dy).zip(triple.x).zip(triple.y) {
            let t = passed::<RELU>(*dy, *y);
            *dx = line.scale * (t - line.shift - (x - line.mean) * slope);
        }
    }
}

#[cfg(test)]
mod tests;
