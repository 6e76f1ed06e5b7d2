//! What a training says while it runs.
//!
//! The trainer emits [`TrainEvent`]s; progress bar, log files and tests subscribe. Nothing here draws or writes.

use std::time::Duration;

use serde::Serialize;

use crate::data::Origin;
use crate::doctor::Findings;

/// Something that happened in a training or an evaluation.
#[derive(Debug, Clone)]
pub enum TrainEvent {
    /// A run of a sweep begins.
    Run(RunReport),
    /// The data was listed and split.
    Data(DataFacts),
    /// The images were looked at before anything is learned.
    Examined(Findings),
    /// An image was left out.
    Unreadable {
        /// Where it is.
        image: Origin,
        /// Why it could not be read.
        reason: String,
    },
    /// Images went through decoding and, where there is one, the frozen part of the model.
    Images(ImagesProgress),
    /// One optimizer step was made.
    Step(StepReport),
    /// One pass over the training images is complete and was validated.
    Epoch(EpochReport),
    /// Training ended; the best epoch's weights are kept.
    Finished(Summary),
}

/// A run of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// Its number, from 0.
    pub number: usize,
    /// Runs in all.
    pub of: usize,
    /// What is its own: `key=value` for each swept key.
    pub words: Vec<String>,
}

/// What was found in the data folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataFacts {
    /// Class names, sorted.
    pub classes: Vec<String>,
    /// Images to learn from, per class.
    pub train: Vec<usize>,
    /// Images held out, per class.
    pub val: Vec<usize>,
    /// Images that the data set keeps for the end, per class.
    pub test: Vec<usize>,
    /// Files that equal another one byte for byte.
    pub duplicates: usize,
    /// Equal files that lie in different classes.
    pub conflicts: usize,
}

/// How far a pass over image files is.
#[derive(Debug, Clone, Copy)]
pub struct ImagesProgress {
    /// What is done with the images.
    pub what: ImagesPass,
    /// Images done, unreadable ones included.
    pub done: usize,
    /// Images in all.
    pub total: usize,
    /// Since the pass began.
    pub elapsed: Duration,
}

/// A pass over image files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImagesPass {
    /// Every image is looked at.
    Examine,
    /// Everything before the head runs.
    Features,
    /// Images are decoded and prepared.
    Decode,
    /// The whole model runs.
    Evaluate,
    /// The whole model runs, and the ranges of its tensors are collected.
    Calibrate,
    /// Not images but layers are gone through: each is quantised alone.
    Layers,
}

impl ImagesProgress {
    /// Images a second so far.
    pub fn images_per_second(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// One optimizer step.
#[derive(Debug, Clone, Copy)]
pub struct StepReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// The step within the epoch, from 1.
    pub step: usize,
    /// Steps an epoch.
    pub steps: usize,
    /// Mean loss (nats) of the epoch so far.
    pub loss: f64,
    /// Share of right answers of the epoch so far.
    pub accuracy: f64,
    /// Training images a second over the epoch so far.
    pub images_per_second: f64,
    /// Until the last epoch ends, at this speed.
    pub time_left: Duration,
}

/// One validated epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Mean loss (nats) over the training images, with smoothing, weights and mixing as configured.
    pub train_loss: f64,
    /// Share of right answers over the training images, in training mode.
    pub train_accuracy: f64,
    /// Mean cross-entropy (nats) over the held-out images.
    pub val_loss: f64,
    /// Share of right answers over the held-out images.
    pub val_accuracy: f64,
    /// Mean cross-entropy (nats) of the average of the weights over the held-out images, where there is an average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema_val_loss: Option<f64>,
    /// Share of right answers of the average of the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema_val_accuracy: Option<f64>,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// Training images a second.
    pub images_per_second: f64,
    /// Seconds that steps waited for their images.
    pub waited_seconds: f64,
    /// Seconds the epoch took, validation included.
    pub seconds: f64,
    /// Whether this is the best epoch so far.
    pub best: bool,
}

/// What a training came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// The epoch whose weights are kept, from 1.
    pub best_epoch: usize,
    /// Epochs that were validated; an early stop leaves the one it cuts short out, unless it is the first.
    pub epochs: usize,
    /// Share of right answers of the kept weights over the held-out images.
    pub val_accuracy: f64,
    /// Mean cross-entropy (nats) of the kept weights over the held-out images.
    pub val_loss: f64,
    /// Whether somebody stopped it.
    pub stopped: bool,
    /// Seconds, from the data's listing to the last epoch.
    pub seconds: f64,
}

/// Somebody who wants to know.
pub trait Subscriber {
    /// Called for every event, in order, on the thread that trains.
    fn on_event(&mut self, event: &TrainEvent);
}

/// Nobody.
impl Subscriber for () {
    fn on_event(&mut self, _event: &TrainEvent) {}
}

/// Two subscribers, the first told first.
impl<A: Subscriber, B: Subscriber> Subscriber for (A, B) {
    fn on_event(&mut self, event: &TrainEvent) {
        self.0.on_event(event);
        self.1.on_event(event);
    }
}

impl<S: Subscriber + ?Sized> Subscriber for &mut S {
    fn on_event(&mut self, event: &TrainEvent) {
        (**self).on_event(event);
    }
}
