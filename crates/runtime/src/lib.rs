//! Serving loaded models: admission, a prepare pool, a pure batcher, instance threads and statistics.
//!
//! ```text
//! Runtime::admit        model ready, or `NotReady` with the reason
//!  ├ admission          a place for the request and for its bytes, or `Overloaded` at once
//!  ├ prepare            a thread of the pool decodes and preprocesses; bad input stops here
//!  ├ driver ─ batcher   prepared jobs wait; a batch forms only when an instance is free
//!  ├ instance           one thread and one session: gather → run → scatter
//!  └ postprocess        probabilities → ranked labels, in the caller's task
//! ```
//!
//! The decisions are pure and live in [`batcher`] and `lanes`, with time as a parameter; the threads around them only
//! wait and deliver. A request that its caller abandoned, or whose deadline passed, is never computed: whoever meets
//! it next drops it. Protocols are deliberately elsewhere, in `tintype-server`; so is the mapping of errors to statuses.

mod admission;
mod admitted;
pub mod batcher;
mod cache;
mod config;
mod driver;
mod ensemble;
mod golden;
mod instance;
mod job;
mod lanes;
mod loaded;
mod model;
mod pipeline;
mod policy;
mod prepare;
mod registry;
mod repository;
mod request;
mod runtime;
mod sequencer;
mod shared;
mod stats;
mod threads;
mod trace;
mod warm_up;

pub use admitted::Admitted;
pub use config::{Control, LoadOptions, MetricsConfig, RepositoryConfig, RuntimeConfig};
pub use model::{Description, ModelState, ModelStatus};
pub use registry::IndexEntry;
pub use repository::Overrides;
pub use request::{Answer, InferOptions, InferRequest, InferResponse, Request};
pub use runtime::Runtime;
pub use stats::{BatchTally, ModelStatistics, Snapshot, Stage, StageTimes, Tally};
pub use trace::{Activity, Trace, Tracing};
