//! Loss and answers, added up over the batches of a pass.

use serde::{Deserialize, Serialize};
use tintype_core::{Error, ErrorKind, Result, Tensor};

use crate::metrics::Confusion;

/// What a pass over labelled rows has come to so far.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    confusion: Confusion,
    loss: f64,
    right: usize,
    count: usize,
}

impl Tally {
    /// Nothing yet.
    pub fn new(classes: usize) -> Self {
        Self { confusion: Confusion::new(classes), loss: 0.0, right: 0, count: 0 }
    }

    /// Adds a batch: `logits` (`f32[N, classes]`) for rows of these true classes.
    ///
    /// # Errors
    /// `InvalidModel` when the logits are not of that shape.
    pub fn add(&mut self, logits: &Tensor, classes: &[usize]) -> Result<()> {
        for (row, &class) in rows_of(logits, classes)? {
            self.loss += cross_entropy(row, class);
            self.right += usize::from(self.confusion.add(class, row));
            self.count += 1;
        }
        Ok(())
    }

    /// Mean cross-entropy in nats.
    pub fn loss(&self) -> f64 {
        self.loss / self.count.max(1) as f64
    }

    /// Share of right answers.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.count.max(1) as f64
    }

    /// Whether this pass is better than another over the same rows: more right answers, or as many at a lower loss.
    pub fn beats(&self, other: &Self) -> bool {
        self.right > other.right || (self.right == other.right && self.loss < other.loss)
    }

    /// The answers.
    pub fn into_confusion(self) -> Confusion {
        self.confusion
    }
}

/// What an epoch of training has come to so far: the loss that is made smaller, and right answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The sum of the rows' losses.
    loss: f64,
    /// What it is to be divided by.
    weight: f64,
    right: usize,
    count: usize,
}

impl Progress {
    /// Adds a batch: the sum of its rows' losses, what that is to be divided by, and the logits (`f32[N, classes]`) for rows
    /// of these true classes; of a mixed row the class of its own part.
    ///
    /// # Errors
    /// `InvalidModel` when the logits are not of that shape.
    pub fn add(&mut self, loss: f64, weight: f64, logits: &Tensor, classes: &[usize]) -> Result<()> {
        self.loss += loss;
        self.weight += weight;
        for (row, &class) in rows_of(logits, classes)? {
            // Of equal scores the lower index counts as better.
            let ahead = |(k, &x): (usize, &f32)| x > row[class] || (x == row[class] && k < class);
            self.right += usize::from(!row.iter().enumerate().any(ahead));
            self.count += 1;
        }
        Ok(())
    }

    /// Rows so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The mean loss in nats.
    pub fn loss(&self) -> f64 {
        self.loss / self.weight.max(f64::MIN_POSITIVE)
    }

    /// Share of right answers.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.count.max(1) as f64
    }
}

/// The logits of each row with its class.
fn rows_of<'a>(
    logits: &'a Tensor,
    classes: &'a [usize],
) -> Result<impl Iterator<Item = (&'a [f32], &'a usize)>> {
    let [rows, width] = *logits.shape() else { return Err(wrong_shape(logits)) };
    if rows != classes.len() || classes.iter().any(|&class| class >= width) {
        return Err(wrong_shape(logits));
    }
    Ok(logits.values::<f32>()?.chunks_exact(width).zip(classes))
}

/// `-log softmax(logits)[class]`.
fn cross_entropy(logits: &[f32], class: usize) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&x| (f64::from(x) - largest).exp()).sum();
    sum.ln() + largest - f64::from(logits[class])
}

fn wrong_shape(logits: &Tensor) -> Error {
    Error::new(ErrorKind::InvalidModel, format!("logits of shape {:?} do not fit the batch", logits.shape()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(logits: Vec<f32>, classes: &[usize]) -> Tally {
        let mut tally = Tally::new(2);
        tally.add(&Tensor::new(vec![classes.len(), 2], logits).unwrap(), classes).unwrap();
        tally
    }

    #[test]
    fn loss_is_the_mean_cross_entropy() {
        // -log σ(2) and -log σ(-1000), by hand.
        let found = tally(vec![2.0, 0.0, 1000.0, 0.0], &[0, 1]);
        assert!((found.loss() - (0.126_928_011_042_972_5 + 1000.0) / 2.0).abs() < 1e-9, "{}", found.loss());
        assert_eq!(found.accuracy(), 0.5);
    }

    #[test]
    fn more_right_answers_win_and_ties_go_to_the_lower_loss() {
        let right = tally(vec![0.1, 0.0], &[0]);
        let surer = tally(vec![5.0, 0.0], &[0]);
        let wrong = tally(vec![0.0, 0.1], &[0]);
        assert!(right.beats(&wrong) && !wrong.beats(&right));
        assert!(surer.beats(&right) && !right.beats(&surer) && !right.beats(&right));
    }

    #[test]
    fn logits_of_another_shape_are_refused() {
        let mut tally = Tally::new(2);
        for shape in [vec![2], vec![2, 1], vec![1, 2]] {
            let logits = Tensor::new(shape.clone(), vec![0.0f32; 2]).unwrap();
            let error = tally.add(&logits, &[0, 1]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidModel, "{shape:?}");
        }
    }
}
