//! The model card: what the model is, how good, from what, and what it is not for, as Markdown.

use std::fmt::Write as _;

use super::Told;
use crate::config::Scope;

/// Classes that the card lists.
const MOST_CLASSES: usize = 100;

/// The card of a training's model.
pub(super) fn write(told: &Told) -> String {
    let Told { config, facts, findings: _, summary, evaluation: e, answers, before } = told;
    let start = config.start();
    let begun = match (config.scope, config.backbone()) {
        (Scope::Head, _) => format!("a new last layer on `{start}`"),
        (Scope::All, Some(_)) => format!("`{start}`, every layer trained further"),
        (Scope::All, None) => format!("`{start}`, trained from random weights"),
    };
    let images = |counts: &[usize]| counts.iter().sum::<usize>();
    let (train, val) = (images(&facts.train), images(&facts.val));
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let mut text =
        format!("# {}\n\nAn image classifier of {} classes: {begun}.\n\n", config.name, e.labels.len());
    let top5 = if e.labels.len() > 5 { format!("| top-5 | {} |\n", percent(e.top5)) } else { String::new() };
    // Writing to a string cannot fail, here and below.
    let _ = write!(
        text,
        "## Figures\n\nOver {} held-out images, by which the epoch was chosen and the probabilities were calibrated: a \
         set that was never seen may show less.\n\n| | |\n|---|---|\n| accuracy | {} |\n{}\
         | macro F1 | {:.4} |\n| weighted F1 | {:.4} |\n| calibration error (ECE) | {:.4} |\n\n",
        e.n,
        percent(e.accuracy),
        top5,
        e.macro_f1,
        e.weighted_f1,
        e.calibration.ece,
    );
    let t = answers.postprocess.temperature;
    if t != 1.0 {
        let _ = write!(
            text,
            "Scores are divided by a temperature of {t:.3} before softmax; without it the calibration error is {:.4}.\n\n",
            before.ece
        );
    }
    let weakest = e.per_class.iter().filter(|c| c.support > 0).min_by(|a, b| a.f1.total_cmp(&b.f1));
    if let Some(c) = weakest {
        let _ = write!(text, "The weakest class is `{}` with an F1 of {:.4}.\n\n", c.label, c.f1);
    }
    let _ = write!(
        text,
        "## Training\n\n{train} images to learn from, {val} held out, of `{}`; {} duplicate files, {} of them in another \
         class. Epoch {} of {} was kept, after {:.0} s; seed {}. `config.yaml` beside this file has every setting, \
         `report.html` the curves, the confusion matrix and the worst mistakes.\n\n",
        config.data.path.display(),
        facts.duplicates,
        facts.conflicts,
        summary.best_epoch,
        summary.epochs,
        summary.seconds,
        config.seed,
    );
    text += "## Classes\n\n";
    for label in e.labels.iter().take(MOST_CLASSES) {
        let _ = writeln!(text, "- {label}");
    }
    if e.labels.len() > MOST_CLASSES {
        let _ = writeln!(text, "- and {} more", e.labels.len() - MOST_CLASSES);
    }
    let _ = write!(
        text,
        "\n## Use\n\n```sh\ntintype predict {0}.mar picture.jpg\ntintype serve {0}.mar\n```\n\n## Limits\n\nEvery picture is \
         taken for one of the classes above, also one that shows none of them.",
        config.name
    );
    if !answers.postprocess.thresholds.is_empty() {
        text += " `/predict?abstain=true` says when an answer is below the confidence at which its class is usually right.";
    }
    text + "\n"
}
