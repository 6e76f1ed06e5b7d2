//! Tools for the workspace's tests; depends on nothing of it.

pub mod archive;
mod close;
pub mod image;
pub mod onnx;

pub use close::{assert_close, max_abs_diff};
