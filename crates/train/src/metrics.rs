//! How good answers are: confusion matrix, accuracy, precision, recall and F1, with scikit-learn's definitions.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use tintype_core::Error;

use crate::data::Origin;
use crate::results::calibration::Calibration;

/// Counts of (true class, predicted class), and of true classes among the five best.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    counts: Vec<u64>,
    classes: usize,
    top5: u64,
}

/// A model's answers over a data set, as `tintype evaluate` prints and writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Share of images whose most probable class is the true one, 0..=1.
    pub accuracy: f64,
    /// Share of images whose true class is among the five most probable, 0..=1.
    pub top5: f64,
    /// Images that were answered.
    pub n: u64,
    /// Unweighted mean of the classes' F1, over classes that are true or predicted at least once.
    pub macro_f1: f64,
    /// Mean of the classes' F1 weighted by support.
    pub weighted_f1: f64,
    /// Class names, by index.
    pub labels: Vec<String>,
    /// One entry a class, by index.
    pub per_class: Vec<ClassMetrics>,
    /// `confusion[t][p]` images of class `t` were taken for class `p`.
    pub confusion: Vec<Vec<u64>>,
    /// How far its probabilities can be believed.
    #[serde(default)]
    pub calibration: Calibration,
    /// Files that could not be read.
    #[serde(default)]
    pub errors: Vec<FileError>,
}

/// One class's figures; a figure whose denominator is 0 is 0, as with scikit-learn's `zero_division=0`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// The class's name.
    pub label: String,
    /// Of the images taken for this class, the share that is of it.
    pub precision: f64,
    /// Of the images of this class, the share taken for it.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
    /// Images of this class.
    pub support: u64,
}

/// A file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileError {
    /// Where the image is from, as [`Origin`] shows it.
    pub path: String,
    /// The kind of the error, as in `not_an_image`.
    pub kind: String,
    /// Why.
    pub message: String,
}

impl FileError {
    pub(crate) fn new(image: &Origin, error: &Error) -> Self {
        Self {
            path: image.to_string(),
            kind: error.kind().as_str().to_owned(),
            message: error.message().to_owned(),
        }
    }
}

