//! The word `latest` in place of a training run: `runs/photos/latest`, or `latest` alone for one under `runs`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::{Error, ErrorKind, Result};

/// Runs lie at most this deep: `<name>/<time>/<number>` of a sweep.
const DEEPEST: usize = 3;

/// The newest training run that `path` stands for, of those that have a folder `left` (`model`, `checkpoints`); `path` itself
/// where it says nothing of `latest` or exists.
///
/// # Errors
/// `NotFound` when there is no run.
pub fn newest_run(path: &Path, left: &str) -> Result<PathBuf> {
    if path.file_name().is_none_or(|name| name != "latest") || path.exists() {
        return Ok(path.to_owned());
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("runs"));
    let newest = runs(folder, left, DEEPEST).into_iter().max();
    newest.map(|(_, run)| run).ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("`{}` holds no training run that has left a `{left}`", folder.display()),
        )
    })
}

/// Runs below `folder` that have a folder `left`, each with the time at which that last changed.
fn runs(folder: &Path, left: &str, depth: usize) -> Vec<(SystemTime, PathBuf)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let mark = path.join(left);
        if mark.is_dir() {
            found.extend(mark.metadata().and_then(|m| m.modified()).map(|time| (time, path)));
        } else if depth > 1 && path.is_dir() {
            found.extend(runs(&path, left, depth - 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs::{File, create_dir_all};
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_newest_run_with_a_model_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        let make = |run: &str, age: u64| {
            let model = dir.path().join(run).join("model");
            create_dir_all(&model).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
            File::open(&model).unwrap().set_modified(time).unwrap();
        };
        make("cats/2026-01-01_00-00-00", 30);
        make("cats/2026-01-02_00-00-00/1", 10);
        make("dogs/2026-01-01_00-00-00", 20);
        create_dir_all(dir.path().join("dogs/2026-02-01_00-00-00/checkpoints")).unwrap();
        let found = |path: &str| newest_run(&dir.path().join(path), "model").unwrap();
        assert_eq!(found("latest"), dir.path().join("cats/2026-01-02_00-00-00/1"));
        assert_eq!(found("dogs/latest"), dir.path().join("dogs/2026-01-01_00-00-00"));
        assert_eq!(found("dogs"), dir.path().join("dogs"));
        let stopped = newest_run(&dir.path().join("dogs/latest"), "checkpoints").unwrap();
        assert_eq!(stopped, dir.path().join("dogs/2026-02-01_00-00-00"));
        let none = newest_run(&dir.path().join("eels/latest"), "model").unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
    }
}
