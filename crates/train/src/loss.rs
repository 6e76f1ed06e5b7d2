//! What the loss is told to be true: rows of targets for the graph's cross-entropy.
//!
//! The graph computes `-1/N Σᵢ Σₖ tᵢₖ · log softmax(xᵢ)ₖ` over a batch of `N` rows. Label smoothing, class weights and
//! mixing are all a matter of the targets `t`; the only thing that targets cannot say is PyTorch's divisor with class
//! weights, the sum of the weights in place of `N`, which a step divides by once it has all of its batches.

use tintype_core::{Error, ErrorKind, Result, Tensor};

use crate::augment::Mixed;
use crate::config::{ClassWeights, TrainerConfig};

/// How targets are made: `nn.CrossEntropyLoss(weight, label_smoothing)`.
#[derive(Debug, Clone)]
pub(crate) struct Criterion {
    classes: usize,
    smoothing: f64,
    /// One a class.
    weights: Vec<f64>,
}

/// The targets of a batch.
#[derive(Debug)]
pub(crate) struct Targets {
    /// `f32[N, K]`.
    pub rows: Tensor,
    /// What the sum of the rows' losses is to be divided by.
    pub weight: f64,
}

impl Criterion {
    /// The configured loss, for classes of which the training set has `counts` images.
    ///
    /// # Errors
    /// `InvalidConfig` when there are not as many class weights as classes.
    pub fn new(config: &TrainerConfig, counts: &[usize]) -> Result<Self> {
        let classes = counts.len();
        let images: usize = counts.iter().sum();
        let weights = match &config.class_weights {
            ClassWeights::None => vec![1.0; classes],
            ClassWeights::Balanced => {
                counts.iter().map(|&n| images as f64 / (classes * n.max(1)) as f64).collect()
            }
            ClassWeights::Given(weights) => weights.clone(),
        };
        if weights.len() != classes {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("`trainer.class_weights`: expected {classes} numbers, found {}", weights.len()),
            ));
        }
        Ok(Self { classes, smoothing: config.label_smoothing, weights })
    }

    /// The targets of rows of these classes, where rows are mixed with what `mixed` says.
    ///
    /// # Errors
    /// `Internal` when a class is out of range.
    pub fn targets(&self, classes: &[usize], mixed: Option<Mixed>) -> Result<Targets> {
        if classes.iter().any(|&class| class >= self.classes) {
            return Err(Error::new(ErrorKind::Internal, "a row's class is none of the model's"));
        }
        let everywhere = self.smoothing / self.classes as f64;
        let mut values = vec![0.0f32; classes.len() * self.classes];
        let others = classes.iter().rev();
        for ((row, &class), &other) in values.chunks_exact_mut(self.classes).zip(classes).zip(others) {
            let own = mixed.map_or(1.0, |m| m.own);
            for (k, (value, weight)) in row.iter_mut().zip(&self.weights).enumerate() {
                let share =
                    own * f64::from(u8::from(k == class)) + (1.0 - own) * f64::from(u8::from(k == other));
                *value = (weight * ((1.0 - self.smoothing) * share + everywhere)) as f32;
            }
        }
        let weight = match mixed {
            // As PyTorch with targets that are probabilities.
            Some(_) => classes.len() as f64,
            None => classes.iter().map(|&class| self.weights[class]).sum(),
        };
        Ok(Targets { rows: Tensor::new(vec![classes.len(), self.classes], values)?, weight })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use tintype_testkit::assert_close;

    use super::*;

    /// Written by `tests/data/loss.py`.
    #[derive(Deserialize)]
    struct Case {
        smoothing: f64,
        weights: Option<Vec<f64>>,
        own: Option<f64>,
        logits: Vec<f32>,
        classes: Vec<usize>,
        loss: f32,
        gradient: Vec<f32>,
    }

    /// What the graph computes, times `N` and divided by the weight.
    fn loss_and_gradient(logits: &[f32], targets: &Targets) -> (f32, Vec<f32>) {
        let (mut loss, mut gradient) = (0.0, Vec::new());
        for (x, t) in logits.chunks(4).zip(targets.rows.values::<f32>().unwrap().chunks(4)) {
            let total: f64 = x.iter().map(|&v| f64::from(v).exp()).sum();
            let sum: f64 = t.iter().map(|&t| f64::from(t)).sum();
            for (&x, &t) in x.iter().zip(t) {
                let probability = f64::from(x).exp() / total;
                loss -= f64::from(t) * probability.ln() / targets.weight;
                gradient.push(((probability * sum - f64::from(t)) / targets.weight) as f32);
            }
        }
        (loss as f32, gradient)
    }

    #[test]
    fn losses_are_pytorchs() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../tests/data/loss.json")).unwrap();
        assert_eq!(cases.len(), 7);
        for case in cases {
            let class_weights = case.weights.map_or(ClassWeights::None, ClassWeights::Given);
            let config =
                TrainerConfig { label_smoothing: case.smoothing, class_weights, ..TrainerConfig::default() };
            let criterion = Criterion::new(&config, &[1; 4]).unwrap();
            let targets = criterion.targets(&case.classes, case.own.map(|own| Mixed { own })).unwrap();
            let (loss, gradient) = loss_and_gradient(&case.logits, &targets);
            assert_close(&[loss], &[case.loss], 1e-6);
            assert_close(&gradient, &case.gradient, 1e-6);
        }
    }

    #[test]
    fn balanced_weights_make_classes_count_alike() {
        let config = TrainerConfig { class_weights: ClassWeights::Balanced, ..TrainerConfig::default() };
        let criterion = Criterion::new(&config, &[30, 10]).unwrap();
        // scikit-learn: compute_class_weight("balanced").
        assert_close(
            &criterion.weights.iter().map(|&w| w as f32).collect::<Vec<_>>(),
            &[2.0 / 3.0, 2.0],
            1e-6,
        );
        let config =
            TrainerConfig { class_weights: ClassWeights::Given(vec![1.0]), ..TrainerConfig::default() };
        let error = Criterion::new(&config, &[30, 10]).unwrap_err();
        assert!(error.message().contains("expected 2 numbers, found 1"), "{error}");
    }
}
