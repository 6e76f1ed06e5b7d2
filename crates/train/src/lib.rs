//! Training image classifiers: data sets, optimizers, the loop, metrics and run directories.
//!
//! [`TrainConfig`] says what to do, and everything that happens is told as [`TrainEvent`]s to a [`Subscriber`].
//! Models and their gradients are graphs (`tintype-graph`) that `tintype-engine` runs; drawing progress and reading
//! the command line is the binary's.

pub mod config;
mod data;
mod event;
mod metrics;
mod optim;
mod split;

pub use config::TrainConfig;
pub use data::{Dataset, IMAGE_EXTENSIONS, Sample};
pub use event::{
    DataFacts, EpochReport, ImagesPass, ImagesProgress, StepReport, Subscriber, Summary, TrainEvent,
};
pub use metrics::{ClassMetrics, Confusion, Evaluation, FileError};
pub use optim::Optimizer;
pub use split::{ContentHash, Split, hash_files, split};
