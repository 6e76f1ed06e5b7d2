//! What is traced, for both front ends.

use tintype_core::triton::TraceSettings;
use tintype_core::{Error, ErrorKind, Result};

use crate::app::App;

/// The settings of the server, or of a model, after `changes`: names, and values that none of takes a setting back.
///
/// # Errors
/// `InvalidArgument` for a model that is not ready, and for settings that cannot be; `Unsupported` for those that only the
/// command line sets; `UnknownModel`.
pub(crate) fn trace(
    app: &App,
    model: Option<&str>,
    changes: &[(String, Vec<String>)],
) -> Result<TraceSettings> {
    if let Some(model) = model
        && !app.runtime.model_ready(model, None)?
    {
        let message = format!("Request for unknown model : {model}");
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    if changes.is_empty() {
        return Ok(app.runtime.tracing().settings(model));
    }
    app.runtime
        .tracing()
        .change(model, |own| changes.iter().try_for_each(|(name, values)| own.set(name, values)))
}
