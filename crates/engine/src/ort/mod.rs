//! ONNX Runtime.
//!
//! * [`Places`] finds the library and refuses a wrong one;
//! * [`OrtBackend`] owns the process's one environment and loads sessions;
//! * `value` and `error` translate tensors and failures between the two worlds;
//! * [`operators`] holds the fused operators that trained graphs use.
//!
//! Nothing outside this module names the `ort` crate.

mod backend;
mod error;
mod locate;
pub mod operators;
mod providers;
mod resident;
mod session;
mod value;

pub use backend::OrtBackend;
pub use locate::{LIBRARY_VARIABLE, Places};

/// The one version of ONNX Runtime that tintype is built and tested against.
pub const VERSION: &str = "1.31.1";
