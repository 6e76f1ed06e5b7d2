//! The seam between the protocol's log settings and whatever logs.

use std::fmt;

use tintype_api::kserve::settings::LogSettings;

/// What logs, and can be told what.
pub trait LogControl: fmt::Debug + Send + Sync {
    /// What is logged now.
    fn settings(&self) -> LogSettings;

    /// Logs by `settings` from now on.
    ///
    /// # Errors
    /// `Internal` when that is not possible any more.
    fn apply(&self, settings: &LogSettings) -> tintype_core::Result<()>;
}
