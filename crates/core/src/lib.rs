//! The parts of tintype that know images, numbers and packages, and nothing of servers or engines.
//!
//! * [`image`] turns encoded bytes into RGB pixels, within limits;
//! * [`PreprocessSpec`] says what happens to the pixels, [`Plan`] is that spec validated and ready to run;
//! * [`PostprocessSpec`] and [`postprocess`] turn a row of model output into ranked [`Prediction`]s;
//! * [`ImageClassifier`] ties the three to one model: evaluation, server, batch and `predict` all call it;
//! * [`triton`] reads `config.pbtxt`, and [`Signature`] is what a model takes and gives by it;
//! * [`Ensemble`] joins models to one;
//! * [`package`] reads and writes model directories and `.mar` archives.
//!
//! Running a model is the business of `tintype-engine`; scheduling is `tintype-runtime`'s.

mod calendar;
mod classifier;
mod cores;
mod ensemble;
mod error;
pub mod image;
pub mod package;
mod plan;
pub mod postprocess;
mod signature;
mod spec;
mod tensor;
mod transpose;
pub mod triton;
mod widest;

pub use calendar::Civil;
pub use classifier::ImageClassifier;
pub use cores::cores;
pub use ensemble::{Ensemble, Link, Progress, Ready, Step};
pub use error::{Error, ErrorKind, Result};
pub use package::{ModelSource, Package};
pub use plan::{Plan, Preset, Scratch, Slot};
pub use postprocess::{Prediction, activate};
pub use signature::{Bound, Signature, bytes_of_text};
pub use spec::{
    Activation, Channels, Exif, Filter, GoldenSpec, Layout, ModelSpec, Pad, PixelType, PostprocessSpec,
    PreprocessSpec, Resize, ServingSpec, Task,
};
pub use tensor::{DType, Element, NamedTensor, Tensor, TensorData, TensorSpec};
