//! Index, load and unload, for both front ends.

use tintype_api::kserve::repository::{IndexEntry, Load};
use tintype_core::Result;
use tintype_runtime::Overrides;

use crate::app::App;
use crate::heavy;

/// Every version of every model; only those that are ready where `only_ready`.
///
/// # Errors
/// `Internal` when listing them panics.
pub(crate) async fn index(app: &App, only_ready: bool) -> Result<Vec<IndexEntry>> {
    let runtime = app.runtime.clone();
    // Folders of thousands of models take long to read, and this thread moves everybody's bytes.
    let listed = heavy::elsewhere(move || Ok(runtime.index())).await?;
    let entries = listed.into_iter().filter(|entry| !only_ready || entry.state == "READY");
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let entries = entries.map(|entry| IndexEntry {
        version: entry.version.map(|version| version.to_string()),
        state: text(entry.state),
        reason: text(&entry.reason),
        name: entry.name,
    });
    Ok(entries.collect())
}

/// Loads a model, or loads it again.
///
/// # Errors
/// `NotReady` where models are not loaded by request; what is wrong with the model.
pub(crate) async fn load(app: &App, model: &str, load: Load) -> Result<()> {
    let files = load.files.into_iter().map(|file| (file.path, file.content.into())).collect();
    app.runtime.load_model(model, Overrides { config: load.config, files }).await
}

/// Unloads a model.
///
/// # Errors
/// As [`load`].
pub(crate) async fn unload(app: &App, model: &str, dependents: bool) -> Result<()> {
    app.runtime.unload_model(model, dependents).await
}
