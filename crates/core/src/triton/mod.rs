//! Triton's model configuration: `config.pbtxt` read, checked, completed and answered as Triton does.
//!
//! * [`parse`] and [`from_json`] read one, [`to_json`] and [`to_text`] write it; [`proto`] holds the messages;
//! * [`fields`] says of every field that is set what it does here;
//! * [`choose_versions`] applies the version policy.
//!
//! What a configuration means for the tensors of a request is [`Signature`](crate::Signature)'s; scheduling by it is
//! `tintype-runtime`'s.

mod check;
mod datatype;
mod defaults;
mod fields;
mod print;
pub mod proto;
pub(crate) mod shape;
mod text;
mod versions;

pub use check::{check, complete_backend};
pub use defaults::{Defaults, normalize};
pub use fields::{FIELDS, Field, FieldUse, How, fields};
pub use print::{to_json, to_text};
pub use proto::ModelConfig;
pub use text::{from_json, parse};
pub use versions::choose_versions;
