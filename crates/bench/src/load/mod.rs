//! The load itself, on one thread: workers that ask through lanes of their own.
//!
//! In a closed loop each worker asks again as soon as it has its answer. In an open loop requests have times at which
//! they are to start, whatever became of the ones before; a request's latency is counted from that time on, also when
//! all lanes were busy then. Both end when they are told to, after the requests that are under way.

mod closed;
mod open;
mod worker;

#[cfg(test)]
mod tests;

pub use closed::closed;
pub use open::{Open, open};
