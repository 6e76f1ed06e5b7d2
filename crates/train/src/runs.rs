//! What lies under `runs/`: finished trainings, by what they left.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tintype_core::{Error, Result};

/// A training that came to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct PastRun {
    /// Its directory.
    pub dir: PathBuf,
    /// The model's name.
    pub name: String,
    /// `head` or `all`.
    pub scope: String,
    /// What it began with: an architecture, or a file's last names.
    pub model: String,
    /// Share of right answers over the held-out images.
    pub accuracy: f64,
    /// Unweighted mean of the classes' F1.
    pub macro_f1: f64,
    /// Epochs that were validated.
    pub epochs: u64,
    /// Seconds it took.
    pub seconds: f64,
}

/// Runs lie at most this deep: `<name>/<time>/<number>` of a sweep.
const DEEPEST: usize = 3;

/// The finished runs under `root`, by directory, so that the newest of a name comes last. Folders that are no runs and runs
/// without an end are passed over.
///
/// # Errors
/// `NotFound` or `Io` when `root` cannot be read.
pub fn list(root: &Path) -> Result<Vec<PastRun>> {
    std::fs::read_dir(root).map_err(|e| Error::io(root, e))?;
    let folders = walkdir::WalkDir::new(root).max_depth(DEEPEST).sort_by_file_name().into_iter().flatten();
    Ok(folders.filter(|e| e.file_type().is_dir()).filter_map(|e| PastRun::read(e.path())).collect())
}

impl PastRun {
    /// What lies in a run's directory; none where it is no finished run.
    fn read(dir: &Path) -> Option<Self> {
        let text = |file: &str| std::fs::read_to_string(dir.join(file)).ok();
        let config: Value = serde_saphyr::from_str(&text("config.yaml")?).ok()?;
        let evaluation: Value = serde_json::from_str(&text("confusion.json")?).ok()?;
        let metrics = text("metrics.jsonl")?;
        let summary: Value = serde_json::from_str(metrics.lines().last()?).ok()?;
        let word = |value: &Value| value.as_str().map(str::to_owned);
        let path = word(&config["model"]["path"]);
        Some(Self {
            dir: dir.to_owned(),
            name: word(&config["name"])?,
            scope: word(&config["scope"])?,
            model: path.or_else(|| word(&config["model"]["name"])).map(short)?,
            accuracy: evaluation["accuracy"].as_f64()?,
            macro_f1: evaluation["macro_f1"].as_f64()?,
            epochs: summary["epochs"].as_u64()?,
            seconds: summary["seconds"].as_f64()?,
        })
    }
}

/// The last two names of a path, which tell one package or run from another.
fn short(model: String) -> String {
    let parts: Vec<&str> = model.split('/').filter(|part| !part.is_empty()).collect();
    if parts.len() > 2 { format!("…/{}", parts[parts.len() - 2..].join("/")) } else { model }
}

/// The runs as a table.
pub fn to_table(runs: &[PastRun]) -> String {
    let longest = |text: &dyn Fn(&PastRun) -> String, least: usize| {
        runs.iter().map(|run| text(run).chars().count()).max().unwrap_or(0).max(least)
    };
    let dirs = longest(&|run| run.dir.display().to_string(), 3);
    let models = longest(&|run| run.model.clone(), 5);
    let mut text =
        format!("{:dirs$}  scope  {:models$}  accuracy  macro F1  epochs  seconds\n", "run", "model");
    for run in runs {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:dirs$}  {:5}  {:models$}  {:6.2} %    {:6.4}  {:6}  {:7.1}",
            run.dir.display().to_string(),
            run.scope,
            run.model,
            100.0 * run.accuracy,
            run.macro_f1,
            run.epochs,
            run.seconds
        );
    }
    text
}
