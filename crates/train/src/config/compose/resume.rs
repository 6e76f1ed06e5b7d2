//! `resume=RUN`: the configuration of a run that is gone on with.

use std::path::PathBuf;

use tintype_core::package::newest_run;
use tintype_core::{Error, ErrorKind, Result};

use super::files::Files;
use super::{Composer, Resolved, invalid};

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
        let run = newest_run(&run, "checkpoints")?;
        if !run.join("config.yaml").is_file() {
            let message = format!("`{}` is no training run: it has no `config.yaml`", run.display());
            let hint = "`--resume` takes a run's directory, or `latest` for the newest under `runs`";
            return Err(Error::new(ErrorKind::NotFound, message).with_hint(hint));
        }
        let (chosen, _) = self.sort(words)?;
        // A saved configuration says of no key which option it came from.
        if let Some(group) = chosen.set.keys().chain(chosen.added.iter().map(|(group, _)| group)).next() {
            return Err(invalid(format!("a run that goes on keeps its `{group}`, found `{group}=…`"))
                .with_hint(format!("single keys may change: `{group}.KEY=…`")));
        }
        let folders = std::iter::once(run.clone()).chain(self.files.folders.iter().cloned()).collect();
        let composer = Self { files: Files { folders }, primary: "config".to_owned() };
        let mut resolved = composer.compose(words)?;
        resolved.config.resume = Some(run.clone());
        resolved.config.run_dir = Some(run);
        Ok(resolved)
    }
}
