//! The commands, one file each: `*Args` is what is typed, `run` does it.

#[cfg(not(all(feature = "bench", feature = "train")))]
pub mod absent;
mod annotate;
#[cfg(feature = "bench")]
pub mod bench;
#[cfg(feature = "train")]
mod data;
#[cfg(feature = "train")]
pub mod demo;
pub mod doctor;
#[cfg(feature = "train")]
pub mod evaluate;
mod hub;
#[cfg(any(feature = "bench", feature = "train"))]
mod interrupt;
mod model;
pub mod optimize;
pub mod package;
pub mod predict;
#[cfg(feature = "train")]
mod progress;
pub mod serve;
#[cfg(feature = "train")]
pub mod train;

#[cfg(not(feature = "bench"))]
pub use absent as bench;
#[cfg(not(feature = "train"))]
pub use absent as demo;
#[cfg(not(feature = "train"))]
pub use absent as evaluate;
#[cfg(not(feature = "train"))]
pub use absent as train;
