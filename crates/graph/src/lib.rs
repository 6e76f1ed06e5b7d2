//! ONNX as data.
//!
//! * [`Model`] reads and writes files; [`proto`] is the format, message by message;
//! * [`Builder`] writes a model layer by layer; [`arch`] has the architectures;
//! * [`weights`] reads checkpoints of PyTorch and safetensors files into those;
//! * [`differentiate`] makes a classifier's graph one that computes loss and gradients;
//! * [`quantize`] makes an eight-bit model of a float one;
//! * [`head`] finds the last linear layer of a classifier, cuts the graph before it, and replaces it.
//!
//! Running a graph is the business of `tintype-engine`.

pub mod arch;
mod builder;
mod gradient;
pub mod head;
mod model;
mod node;
pub mod proto;
pub mod quantize;
mod rewrite;
mod shape;
mod tensor;
mod tune;
mod upgrade;
pub mod weights;
mod window;
mod wiring;

pub use builder::{Builder, Conv, Defaults, Draw, Pool, is_parameter};
pub use gradient::{
    BatchNormState, FlatOptions, GradientOptions, Half, Parameter, TrainingGraph, differentiate,
};
pub use model::Model;
pub use node::Attribute;
pub use shape::Shapes;
