//! What is left of a training and of an evaluation for people and their tools.
//!
//! ```text
//! answers ─┬▸ calibration ─▸ temperature, thresholds ─▸ package
//!          └▸ evaluation, mistakes ─┐
//! metrics.jsonl ─▸ history ─────────┴▸ report.html, metrics.csv, README.md
//! events, pictures ─▸ tensorboard
//! ```
//!
//! Nothing here computes an answer; [`crate::evaluate`] does.

pub(crate) mod calibration;
mod card;
mod chart;
pub(crate) mod history;
mod mistakes;
pub(crate) mod pictures;
mod report;
pub(crate) mod tensorboard;

use std::path::Path;

use tintype_core::{Activation, PostprocessSpec, Result};

pub use calibration::{Bin, Calibration};

use crate::config::{CalibrationConfig, TrainConfig};
use crate::evaluate::{Answers, Judged};
use crate::event::{DataFacts, Summary};
use crate::metrics::Evaluation;
use crate::run_dir;

/// A training with everything that is told of it.
pub(crate) struct Told<'a> {
    pub config: &'a TrainConfig,
    pub facts: &'a DataFacts,
    /// What a look at the images found, a sentence each.
    pub findings: &'a [String],
    pub summary: &'a Summary,
    pub evaluation: &'a Evaluation,
    /// The answers over the held-out images, by the calibrated package.
    pub answers: &'a Answers,
    /// How they were calibrated before the temperature was fitted.
    pub before: &'a Calibration,
}

/// What is fitted to the answers over the held-out images, for the package.
pub(crate) fn fit(answers: &Answers, config: &CalibrationConfig) -> PostprocessSpec {
    let mut spec = answers.postprocess.clone();
    if config.temperature && spec.activation == Activation::Softmax {
        spec.temperature = calibration::temperature(&answers.scores, &answers.truths).unwrap_or(1.0);
    }
    if let Some(precision) = config.precision {
        let fitted = Answers { postprocess: spec.clone(), ..answers.clone() };
        let classes = answers.labels.len();
        spec.thresholds =
            calibration::thresholds(&fitted.probabilities(), &answers.truths, classes, precision);
    }
    spec
}

/// Writes `confusion.json` and `.txt`, `metrics.csv`, `report.html` and the model card `README.md`.
///
/// # Errors
/// `Io`; `Internal` when a figure cannot be written.
pub(crate) fn write(run_dir: &Path, told: &Told) -> Result<()> {
    run_dir::write_json(&run_dir.join("confusion.json"), told.evaluation)?;
    run_dir::write(&run_dir.join("confusion.txt"), &told.evaluation.to_table())?;
    let history = history::read(&run_dir.join("metrics.jsonl"))?;
    run_dir::write(&run_dir.join("metrics.csv"), &history::to_csv(&history))?;
    run_dir::write(&run_dir.join("report.html"), &report::of_training(told, &history)?)?;
    run_dir::write(&run_dir.join("README.md"), &card::write(told))
}

impl Judged {
    /// The figures as a page: one HTML file without links to elsewhere, with `title` and where the answers come from.
    pub fn report(&self, model: &str, data: &str) -> String {
        report::of_evaluation(self, model, data)
    }
}
