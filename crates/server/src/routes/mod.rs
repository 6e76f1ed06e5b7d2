//! Handlers, one file an endpoint family.

pub(crate) mod docs;
pub(crate) mod info;
pub(crate) mod kserve;
pub(crate) mod metrics;
pub(crate) mod missing;
pub(crate) mod predict;
