//! Architectures: one function each, from its few numbers to a model with initial parameters.

mod small_cnn;

pub use small_cnn::{SmallCnn, small_cnn};
