//! Several trainings of one command line, and the table of what they came to.
//!
//! ```text
//! <sweep>/0, <sweep>/1, …     a run directory each
//! <sweep>/summary.csv         a line a run: its number, the swept values, the figures, why it failed
//! ```
//!
//! All configurations are resolved before the first run begins, so that a slip in the last shows at once. A run that fails
//! is a line of the table; the others go on.

use std::fmt::Write as _;
use std::path::PathBuf;

use tintype_core::{Error, ErrorKind, Result};
use tintype_engine::Backend;

use crate::config::{Composer, DataConfig, Search, TrainConfig};
use crate::event::{RunReport, Subscriber, TrainEvent};
use crate::pass::Stop;
use crate::run::{Outcome, train};
use crate::run_dir;

/// The runs of a sweep, resolved.
#[derive(Debug)]
pub struct Sweep {
    /// Where the runs' directories go.
    pub dir: PathBuf,
    /// The keys that differ.
    keys: Vec<String>,
    runs: Vec<Planned>,
}

#[derive(Debug)]
struct Planned {
    /// The values of the swept keys, as they were written.
    values: Vec<String>,
    config: TrainConfig,
}

/// What a sweep came to.
#[derive(Debug)]
pub struct Swept {
    /// Where the runs are.
    pub dir: PathBuf,
    /// The swept keys.
    pub keys: Vec<String>,
    /// A line a run that was begun, in order.
    pub lines: Vec<Line>,
}

/// One run of a sweep.
#[derive(Debug)]
pub struct Line {
    /// Its number, which is its directory's name.
    pub number: usize,
    /// The values of the swept keys.
    pub values: Vec<String>,
    /// What it left, or why it failed.
    pub result: Result<Outcome>,
}

impl Sweep {
    /// Resolves the runs that `words` ask for.
    ///
    /// # Errors
    /// Those of [`Composer::jobs`] and [`Composer::resolve`], saying which run.
    pub fn plan(composer: &Composer, words: &[String], search: Search) -> Result<Self> {
        let keys = composer.swept(words)?;
        let mut runs = Vec::new();
        for job in composer.jobs(words, search)? {
            let value = |key: &String| {
                let prefix = format!("{key}=");
                let of = |word: &String| {
                    word.trim_start_matches(['+', '~']).strip_prefix(&prefix).map(str::to_owned)
                };
                job.iter().rev().find_map(of).unwrap_or_default()
            };
            let values = keys.iter().map(value).collect();
            let resolved = composer.resolve(&job).map_err(|e| e.context(format!("`{}`", job.join(" "))))?;
            runs.push(Planned { values, config: resolved.config });
        }
        let dir = runs.first().map(|run| run_dir::path(&run.config)).unwrap_or_default();
        for (number, run) in runs.iter_mut().enumerate() {
            run.config.run_dir = Some(dir.join(number.to_string()));
        }
        Ok(Self { dir, keys, runs })
    }

    /// What the runs learn from, in order.
    pub fn data(&mut self) -> impl Iterator<Item = &mut DataConfig> {
        self.runs.iter_mut().map(|run| &mut run.config.data)
    }

    /// The configurations, in order.
    pub fn configs(&self) -> impl Iterator<Item = &TrainConfig> {
        self.runs.iter().map(|run| &run.config)
    }

    /// Trains one after the other and writes the table. A requested stop ends the run that it meets, and the sweep.
    ///
    /// # Errors
    /// `Cancelled` when it was stopped before any run had something to keep; `Io` for the table. What a run returns is in
    /// its line.
    pub fn run(self, backend: &dyn Backend, stop: &Stop, subscriber: &mut dyn Subscriber) -> Result<Swept> {
        let Self { dir, keys, runs } = self;
        let of = runs.len();
        let mut lines = Vec::new();
        for (number, Planned { values, config }) in runs.into_iter().enumerate() {
            let pairs = keys.iter().zip(&values).map(|(key, value)| format!("{key}={value}")).collect();
            subscriber.on_event(&TrainEvent::Run(RunReport { number, of, words: pairs }));
            let result = train(&config, backend, stop, subscriber);
            match result {
                Err(error) if error.kind() == ErrorKind::Cancelled && lines.is_empty() => return Err(error),
                Err(error) if error.kind() == ErrorKind::Cancelled => break,
                result => lines.push(Line { number, values, result }),
            }
            let swept = Swept { dir: dir.clone(), keys: keys.clone(), lines };
            std::fs::create_dir_all(&dir).map_err(|e| Error::io(&dir, e))?;
            run_dir::write(&dir.join("summary.csv"), &swept.to_csv())?;
            lines = swept.lines;
            if stop.is_requested() {
                break;
            }
        }
        Ok(Swept { dir, keys, lines })
    }
}

impl Swept {
    /// The run of the highest validation accuracy, of equal ones that of the lowest loss.
    pub fn best(&self) -> Option<(&Line, &Outcome)> {
        let done = self.lines.iter().filter_map(|line| Some((line, line.result.as_ref().ok()?)));
        done.reduce(|best, next| {
            let (a, b) = (best.1.summary, next.1.summary);
            let better = (b.val_accuracy, -b.val_loss) > (a.val_accuracy, -a.val_loss);
            if better { next } else { best }
        })
    }

    /// The table as CSV (RFC 4180).
    pub fn to_csv(&self) -> String {
        let mut text = String::from("run");
        // Writing to a string cannot fail, here and below.
        for key in &self.keys {
            let _ = write!(text, ",{}", quoted(key));
        }
        text.push_str(",val_accuracy,val_loss,macro_f1,best_epoch,epochs,seconds,error\n");
        for Line { number, values, result } in &self.lines {
            let _ = write!(text, "{number}");
            for value in values {
                let _ = write!(text, ",{}", quoted(value));
            }
            let _ = match result {
                Ok(Outcome { summary, evaluation, .. }) => writeln!(
                    text,
                    ",{:.6},{:.6},{:.6},{},{},{:.1},",
                    summary.val_accuracy,
                    summary.val_loss,
                    evaluation.macro_f1,
                    summary.best_epoch,
                    summary.epochs,
                    summary.seconds
                ),
                Err(error) => writeln!(text, ",,,,,,,{}", quoted(error.message())),
            };
        }
        text
    }

    /// The table for people, the best run marked.
    pub fn to_table(&self) -> String {
        let best = self.best().map(|(line, _)| line.number);
        let wide = |i: usize| {
            let values = self.lines.iter().map(|line| line.values[i].chars().count());
            values.chain([self.keys[i].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.keys.len()).map(wide).collect();
        let mut text = String::from("run ");
        // Writing to a string cannot fail, here and below.
        for (key, width) in self.keys.iter().zip(&widths) {
            let _ = write!(text, "  {key:width$}");
        }
        text.push_str("  accuracy    loss  macro F1  seconds\n");
        for Line { number, values, result } in &self.lines {
            let _ = write!(text, "{number:>3}{}", if best == Some(*number) { '*' } else { ' ' });
            for (value, width) in values.iter().zip(&widths) {
                let _ = write!(text, "  {value:width$}");
            }
            let _ = match result {
                Ok(Outcome { summary: s, evaluation: e, .. }) => writeln!(
                    text,
                    "  {:6.2} %  {:6.4}    {:6.4}  {:7.1}",
                    100.0 * s.val_accuracy,
                    s.val_loss,
                    e.macro_f1,
                    s.seconds
                ),
                Err(error) => writeln!(text, "  {error}"),
            };
        }
        text
    }
}

/// A field of CSV.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
