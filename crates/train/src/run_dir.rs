//! Where a run keeps what it makes, and the log that it writes there.
//!
//! ```text
//! <run>/config.yaml                     the resolved configuration; `--config-dir RUN --config-name config` runs it again
//! <run>/checkpoints/{last,best}.safetensors  what training goes on from, and the best weights
//! <run>/metrics.jsonl, metrics.csv      a line an epoch, and a summary
//! <run>/tensorboard/events.out.…        the same for TensorBoard
//! <run>/report.html, README.md          the report, and the model card
//! <run>/confusion.json, confusion.txt   the kept weights over the held-out images
//! <run>/model/<name>/1/…, labels.txt    the model directory
//! <run>/<name>.mar                      the same in one file
//! ```

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use tintype_core::{Civil, Error, ErrorKind, Result};

use crate::checkpoint::Checkpoints;
use crate::config::TrainConfig;
use crate::event::{Subscriber, TrainEvent};

/// Where a run's directory is to be: `run_dir`, or `runs/<name>/<time>` under the working directory.
pub(crate) fn path(config: &TrainConfig) -> PathBuf {
    let timed = || unused(&Path::new("runs").join(&config.name), &timestamp(SystemTime::now()));
    config.run_dir.clone().unwrap_or_else(timed)
}

/// `<folder>/<name>`, or `<name>_2` and so on where others began in the same second.
fn unused(folder: &Path, name: &str) -> PathBuf {
    let mut path = folder.join(name);
    let mut number = 1;
    while path.exists() {
        number += 1;
        path = folder.join(format!("{name}_{number}"));
    }
    path
}

/// Makes the run's directory.
///
/// # Errors
/// `InvalidArgument` when it exists and is not empty; `Io`.
pub(crate) fn create(config: &TrainConfig) -> Result<PathBuf> {
    let Some(path) = config.run_dir.clone() else { return create_new(|| path(config)) };
    std::fs::create_dir_all(&path).map_err(|e| Error::io(&path, e))?;
    let mut entries = std::fs::read_dir(&path).map_err(|e| Error::io(&path, e))?;
    if entries.next().is_some() {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("run directory `{}` is not empty", path.display()),
        )
        .with_hint("choose another `run_dir`, or none for a new one"));
    }
    Ok(path)
}

/// Makes the directory that `path` says, which is another each time that somebody else was faster.
fn create_new(path: impl Fn() -> PathBuf) -> Result<PathBuf> {
    loop {
        let path = path();
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
        }
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io(&path, e)),
        }
    }
}

/// The directory of a run that begins ([`create`]) or goes on: then it must have a checkpoint.
///
/// # Errors
/// Those of [`create`]; `NotFound` when the run to go on with has no checkpoint.
pub(crate) fn open(config: &TrainConfig) -> Result<PathBuf> {
    let Some(run) = &config.resume else { return create(config) };
    if Checkpoints::of(run).last().is_file() {
        return Ok(run.clone());
    }
    Err(Error::new(ErrorKind::NotFound, format!("`{}` has no checkpoint to go on from", run.display()))
        .with_hint("`resume` takes the directory of a run that was stopped"))
}

/// Writes a file of the run.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|e| Error::io(path, e))
}

/// Writes `value` as JSON that can be read by eye.
///
/// # Errors
/// `Io`; `Internal` when the value cannot be written.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string_pretty(value);
    write(path, &json.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?)
}

/// Removes the model of a run that was stopped and has gone on, to make room for the new one.
///
/// # Errors
/// `Io`.
pub(crate) fn clear_model(run_dir: &Path) -> Result<()> {
    let model = run_dir.join("model");
    match std::fs::remove_dir_all(&model) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&model, e)),
        _ => Ok(()),
    }
}

/// UTC as `2026-01-31_13-45-09`: sorts by time and is a plain file name everywhere.
fn timestamp(time: SystemTime) -> String {
    let Civil { year, month, day, hour, minute, second } = Civil::of(time);
    format!("{year:04}-{month:02}-{day:02}_{hour:02}-{minute:02}-{second:02}")
}

