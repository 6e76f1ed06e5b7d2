//! Running models: the [`Backend`] and [`Session`] traits, ONNX Runtime behind them, and a mock for tests.
//!
//! * [`backend`](Backend) says what an engine is; `inputs` checks what goes in, the same way for every engine;
//! * [`ResidentSession`] leaves results on the device for the next run, as a training on a GPU wants it;
//! * [`ort`] is ONNX Runtime, found at run time, with the fused operators of training;
//! * [`mock`] answers by a script, for tests of what stands above.
//!
//! Which session runs when, and on what thread, is the business of `tintype-runtime`; what the numbers mean, of
//! `tintype-core`.

mod backend;
mod cpu;
mod inputs;
pub mod mock;
pub mod ort;
mod resident;

pub use backend::{Accelerator, Backend, Device, Optimization, Session, SessionOptions};
pub use cpu::cpu_features;
pub use resident::{Operand, Resident, ResidentSession};
