//! `resume=RUN`: the configuration of a run that is gone on with.

use std::path::PathBuf;

use tintype_core::Result;

use super::files::Files;
use super::{Composer, Resolved};

/// The run that `words` ask to go on with, and the other words.
pub(super) fn asked(words: &[String]) -> Option<(PathBuf, Vec<String>)> {
    let (runs, rest): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|word| word.starts_with("resume=") && word.as_str() != "resume=null");
    let run = runs.last()?.strip_prefix("resume=")?;
    Some((PathBuf::from(run), rest.into_iter().cloned().collect()))
}

impl Composer {
    /// The configuration that `run` has saved, changed by `words`; results go where its own are.
    pub(super) fn resumed(&self, run: PathBuf, words: &[String]) -> Result<Resolved> {
        let folders = std::iter::once(run.clone()).chain(self.files.folders.iter().cloned()).collect();
        let composer = Self { files: Files { folders }, primary: "config".to_owned() };
        let mut resolved = composer.compose(words)?;
        resolved.config.resume = Some(run.clone());
        resolved.config.run_dir = Some(run);
        Ok(resolved)
    }
}
