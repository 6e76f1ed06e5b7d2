//! A package over a folder of labelled images, through the same code that serves it.

use std::ops::Range;
use std::path::Path;

use tintype_core::image::Limits;
use tintype_core::{Error, ErrorKind, ImageClassifier, Package, PostprocessSpec, Result, Scratch, Tensor};
use tintype_engine::{Backend, Session, SessionOptions};

use crate::data::{Dataset, Origin, Sample};
use crate::event::{ImagesPass, Subscriber, TrainEvent};
use crate::metrics::{Confusion, Evaluation, FileError};
use crate::pass::{self, Stop, Watch, batch_of, fixed_batch, over_files};
use crate::results::calibration;

/// Images that go through the model together.
const BATCH: usize = 8;

/// How an evaluation computes.
#[derive(Debug, Clone, Default)]
pub struct EvaluateOptions {
    /// Sessions of one thread each; 0 means one a core.
    pub threads: usize,
    /// Ends the evaluation early, as an error.
    pub stop: Stop,
}

/// A model's answers over labelled images, with what was made of them.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The figures.
    pub evaluation: Evaluation,
    pub(crate) answers: Answers,
}

/// A model's scores for labelled images.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    /// The model's class names.
    pub labels: Vec<String>,
    /// The images that could be read.
    pub images: Vec<Origin>,
    /// The model's index of each image's class.
    pub truths: Vec<usize>,
    /// A row an image, a score a class, before any activation.
    pub scores: Vec<Vec<f32>>,
    /// What makes probabilities of the scores.
    pub postprocess: PostprocessSpec,
    /// The images that could not.
    pub errors: Vec<FileError>,
}

/// Answers every image of `data`, as [`Dataset::open`] finds them, and compares with its class.
///
/// Files that cannot be read are listed in [`Evaluation::errors`] and count in no figure.
///
/// # Errors
/// `InvalidArgument` when a class is no label of the model, or no file is readable; what opening the data,
/// loading or running the model returns; `Cancelled`.
pub fn evaluate(
    package: &Package,
    data: &Path,
    backend: &dyn Backend,
    options: &EvaluateOptions,
    subscriber: &mut dyn Subscriber,
) -> Result<Judged> {
    let answers = answer(package, &Dataset::open(data)?, backend, options, subscriber)?;
    Ok(Judged { evaluation: answers.evaluate(), answers })
}

/// The model's scores for every image of `data`.
///
/// # Errors
/// Those of [`evaluate`].
pub(crate) fn answer(
    package: &Package,
    data: &Dataset,
    backend: &dyn Backend,
    options: &EvaluateOptions,
    subscriber: &mut dyn Subscriber,
) -> Result<Answers> {
    let scorer = Scorer::open(package, backend, options.threads)?;
    let labels = scorer.labels()?;
    let classes = match_labels(&data.classes, &labels)?;
    let postprocess = scorer.classifier.postprocess().clone();
    let watch = Watch { what: ImagesPass::Evaluate, subscriber, stop: &options.stop };
    let rows = scorer.score(&data.samples, watch)?;

    let mut answers =
        Answers { labels, images: vec![], truths: vec![], scores: vec![], postprocess, errors: vec![] };
    for (sample, row) in data.samples.iter().zip(rows) {
        match row {
            Ok(scores) => {
                answers.images.push(sample.origin.clone());
                answers.truths.push(classes[sample.class]);
                answers.scores.push(scores);
            }
            Err(error) => {
                answers.errors.push(FileError::new(&sample.origin, &error));
                let (image, reason) = (sample.origin.clone(), error.message().to_owned());
                subscriber.on_event(&TrainEvent::Unreadable { image, reason });
            }
        }
    }
    if answers.images.is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "no image could be read"));
    }
    Ok(answers)
}

/// A package in sessions of one thread each, to score images.
pub(crate) struct Scorer {
    pub classifier: ImageClassifier,
    /// One at least.
    sessions: Vec<Box<dyn Session>>,
    batch: usize,
}

impl Scorer {
    /// Loads a package into `threads` sessions; 0 means one a core.
    ///
    /// # Errors
    /// What loading the model and [`ImageClassifier::new`] return.
    pub fn open(package: &Package, backend: &dyn Backend, threads: usize) -> Result<Self> {
        let threads = pass::threads(threads);
        let first = backend.load(&package.model, &SessionOptions::default())?;
        let classifier = ImageClassifier::new(package, first.inputs(), first.outputs(), Limits::default())?;
        let batch = if classifier.plan().output_shape().is_some() { BATCH } else { 1 };
        let batch = fixed_batch(first.as_ref(), classifier.input()).unwrap_or(batch);
        let mut sessions = vec![first];
        while sessions.len() < threads {
            sessions.push(backend.load(&package.model, &SessionOptions::default())?);
        }
        Ok(Self { classifier, sessions, batch })
    }

    /// The model's class names; indices in decimal where it has none.
    pub fn labels(&self) -> Result<Vec<String>> {
        labels_of(&self.classifier)
    }

    /// The first `count` images that can be read, each as a batch that the model takes.
    pub fn prepared(&self, samples: &[Sample], count: usize) -> Result<Vec<Tensor>> {
        let mut scratch = Scratch::default();
        let prepare = |sample: &Sample| self.classifier.prepare(&sample.origin.read()?, &mut scratch);
        let images: Vec<Tensor> = samples.iter().map(prepare).filter_map(Result::ok).take(count).collect();
        let session = self.sessions[0].as_ref();
        images
            .iter()
            .map(|image| batch_of(std::slice::from_ref(image), session, self.classifier.input()))
            .collect()
    }

