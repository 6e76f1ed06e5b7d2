//! ONNX as data.
//!
//! * [`Model`] reads and writes files; [`proto`] is the format, message by message;
//! * [`head`] finds the last linear layer of a classifier, cuts the graph before it, and replaces it.
//!
//! Running a graph is the business of `tintype-engine`.

pub mod head;
mod model;
mod node;
pub mod proto;
mod rewrite;
mod tensor;
mod wiring;

pub use model::Model;
pub use node::Attribute;