impl Confusion {
    /// No answers yet, for `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { counts: vec![0; classes * classes], classes, top5: 0 }
    }

    /// Counts one answer: `scores` (one a class; higher is more likely) for an image of class `truth`.
    ///
    /// Returns whether the most probable class was right; of equal scores the lower index counts as better.
    pub fn add(&mut self, truth: usize, scores: &[f32]) -> bool {
        let mut predicted = 0;
        for (class, score) in scores.iter().enumerate() {
            if *score > scores[predicted] {
                predicted = class;
            }
        }
        self.counts[truth * self.classes + predicted] += 1;
        let ahead = |(class, score): (usize, &f32)| {
            *score > scores[truth] || (*score == scores[truth] && class < truth)
        };
        let rank = scores.iter().enumerate().filter(|&pair| ahead(pair)).count();
        self.top5 += u64::from(rank < 5);
        predicted == truth
    }

    /// All figures that follow from the counts, with `labels` by index; calibration does not.
    pub fn evaluate(&self, labels: &[String]) -> Evaluation {
        let confusion: Vec<Vec<u64>> = self.counts.chunks(self.classes.max(1)).map(<[u64]>::to_vec).collect();
        let n: u64 = self.counts.iter().sum();
        let right: u64 = (0..self.classes).map(|c| confusion[c][c]).sum();
        let taken: Vec<u64> = (0..self.classes).map(|c| confusion.iter().map(|row| row[c]).sum()).collect();
        let per_class: Vec<ClassMetrics> = (0..self.classes)
            .map(|class| {
                let support: u64 = confusion[class].iter().sum();
                let hits = confusion[class][class];
                ClassMetrics {
                    label: labels.get(class).cloned().unwrap_or_else(|| class.to_string()),
                    precision: ratio(hits, taken[class]),
                    recall: ratio(hits, support),
                    f1: ratio(2 * hits, support + taken[class]),
                    support,
                }
            })
            .collect();
        // scikit-learn averages over the labels that occur in truth or prediction.
        let occurring = per_class.iter().zip(&taken).filter(|(c, t)| c.support + **t > 0).count();
        Evaluation {
            accuracy: ratio(right, n),
            top5: ratio(self.top5, n),
            n,
            macro_f1: per_class.iter().map(|c| c.f1).sum::<f64>() / occurring.max(1) as f64,
            weighted_f1: per_class.iter().map(|c| c.f1 * c.support as f64).sum::<f64>() / n.max(1) as f64,
            labels: per_class.iter().map(|c| c.label.clone()).collect(),
            per_class,
            confusion,
            calibration: Calibration::default(),
            errors: Vec::new(),
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Classes whose confusion matrix is still readable as text.
const WIDEST_MATRIX: usize = 20;

impl Evaluation {
    /// A table for people: figures per class, then the confusion matrix of at most 20 classes.
    pub fn to_table(&self) -> String {
        let width = self.labels.iter().map(|l| l.chars().count()).max().unwrap_or(0).clamp(8, 40);
        let mut text = format!("{:width$}  precision  recall      f1  support\n", "class");
        // Writing to a string cannot fail, here and below.
        for c in self.per_class.iter().filter(|c| c.support > 0 || c.precision > 0.0) {
            let ClassMetrics { label, precision, recall, f1, support } = c;
            let _ = writeln!(text, "{label:width$}  {precision:9.4}  {recall:6.4}  {f1:6.4}  {support:7}");
        }
        let _ = writeln!(
            text,
            "\naccuracy {:.4}, top-5 {:.4}, macro F1 {:.4}, weighted F1 {:.4} over {} images",
            self.accuracy, self.top5, self.macro_f1, self.weighted_f1, self.n
        );
        if !self.calibration.bins.is_empty() {
            let Calibration { ece, nll, .. } = self.calibration;
            let _ = writeln!(text, "calibration error (ECE) {ece:.4}, negative log-likelihood {nll:.4}");
        }
        if !self.errors.is_empty() {
            let _ = writeln!(text, "{} files could not be read", self.errors.len());
        }
        if self.labels.len() <= WIDEST_MATRIX {
            text.push_str("\ntrue class in rows, predicted class in columns\n");
            let _ = write!(text, "{:width$}", "");
            for column in 0..self.labels.len() {
                let _ = write!(text, " {column:5}");
            }
            for (row, label) in self.labels.iter().enumerate() {
                let _ = write!(text, "\n{label:width$}");
                for count in &self.confusion[row] {
                    let _ = write!(text, " {count:5}");
                }
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `tests/data/metrics.py`.
    #[derive(Deserialize)]
    struct Case {
        truth: Vec<usize>,
        scores: Vec<Vec<f32>>,
        accuracy: f64,
        top5: f64,
        macro_f1: f64,
        weighted_f1: f64,
        precision: Vec<f64>,
        recall: Vec<f64>,
        f1: Vec<f64>,
        support: Vec<u64>,
        confusion: Vec<Vec<u64>>,
    }

    fn near(found: f64, expected: f64, what: &str) {
        assert!((found - expected).abs() < 1e-12, "{what}: found {found}, expected {expected}");
    }

    #[test]
    fn figures_are_those_of_scikit_learn() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../tests/data/metrics.json")).unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let labels: Vec<String> = (0..case.support.len()).map(|c| format!("class {c}")).collect();
            let mut confusion = Confusion::new(labels.len());
            for (truth, scores) in case.truth.iter().zip(&case.scores) {
                confusion.add(*truth, scores);
            }
            let found = confusion.evaluate(&labels);
            near(found.accuracy, case.accuracy, "accuracy");
            near(found.top5, case.top5, "top-5");
            near(found.macro_f1, case.macro_f1, "macro F1");
            near(found.weighted_f1, case.weighted_f1, "weighted F1");
            assert_eq!((found.n, &found.confusion), (case.truth.len() as u64, &case.confusion));
            for (i, class) in found.per_class.iter().enumerate() {
                near(class.precision, case.precision[i], "precision");
                near(class.recall, case.recall[i], "recall");
                near(class.f1, case.f1[i], "F1");
                assert_eq!((&class.label, class.support), (&labels[i], case.support[i]));
            }
        }
    }

    #[test]
    fn equal_scores_go_to_the_lower_index() {
        let mut confusion = Confusion::new(7);
        assert!(confusion.add(0, &[0.5; 7]));
        assert!(!confusion.add(5, &[0.5; 7]));
        assert_eq!(confusion.evaluate(&[]).top5, 0.5);
    }

    #[test]
    fn the_table_names_every_class_with_images() {
        let labels = ["cat".to_owned(), "dog".to_owned(), "eel".to_owned()];
        let mut confusion = Confusion::new(3);
        confusion.add(0, &[0.9, 0.1, 0.0]);
        confusion.add(1, &[0.9, 0.1, 0.0]);
        let table = confusion.evaluate(&labels).to_table();
        assert!(table.contains("cat          0.5000  1.0000  0.6667        1\n"), "{table}");
        assert!(table.contains("accuracy 0.5000, top-5 1.0000"), "{table}");
    }
}
