//! A head as a graph of its own: one linear layer on standardised features.
//!
//! Features of different models differ in scale by orders of magnitude, and so do the features of one model. Each is
//! brought to mean 0 and deviation 1 for training, so that one learning rate fits all; the result is folded into the
//! weights afterwards, so that the model that is served reads the features as they are.

use tintype_core::{Error, ErrorKind, Result};
use tintype_graph::{Builder, Model};

const WEIGHT: &str = "head.weight";
const BIAS: &str = "head.bias";

/// A feature's deviation counts as at least this share of all features' root mean square: one that hardly ever moves
/// would otherwise be blown up until the few images in which it does decide everything.
const LEAST_DEVIATION: f64 = 0.1;

/// Mean and deviation of each feature over the training images.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scaling {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

/// A linear layer's numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Linear {
    /// `[K, F]`, row-major.
    pub weights: Vec<f32>,
    /// `[K]`.
    pub bias: Vec<f32>,
}

impl Scaling {
    /// Of `rows`, each of `width` features.
    ///
    /// # Errors
    /// `InvalidModel` when a feature is not finite.
    pub fn of(rows: &[f32], width: usize) -> Result<Self> {
        let count = (rows.len() / width.max(1)).max(1) as f64;
        let mut mean = vec![0.0; width];
        for row in rows.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(m, &x)| *m += f64::from(x) / count);
        }
        let mut variance = vec![0.0; width];
        for row in rows.chunks_exact(width) {
            for ((v, m), &x) in variance.iter_mut().zip(&mean).zip(row) {
                *v += (f64::from(x) - m).powi(2) / count;
            }
        }
        let mean_square = variance.iter().sum::<f64>() / width.max(1) as f64;
        if !mean_square.is_finite() {
            return Err(Error::new(
                ErrorKind::InvalidModel,
                "the backbone's features are not finite numbers",
            ));
        }
        if mean_square == 0.0 {
            return Err(Error::new(
                ErrorKind::InvalidModel,
                "the backbone's features are the same for every image",
            ));
        }
        let least = LEAST_DEVIATION * mean_square.sqrt();
        Ok(Self { mean, deviation: variance.into_iter().map(|v| v.sqrt().max(least)).collect() })
    }

    /// `(x - mean) / deviation`, in place.
    pub fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.mean.len()) {
            for ((x, m), d) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *x = ((f64::from(*x) - m) / d) as f32;
            }
        }
    }

    /// The layer on plain features that answers as `layer` does on scaled ones.
    pub fn fold(&self, layer: &Linear) -> Linear {
        let width = self.mean.len();
        let mut bias: Vec<f32> = Vec::with_capacity(layer.bias.len());
        let mut weights = Vec::with_capacity(layer.weights.len());
        for (row, b) in layer.weights.chunks_exact(width).zip(&layer.bias) {
            let mut shift = f64::from(*b);
            for ((w, m), d) in row.iter().zip(&self.mean).zip(&self.deviation) {
                let w = f64::from(*w) / d;
                weights.push(w as f32);
                shift -= w * m;
            }
            bias.push(shift as f32);
        }
        Linear { weights, bias }
    }
}

/// A model of one linear layer with weights of 0: `features` `f32[N, F]` → `logits` `f32[N, K]`.
pub(crate) fn model(features: usize, classes: usize) -> Model {
    // The problem is convex: any start leads to the same end, and 0 needs no seed.
    let mut builder = Builder::blank();
    let input = builder.input("features", &[features]);
    let logits = builder.linear("head", &input, features, classes);
    builder.finish(&logits, "logits", &[classes])
}

/// The layer of a model made by [`model`].
///
/// # Errors
/// `NotFound` when it is another model.
pub(crate) fn layer_of(model: &Model) -> Result<Linear> {
    Ok(Linear { weights: model.f32s(WEIGHT)?, bias: model.f32s(BIAS)? })
}

#[cfg(test)]
mod tests {
    use tintype_testkit::assert_close;

    use super::*;

    fn answer(layer: &Linear, row: &[f32]) -> Vec<f32> {
        let dot = |w: &[f32]| w.iter().zip(row).map(|(w, x)| w * x).sum::<f32>();
        layer.weights.chunks(row.len()).zip(&layer.bias).map(|(w, b)| dot(w) + b).collect()
    }

    #[test]
    fn scaled_features_have_mean_0_and_deviation_1() {
        let mut rows = vec![1.0, 100.0, 3.0, 300.0, 2.0, 500.0];
        let scaling = Scaling::of(&rows, 2).unwrap();
        scaling.apply(&mut rows);
        // The first feature's deviation is below a tenth of the root mean square, about 115.
        assert_close(&[rows[1], rows[3], rows[5]], &[-1.224_744_9, 0.0, 1.224_744_9], 1e-6);
        assert!(rows[0] < 0.0 && rows[0] > -0.2 && rows[4] == 0.0, "{rows:?}");
    }

    #[test]
    fn a_folded_layer_answers_the_same() {
        let rows = [0.5, 2000.0, 0.25, -0.5, 1000.0, 0.75, 0.0, 3000.0, 0.5];
        let scaling = Scaling::of(&rows, 3).unwrap();
        let layer = Linear { weights: vec![1.0, -2.0, 3.0, 0.5, 0.25, -1.0], bias: vec![0.1, -0.2] };
        let folded = scaling.fold(&layer);
        for row in rows.chunks(3) {
            let mut scaled = row.to_vec();
            scaling.apply(&mut scaled);
            assert_close(&answer(&folded, row), &answer(&layer, &scaled), 1e-5);
        }
    }

    #[test]
    fn useless_features_are_refused() {
        assert!(
            Scaling::of(&[1.0, 2.0, 1.0, 2.0], 2).unwrap_err().message().contains("the same for every image")
        );
        assert!(Scaling::of(&[1.0, f32::NAN], 1).unwrap_err().message().contains("not finite"));
    }
}
