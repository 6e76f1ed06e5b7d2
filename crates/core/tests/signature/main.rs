//! What models take and give, from configuration to answer.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod answers;
mod completion;
mod reference;
mod requests;
mod support;
