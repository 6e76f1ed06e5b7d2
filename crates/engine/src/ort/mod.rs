//! ONNX Runtime.
//!
//! * [`Places`] finds the library and refuses a wrong one;
//! * [`OrtBackend`] owns the process's one environment and loads sessions;
//! * `optimized` keeps graphs that were optimised ahead, with weights that are mapped;
//! * `value` and `error` translate tensors and failures between the two worlds;
//! * [`operators`] holds the fused operators that trained graphs use.
//!
//! Nothing outside this module names the `ort` crate.

mod backend;
mod error;
mod locate;
pub mod operators;
mod optimized;
mod providers;
mod resident;
mod session;
mod value;

pub use backend::OrtBackend;
pub use locate::{LIBRARY_VARIABLE, Places};
pub use optimized::Optimized;

/// The one version of ONNX Runtime that tintype is built and tested against.
pub const VERSION: &str = "1.31.1";

/// The environment variable that keeps the library from reporting its use to its makers; read when it is loaded.
pub const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";
