//! Training and evaluation as one sees them: a progress bar on a terminal, plain lines elsewhere, both on stderr.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tintype_train::{
    DataFacts, EpochReport, ImagesPass, ImagesProgress, RunReport, StepReport, Subscriber, Summary,
    TrainEvent,
};

/// How often a pass over images is worth a plain line.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The share of an epoch from which on waiting for images is worth a word.
const WAITED_LONG: f64 = 0.05;

/// A subscriber that draws.
#[derive(Debug)]
pub struct Progress {
    /// Absent where stderr is not a terminal.
    bar: Option<ProgressBar>,
    /// When the last plain line of a pass over images was written.
    last_line: Instant,
}

impl Progress {
    /// Draws on stderr in the way that fits it.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            // The template is a literal: a wrong one would fail the first run of any test.
            if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:24}] {pos}/{len} {wide_msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self { bar, last_line: Instant::now() }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// A line that stays, above the bar where there is one.
    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            // A closed stderr is no reason to stop training.
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    fn draw(&self, prefix: String, done: usize, total: usize, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
            bar.set_prefix(prefix);
            bar.set_message(message);
            bar.set_position(done as u64);
        }
    }

    fn images(&mut self, progress: &ImagesProgress) {
        let what = match progress.what {
            ImagesPass::Examine => "examining",
            ImagesPass::Features => "features",
            ImagesPass::Decode => "decoding",
            ImagesPass::Evaluate => "evaluating",
            ImagesPass::Calibrate => "calibrating",
            ImagesPass::Layers => "trying layers",
        };
        let ImagesProgress { done, total, .. } = *progress;
        let speed = progress.images_per_second();
        let left = Duration::from_secs_f64((total - done) as f64 / speed.max(1e-9));
        let unit = if what == "trying layers" { "layers" } else { "images" };
        let message = format!("{unit} · {speed:.0} {unit}/s · {} left", clock(left));
        if self.bar.is_none() && (done == total || self.last_line.elapsed() >= LINE_EVERY) {
            self.say(&format!("{what}: {done}/{total} {message}"));
            self.last_line = Instant::now();
        }
        self.draw(what.to_owned(), done, total, message);
    }

    fn step(&self, report: &StepReport) {
        let StepReport { epoch, epochs, step, steps, loss, accuracy, images_per_second, time_left } = report;
        let message = format!(
            "loss {loss:.4} · accuracy {:.2} % · {images_per_second:.0} images/s · {} left",
            100.0 * accuracy,
            clock(*time_left)
        );
        self.draw(format!("epoch {epoch}/{epochs}"), *step, *steps, message);
    }
}

impl Subscriber for Progress {
    fn on_event(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Run(RunReport { number, of, words }) => {
                self.say(&format!("run {number} ({} of {of}): {}", number + 1, words.join(" ")));
            }
            TrainEvent::Data(facts) => self.say(&data_line(facts)),
            TrainEvent::Examined(findings) => {
                for sentence in findings.sentences() {
                    self.say(&format!("warning: {sentence}"));
                }
            }
            TrainEvent::Unreadable { image, reason } => {
                self.say(&format!("left out `{image}`: {reason}"));
            }
            TrainEvent::Images(progress) => self.images(progress),
            TrainEvent::Step(report) => self.step(report),
            TrainEvent::Epoch(report) => self.say(&epoch_line(report)),
            TrainEvent::Finished(summary) => self.say(&summary_line(summary)),
        }
    }
}

fn data_line(facts: &DataFacts) -> String {
    let total = |counts: &[usize]| counts.iter().sum::<usize>();
    let mut line = format!(
        "{} classes, {} images to learn from, {} held out",
        facts.classes.len(),
        total(&facts.train),
        total(&facts.val)
    );
    if total(&facts.test) > 0 {
        line += &format!(", {} left for the end", total(&facts.test));
    }
    if facts.duplicates > 0 {
        line += &format!(", {} duplicates ({} in another class)", facts.duplicates, facts.conflicts);
    }
    line
}

fn epoch_line(report: &EpochReport) -> String {
    let waited = report.waited_seconds / report.seconds.max(1e-9);
    let mut line = format!(
        "epoch {:>3}/{}  loss {:.4}  accuracy {:.2} %  validation loss {:.4}  accuracy {:.2} %{}  {:.0} images/s",
        report.epoch,
        report.epochs,
        report.train_loss,
        100.0 * report.train_accuracy,
        report.val_loss,
        100.0 * report.val_accuracy,
        if report.best { " *" } else { "  " },
        report.images_per_second,
    );
    if waited >= WAITED_LONG {
        line += &format!("  {:.0} % of the time waiting for images", 100.0 * waited);
    }
    line
}

fn summary_line(summary: &Summary) -> String {
    format!("kept epoch {} of {} after {:.1} s", summary.best_epoch, summary.epochs, summary.seconds)
}

/// `1:02:03`, or `2:03` below an hour.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_a_clock() {
        let table = [(0, "0:00"), (59, "0:59"), (61, "1:01"), (3723, "1:02:03")];
        for (seconds, expected) in table {
            assert_eq!(clock(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn duplicates_are_told_only_where_there_are_any() {
        let facts = DataFacts {
            classes: vec!["a".into(), "b".into()],
            train: vec![8, 4],
            val: vec![2, 1],
            test: vec![0, 0],
            duplicates: 0,
            conflicts: 0,
        };
        assert_eq!(data_line(&facts), "2 classes, 12 images to learn from, 3 held out");
        let line = data_line(&DataFacts { duplicates: 3, conflicts: 1, ..facts });
        assert!(line.ends_with(", 3 duplicates (1 in another class)"), "{line}");
    }

    #[test]
    fn waiting_for_images_is_told_where_it_is_long() {
        let report = EpochReport {
            epoch: 1,
            epochs: 2,
            train_loss: 0.5,
            train_accuracy: 0.75,
            val_loss: 0.25,
            val_accuracy: 1.0,
            ema_val_loss: None,
            ema_val_accuracy: None,
            learning_rate: 0.1,
            images_per_second: 100.0,
            waited_seconds: 0.04,
            seconds: 1.0,
            best: true,
        };
        assert!(epoch_line(&report).ends_with("100.00 % *  100 images/s"), "{}", epoch_line(&report));
        let line = epoch_line(&EpochReport { waited_seconds: 0.5, ..report });
        assert!(line.ends_with("images/s  50 % of the time waiting for images"), "{line}");
    }
}
