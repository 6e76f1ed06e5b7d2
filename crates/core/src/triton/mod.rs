//! Triton's model configuration: `config.pbtxt` read, checked, completed and answered as Triton does.
//!
//! * [`parse`] and [`from_json`] read one, [`to_json`] and [`to_text`] write it; [`proto`] holds the messages;
//! * [`fields`] says of every field that is set what it does here;
//! * [`choose_versions`] applies the version policy;
//! * [`TraceSettings`] are what its trace extension sets, [`LatencyMetrics`] what `--metrics-config` does.
//!
//! What a configuration means for the tensors of a request is [`Signature`](crate::Signature)'s; scheduling by it is
//! `tintype-runtime`'s.

mod check;
mod datatype;
mod defaults;
mod fields;
mod metrics;
mod print;
pub mod proto;
pub(crate) mod shape;
mod text;
mod trace;
mod versions;

pub use check::{check, complete_backend};
pub use defaults::{Defaults, normalize};
pub use fields::{FIELDS, Field, FieldUse, How, fields};
pub use metrics::{LatencyMetrics, parse_metrics_config};
pub use print::{to_json, to_text};
pub use proto::ModelConfig;
pub use text::{from_json, parse};
pub use trace::{TraceLevel, TraceOverrides, TraceSettings, parse_trace_config};
pub use versions::choose_versions;

/// How [`request_prefix`] begins.
const REQUEST_PREFIX: &str = "[request id: ";

/// The text before the errors that Triton's core, rather than its front ends, finds in a request.
pub fn request_prefix(id: &str) -> String {
    let id = if id.is_empty() { "<id_unknown>" } else { id };
    format!("{REQUEST_PREFIX}{id}] ")
}

/// Whether a message has its [`request_prefix`].
pub fn has_request_prefix(message: &str) -> bool {
    message.starts_with(REQUEST_PREFIX)
}
