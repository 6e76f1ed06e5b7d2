//! Training image classifiers: data sets, optimizers, the loop, metrics and run directories.
//!
//! [`train`] does what a [`TrainConfig`] says and tells everything that happens as [`TrainEvent`]s to a [`Subscriber`];
//! [`evaluate`] answers a folder of labelled images with any package. Models and their gradients are graphs
//! (`tintype-graph`) that `tintype-engine` runs; drawing progress and reading the command line is the binary's.
//!
//! ```text
//! run       data → split → scope → run directory
//! scope     head: features, once → scaling → linear layer      all: architecture, images
//! trainer   loader → step → optimizer → weights → validation, best kept
//! ```

mod augment;
mod checkpoint;
pub mod config;
mod data;
mod doctor;
mod ema;
mod evaluate;
mod event;
mod examples;
mod features;
mod linear;
mod loader;
mod loss;
mod metrics;
mod optim;
mod pass;
mod place;
mod preprocessing;
pub mod quantize;
mod results;
mod run;
mod run_dir;
pub mod runs;
mod schedule;
mod scope;
mod split;
pub mod sweep;
mod tally;
mod trainer;
mod weights;

pub use config::TrainConfig;
pub use data::{Dataset, Origin, Part, Row, Sample};
pub use doctor::Findings;
pub use evaluate::{EvaluateOptions, Judged, evaluate};
pub use event::{
    DataFacts, EpochReport, ImagesPass, ImagesProgress, RunReport, StepReport, Subscriber, Summary,
    TrainEvent,
};
pub use metrics::{ClassMetrics, Confusion, Evaluation, FileError};
pub use pass::Stop;
pub use results::{Bin, Calibration};
pub use run::{Outcome, train};
pub use split::{ContentHash, Division, Split, hash_files, split};
