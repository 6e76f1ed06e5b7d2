//! How parameters begin: PyTorch's `nn.init`, drawn from the builder's own random numbers.

use rand::RngExt;

use super::Builder;

/// How the weights of a layer begin; `fan_in` and `fan_out` are the inputs and outputs times the window's area, as
/// PyTorch counts them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Draw {
    /// Uniform in ±1/√fan_in, biases too: what PyTorch's layers do by themselves (`kaiming_uniform_(a=√5)`).
    Uniform,
    /// Normal with the variance 2 / fan_in, biases as [`Draw::Uniform`]: `kaiming_normal_`.
    KaimingIn,
    /// Normal with the variance 2 / fan_out, biases 0: `kaiming_normal_(mode="fan_out")`, torchvision's choice.
    KaimingOut,
    /// Normal with this standard deviation, biases 0. timm's `trunc_normal_(std=0.02)` cuts at ±2, which is a hundred
    /// standard deviations away, and so is this too.
    Normal(f32),
}

impl Builder {
    /// Stores `<layer>.weight` of `shape` `[O, I, …]`, drawn.
    pub(super) fn weight(&mut self, layer: &str, shape: &[usize], draw: Draw) -> String {
        let area: usize = shape.iter().skip(2).product();
        let (fan_out, fan_in) = (shape[0] * area, shape[1] * area);
        let count = shape.iter().product();
        let values = match draw {
            Draw::Uniform => self.uniform(count, fan_in),
            Draw::KaimingIn => self.normal(count, (2.0 / fan_in.max(1) as f32).sqrt()),
            Draw::KaimingOut => self.normal(count, (2.0 / fan_out.max(1) as f32).sqrt()),
            Draw::Normal(deviation) => self.normal(count, deviation),
        };
        self.parameter(layer, "weight", shape, &values)
    }

    /// Stores `<layer>.bias` `[count]`, drawn as goes with the weights.
    pub(super) fn bias(&mut self, layer: &str, count: usize, fan_in: usize, draw: Draw) -> String {
        let values = match draw {
            Draw::Uniform | Draw::KaimingIn => self.uniform(count, fan_in),
            Draw::KaimingOut | Draw::Normal(_) => vec![0.0; count],
        };
        self.parameter(layer, "bias", &[count], &values)
    }

    fn uniform(&mut self, count: usize, fan_in: usize) -> Vec<f32> {
        let bound = 1.0 / (fan_in.max(1) as f32).sqrt();
        let Some(random) = &mut self.random else { return vec![0.0; count] };
        (0..count).map(|_| random.random_range(-bound..=bound)).collect()
    }

    /// Numbers of a normal distribution around 0, two at a time (Box and Muller 1958).
    pub(super) fn normal(&mut self, count: usize, deviation: f32) -> Vec<f32> {
        let Some(random) = &mut self.random else { return vec![0.0; count] };
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            // From (0, 1], so that the logarithm is finite.
            let radius = deviation * (-2.0 * (1.0 - random.random::<f32>()).ln()).sqrt();
            let (sin, cos) = (std::f32::consts::TAU * random.random::<f32>()).sin_cos();
            values.extend([radius * cos, radius * sin]);
        }
        values.truncate(count);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_draw_has_its_spread() {
        // [O, I, k, k]: fan_in 90, fan_out 1800.
        let shape = [200, 10, 3, 3];
        for (draw, variance) in [
            (Draw::Uniform, 1.0 / 90.0 / 3.0),
            (Draw::KaimingIn, 2.0 / 90.0),
            (Draw::KaimingOut, 2.0 / 1800.0),
            (Draw::Normal(0.02), 0.02 * 0.02),
        ] {
            let mut b = Builder::new(5);
            let x = b.input("x", &[10, 3, 3]);
            b.weight("w", &shape, draw);
            let model = b.finish(&x, "x", &[10, 3, 3]);
            let values = model.f32s("w.weight").unwrap();
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            let found = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
            // 18,000 draws: the variance comes within a few per cent, the mean within 0.03 deviations.
            assert!((found / variance - 1.0).abs() < 0.05, "{draw:?}: {found:e} of {variance:e}");
            assert!(mean.abs() < 0.03 * variance.sqrt(), "{draw:?}: {mean:e}");
        }
    }
}