    /// A row of scores for each image that can be read, in the samples' order.
    ///
    /// # Errors
    /// What running the model returns; `Cancelled`.
    pub fn score(self, samples: &[Sample], mut watch: Watch) -> Result<Vec<Result<Vec<f32>>>> {
        let classifier = &self.classifier;
        let workers: Vec<_> = self
            .sessions
            .into_iter()
            .map(|session| {
                let mut worker = Worker { session, classifier, scratch: Scratch::default() };
                move |range: Range<usize>| worker.run(&samples[range])
            })
            .collect();
        over_files(samples.len(), self.batch, workers, &mut watch)
    }
}

impl Answers {
    /// A row of probabilities an image.
    pub fn probabilities(&self) -> Vec<Vec<f32>> {
        let mut rows = self.scores.clone();
        for row in &mut rows {
            tintype_core::activate(&self.postprocess, row);
        }
        rows
    }

    /// The answers, counted.
    pub fn confusion(&self) -> Confusion {
        let mut confusion = Confusion::new(self.labels.len());
        // Scores tell apart what probabilities may round to one number.
        for (&truth, scores) in self.truths.iter().zip(&self.scores) {
            confusion.add(truth, scores);
        }
        confusion
    }

    /// All figures.
    pub fn evaluate(&self) -> Evaluation {
        Evaluation {
            errors: self.errors.clone(),
            calibration: calibration::measure(&self.probabilities(), &self.truths),
            ..self.confusion().evaluate(&self.labels)
        }
    }
}

/// The model's class names; indices in decimal where it has none.
fn labels_of(classifier: &ImageClassifier) -> Result<Vec<String>> {
    let classes = classifier.classes().ok_or_else(|| {
        Error::new(ErrorKind::InvalidModel, "neither the model nor its labels say how many classes there are")
    })?;
    Ok((0..classes).map(|index| classifier.label(index)).collect())
}

/// The model's index of each class.
pub(crate) fn match_labels(classes: &[String], labels: &[String]) -> Result<Vec<usize>> {
    let found: Vec<_> = classes.iter().map(|class| index_of(class, labels)).collect();
    let missing = classes.iter().zip(&found).filter(|(_, index)| index.is_none());
    let unknown: Vec<String> = missing.map(|(class, _)| format!("`{class}`")).collect();
    if !unknown.is_empty() {
        let known: Vec<&str> = labels.iter().take(10).map(String::as_str).collect();
        let more = if labels.len() > known.len() { ", …" } else { "" };
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("the model has no class {}", unknown.join(", ")),
        )
        .with_hint(format!("its classes are {}{more}", known.join(", "))));
    }
    Ok(found.into_iter().flatten().collect())
}

/// The label that is `class`, or whose first name is (`hook, claw` is a `hook`, and `ice cream, icecream` an `ice_cream`), if
/// there is but one; else the index that `class` says.
fn index_of(class: &str, labels: &[String]) -> Option<usize> {
    let first_name = |label: &str| label.split(',').next().unwrap_or(label).trim().replace('_', " ");
    let wanted = class.replace('_', " ");
    let exact = labels.iter().position(|label| label == class);
    let by_first_name = || {
        let mut all = (0..labels.len()).filter(|&i| first_name(&labels[i]) == wanted);
        all.next().filter(|_| all.next().is_none())
    };
    let by_index = || class.parse().ok().filter(|&index| index < labels.len());
    exact.or_else(by_first_name).or_else(by_index)
}

struct Worker<'a> {
    session: Box<dyn Session>,
    classifier: &'a ImageClassifier,
    scratch: Scratch,
}

impl Worker<'_> {
    fn run(&mut self, samples: &[Sample]) -> Result<Vec<Result<Vec<f32>>>> {
        let mut images: Vec<Tensor> = Vec::with_capacity(samples.len());
        let mut answers = Vec::with_capacity(samples.len());
        for sample in samples {
            let image =
                sample.origin.read().and_then(|bytes| self.classifier.prepare(&bytes, &mut self.scratch));
            // A readable image's answer is filled in below.
            answers.push(image.map(|image| {
                images.push(image);
                Vec::new()
            }));
        }
        if images.is_empty() {
            return Ok(answers);
        }
        let batch = batch_of(&images, self.session.as_ref(), self.classifier.input())?;
        let outputs = self.session.run(&[&batch])?;
        let scores = outputs
            .get(self.classifier.output())
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the model has no output for the scores"))?;
        let mut rows = self.classifier.scores(scores)?.into_iter();
        for answer in answers.iter_mut().filter_map(|a: &mut Result<Vec<f32>>| a.as_mut().ok()) {
            *answer = rows.next().unwrap_or_default();
        }
        Ok(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_by_label_first_name_or_index() {
        let labels =
            ["background", "hook, claw", "ice cream, icecream", "crane", "crane", "7"].map(String::from);
        let cases = [
            ("background", Some(0)),
            ("hook, claw", Some(1)),
            ("hook", Some(1)),
            ("claw", None),
            ("ice_cream", Some(2)),
            ("crane", Some(3)),
            ("7", Some(5)),
            ("4", Some(4)),
            ("6", None),
        ];
        for (class, expected) in cases {
            assert_eq!(index_of(class, &labels), expected, "{class}");
        }
        let error = match_labels(&["hook".into(), "owl".into()], &labels).unwrap_err();
        assert_eq!(error.message(), "the model has no class `owl`");
    }
}
