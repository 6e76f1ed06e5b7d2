//! The load itself, on one thread: workers that ask through lanes of their own.
//!
//! In a closed loop each worker asks again as soon as it has its answer. In an open loop requests have times at which
//! they are to start, whatever became of the ones before; a request's latency is counted from that time on, also when
//! all lanes were busy then. Both end when they are told to, after the requests that are under way, which have a while.

mod closed;
mod open;
mod worker;

#[cfg(test)]
mod tests;

pub use closed::closed;
pub use open::{Open, open};

use std::time::Duration;

use crate::stop::Stop;

/// How long requests that are under way at the end may take.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// Resolves when answers have been waited for long enough after `stop`.
async fn too_late(stop: &Stop) {
    stop.requested().await;
    tokio::time::sleep(LAST_ANSWERS).await;
}