/// Writes `metrics.jsonl`: `{"event": "epoch", …}` lines and a last `{"event": "summary", …}`.
#[derive(Debug)]
pub(crate) struct JsonLines {
    path: PathBuf,
    file: File,
    /// The lines that a run which goes on keeps. The others are cut off with its first line: before that the run may be
    /// refused, and then its log stays as it is.
    kept: Option<String>,
    /// The first failure; events cannot return one, so it waits for [`JsonLines::finish`].
    failed: Option<Error>,
}

/// A line of the log.
#[derive(Serialize)]
struct Line<'a, T> {
    event: &'static str,
    #[serde(flatten)]
    fields: &'a T,
}

impl JsonLines {
    /// An empty log at `path`.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
        Ok(Self { path, file, kept: None, failed: None })
    }

    /// The log of a run that goes on after `epochs` epochs: what was written of later ones is left out, so that each epoch
    /// stands there once.
    ///
    /// # Errors
    /// `Io`.
    pub fn resume(path: PathBuf, epochs: usize) -> Result<Self> {
        let before = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        let is_kept = |line: &&str| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            value["event"] == "epoch" && value["epoch"].as_u64().is_some_and(|e| e <= epochs as u64)
        };
        let kept = before.lines().filter(is_kept).map(|line| format!("{line}\n")).collect();
        let file = File::options().append(true).open(&path).map_err(|e| Error::io(&path, e))?;
        Ok(Self { path, file, kept: Some(kept), failed: None })
    }

    /// Whether every line was written.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(self) -> Result<()> {
        self.failed.map_or(Ok(()), Err)
    }

    fn line<T: Serialize>(&mut self, event: &'static str, fields: &T) {
        let text = serde_json::to_string(&Line { event, fields }).map_err(std::io::Error::from);
        // One write a line, so that whoever follows the file never sees half of one.
        let kept = self.kept.take();
        let written = text.and_then(|text| {
            if let Some(kept) = kept {
                self.file.set_len(0)?;
                self.file.write_all(kept.as_bytes())?;
            }
            self.file.write_all(format!("{text}\n").as_bytes())
        });
        if let Err(error) = written {
            self.failed.get_or_insert(Error::io(&self.path, error));
        }
    }
}

impl Subscriber for JsonLines {
    fn on_event(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Epoch(report) => self.line("epoch", report),
            TrainEvent::Finished(summary) => self.line("summary", summary),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn times_are_civil() {
        // GNU date: `date -u -d @… +%Y-%m-%d_%H-%M-%S`.
        let table = [
            (0, "1970-01-01_00-00-00"),
            (951_782_399, "2000-02-28_23-59-59"),
            (951_827_696, "2000-02-29_12-34-56"),
            (1_767_225_599, "2025-12-31_23-59-59"),
            (4_107_542_400, "2100-03-01_00-00-00"),
        ];
        for (seconds, expected) in table {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn runs_of_one_second_have_directories_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("runs/cats");
        let made = || create_new(|| unused(&folder, "2026-01-31_13-45-09")).unwrap();
        let names = [made(), made(), made()].map(|path| path.file_name().unwrap().to_owned());
        assert_eq!(names, ["2026-01-31_13-45-09", "2026-01-31_13-45-09_2", "2026-01-31_13-45-09_3"]);
    }

    #[test]
    fn a_run_directory_must_be_empty() {
        let dir = tempfile::tempdir().unwrap();
        let words =
            ["backbone=b".to_owned(), "data=d".to_owned(), format!("run_dir={}", dir.path().display())];
        let config = crate::config::resolve(&words).unwrap();
        assert_eq!(create(&config).unwrap(), dir.path());
        write(&dir.path().join("x"), "y").unwrap();
        assert!(create(&config).unwrap_err().message().ends_with("is not empty"));
    }
}
