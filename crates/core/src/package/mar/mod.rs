//! TorchServe's model archives: a zip with `MAR-INF/MANIFEST.json`, the model and what goes with it at the root.
//!
//! `manifest` is the JSON, `read` and `write` the two directions. What unpacking may cost, and which archives are refused
//! outright, is decided in [`archive`](super::archive).

mod manifest;
mod read;
mod write;

pub(super) use read::{DIGESTS_PATH, read};
pub use write::MarOptions;
pub(super) use write::write;

/// The manifest's name in the archive.
const MANIFEST_PATH: &str = "MAR-INF/MANIFEST.json";
/// The class names' name in the archive.
const INDEX_TO_NAME: &str = "index_to_name.json";
