//! Work that would hold up other connections: on a thread of its own when it is much.

use tintype_core::{Error, ErrorKind, Result};

/// From so many bytes or elements on: about the work of a fifth of a millisecond, of which handing it over costs a tenth.
const MUCH: usize = 32 << 10;

/// Does `work` on something of `size`.
///
/// # Errors
/// Those of `work`; `Internal` when it panics on its thread.
pub(crate) async fn run<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if size < MUCH { work() } else { elsewhere(work).await }
}

/// Does `work` on another thread.
///
/// # Errors
/// Those of `work`; `Internal` when it panics on its thread.
pub(crate) async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::new(ErrorKind::Internal, "work on a request panicked").with_source(error))?
}
