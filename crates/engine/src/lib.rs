//! Running models: the [`Backend`] and [`Session`] traits, ONNX Runtime behind them, and a mock for tests.

mod backend;
pub mod mock;
pub mod ort;

pub use backend::{Backend, Session, SessionOptions};
