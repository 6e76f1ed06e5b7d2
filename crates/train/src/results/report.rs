//! `report.html`: figures, curves, confusion, mistakes, calibration, data and configuration of a training or an evaluation.

use std::fmt::Write as _;

use tintype_chart::{escaped, page};
use tintype_core::Result;

use super::chart::{self, Line, Unit};
use super::history::{Epoch, column};
use super::mistakes::{thumbnail, worst};
use super::{Calibration, Told};
use crate::evaluate::{Answers, Judged};
use crate::event::DataFacts;
use crate::metrics::{Evaluation, FileError};

const STYLE: &str = include_str!("report.css");
/// Classes whose confusion matrix still fits a screen.
const WIDEST_MATRIX: usize = 40;
/// Rows of tables that are cut off.
const MOST_ROWS: usize = 60;
/// Mistakes with a picture each.
const MOST_MISTAKES: usize = 24;

/// The page of a training.
///
/// # Errors
/// `Internal` when the configuration cannot be written.
pub(super) fn of_training(told: &Told, history: &[Epoch]) -> Result<String> {
    let Told { config, facts, findings, summary, evaluation, answers, before } = told;
    let mut body = format!("<h1>{}</h1>\n", escaped(&config.name));
    let scope = if config.scope == crate::config::Scope::Head { "a new last layer" } else { "every layer" };
    let start = config.start();
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        body,
        "<p>Trained {scope} of <code>{}</code>: kept epoch {} of {}{}, {:.0} s. Figures are over the held-out images, \
         by which the epoch was chosen and the probabilities were calibrated.</p>",
        escaped(&start),
        summary.best_epoch,
        summary.epochs,
        if summary.stopped { ", stopped early" } else { "" },
        summary.seconds
    );
    body += &tiles(evaluation);
    body += &curves(history, summary.best_epoch);
    body += &calibration(&evaluation.calibration, answers, Some(before));
    body += &confusion(evaluation);
    body += &classes(evaluation, answers);
    body += &mistakes(answers);
    body += &data(facts, findings);
    body += &unreadable(&evaluation.errors);
    let _ = writeln!(
        body,
        "<h2>Configuration</h2>\n<details><summary>config.yaml</summary><pre>{}</pre></details>",
        escaped(&config.to_yaml()?)
    );
    Ok(page(&config.name, STYLE, &body))
}

/// The page of an evaluation of `model` on `data`.
pub(super) fn of_evaluation(judged: &Judged, model: &str, data: &str) -> String {
    let Judged { evaluation, answers } = judged;
    let mut body =
        format!("<h1>{}</h1>\n<p>Evaluated on <code>{}</code>.</p>\n", escaped(model), escaped(data));
    body += &tiles(evaluation);
    body += &calibration(&evaluation.calibration, answers, None);
    body += &confusion(evaluation);
    body += &classes(evaluation, answers);
    body += &mistakes(answers);
    body += &unreadable(&evaluation.errors);
    page(model, STYLE, &body)
}

fn tiles(e: &Evaluation) -> String {
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let mut tiles = vec![("accuracy", percent(e.accuracy))];
    if e.labels.len() > 5 {
        tiles.push(("top-5", percent(e.top5)));
    }
    tiles.extend([
        ("macro F1", format!("{:.4}", e.macro_f1)),
        ("weighted F1", format!("{:.4}", e.weighted_f1)),
        ("calibration error", format!("{:.4}", e.calibration.ece)),
        ("images", e.n.to_string()),
        ("classes", e.labels.len().to_string()),
    ]);
    let tile =
        |(name, value): &(&str, String)| format!("<div class='tile'><b>{value}</b><span>{name}</span></div>");
    format!("<div class='tiles'>{}</div>\n", tiles.iter().map(tile).collect::<String>())
}

fn curves(history: &[Epoch], kept: usize) -> String {
    let chart = |title: &str, unit: Unit, columns: &[(&str, &str)]| {
        let found: Vec<(&str, Vec<f64>)> = columns
            .iter()
            .filter_map(|(name, column_name)| Some((*name, column(history, column_name)?)))
            .collect();
        let lines: Vec<Line> = found.iter().map(|(name, values)| Line { name, values }).collect();
        if lines.is_empty() { String::new() } else { chart::lines(title, &lines, unit, kept) }
    };
    let loss = [("training", "train_loss"), ("held out", "val_loss"), ("held out, averaged", "ema_val_loss")];
    let accuracy = loss.map(|(name, column)| (name, column.replace("loss", "accuracy")));
    let accuracy = [0, 1, 2].map(|i| (accuracy[i].0, accuracy[i].1.as_str()));
    format!(
        "<h2>Curves</h2>\n<div class='charts'>{}{}{}{}</div>\n",
        chart("Loss", Unit::Number, &loss),
        chart("Accuracy", Unit::Percent, &accuracy),
        chart("Learning rate", Unit::Number, &[("last step", "learning_rate")]),
        chart("Images a second", Unit::Number, &[("training", "images_per_second")]),
    )
}

fn calibration(found: &Calibration, answers: &Answers, before: Option<&Calibration>) -> String {
    let t = answers.postprocess.temperature;
    let mut note = format!("ECE <b>{:.4}</b>", found.ece);
    if let Some(before) = before.filter(|_| t != 1.0) {
        let _ = write!(note, ", {:.4} before the temperature of {t:.3}", before.ece);
    } else if t != 1.0 {
        let _ = write!(note, " with a temperature of {t:.3}");
    }
    let mut text =
        format!("<h2>Calibration</h2>\n<div class='charts'>{}", chart::reliability(&found.bins, &note));
    if let Some(table) = abstaining(answers) {
        text += &table;
    }
    text + "</div>\n"
}

/// What abstaining by the thresholds would do.
fn abstaining(answers: &Answers) -> Option<String> {
    let thresholds = &answers.postprocess.thresholds;
    if thresholds.is_empty() {
        return None;
    }
    let (mut answered, mut right) = (0usize, 0usize);
    for (row, &truth) in answers.probabilities().iter().zip(&answers.truths) {
        let (best, confidence) = super::calibration::best_of(row);
        if thresholds.get(best).is_some_and(|&least| confidence >= least) {
            answered += 1;
            right += usize::from(best == truth);
        }
    }
    let n = answers.truths.len().max(1);
    Some(format!(
        "<figure><h3>Abstaining</h3><p>With the thresholds of the package {:.1} % of the images are answered, and \
         {:.2} % of those answers are right. Ask for it with <code>/predict?abstain=true</code>, or set \
         <code>abstain = true</code> under <code>[serving]</code> in <code>tintype.toml</code>.</p></figure>",
        100.0 * answered as f64 / n as f64,
        100.0 * right as f64 / answered.max(1) as f64
    ))
}

fn confusion(e: &Evaluation) -> String {
    let mut text = String::from("<h2>Confusion</h2>\n");
    if e.labels.len() > WIDEST_MATRIX {
        return text + &confused_pairs(e);
    }
    text += "<p>True class in rows, answer in columns.</p>\n<div class='wide'><table class='matrix'><thead><tr><th></th>";
    for label in &e.labels {
        let _ = write!(text, "<th><span>{}</span></th>", escaped(label));
    }
    text += "</tr></thead><tbody>\n";
    for (truth, row) in e.confusion.iter().enumerate() {
        let _ = write!(text, "<tr><th>{}</th>", escaped(&e.labels[truth]));
        let total = row.iter().sum::<u64>().max(1) as f64;
        for (answer, &count) in row.iter().enumerate() {
            let class = match (count, truth == answer) {
                (0, _) => "zero",
                (_, true) => "diagonal",
                _ => "",
            };
            let shade = 0.75 * count as f64 / total;
            let _ = write!(
                text,
                "<td class='{class}' style='background:rgba(var(--heat),{shade:.2})'>{count}</td>"
            );
        }
        text += "</tr>\n";
    }
    text + "</tbody></table></div>\n"
}

/// The pairs of classes that are mistaken most often.
fn confused_pairs(e: &Evaluation) -> String {
    let mut pairs: Vec<(u64, usize, usize)> = Vec::new();
    for (truth, row) in e.confusion.iter().enumerate() {
        let wrong = row.iter().enumerate().filter(|&(answer, &count)| answer != truth && count > 0);
        pairs.extend(wrong.map(|(answer, &count)| (count, truth, answer)));
    }
    pairs.sort_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut text = String::from(
        "<div class='wide'><table><thead><tr><th>class</th><th>taken for</th><th>images</th></tr></thead><tbody>\n",
    );
    for (count, truth, answer) in pairs.into_iter().take(MOST_ROWS / 2) {
        let (truth, answer) = (escaped(&e.labels[truth]), escaped(&e.labels[answer]));
        let _ = writeln!(text, "<tr><td>{truth}</td><td>{answer}</td><td>{count}</td></tr>");
    }
    text + "</tbody></table></div>\n"
}

fn classes(e: &Evaluation, answers: &Answers) -> String {
    let mut order: Vec<usize> = (0..e.per_class.len()).filter(|&i| e.per_class[i].support > 0).collect();
    order.sort_by(|&a, &b| e.per_class[a].f1.total_cmp(&e.per_class[b].f1).then(a.cmp(&b)));
    let all = order.len();
    order.truncate(MOST_ROWS);
    let cut = if all > order.len() { format!(", the worst {} of {all}", order.len()) } else { String::new() };
    let thresholds = &answers.postprocess.thresholds;
    let threshold = if thresholds.is_empty() { "" } else { "<th>threshold</th>" };
    let mut text = format!(
        "<h2>Classes</h2>\n<p>By F1, lowest first{cut}.</p>\n<div class='wide'><table><thead><tr><th>class</th>\
         <th>precision</th><th>recall</th><th>F1</th><th>images</th>{threshold}</tr></thead><tbody>\n"
    );
    for index in order {
        let c = &e.per_class[index];
        let _ = write!(
            text,
            "<tr><td>{}</td><td>{:.4}</td><td>{:.4}</td><td>{:.4}</td><td>{}</td>",
            escaped(&c.label),
            c.precision,
            c.recall,
            c.f1,
            c.support
        );
        if let Some(threshold) = thresholds.get(index) {
            let _ = write!(text, "<td>{threshold:.4}</td>");
        }
        text += "</tr>\n";
    }
    text + "</tbody></table></div>\n"
}

fn mistakes(answers: &Answers) -> String {
    let found = worst(answers, MOST_MISTAKES);
    if found.is_empty() {
        return "<h2>Mistakes</h2>\n<p>None.</p>\n".to_owned();
    }
    let mut text =
        String::from("<h2>Mistakes</h2>\n<p>The surest wrong answers.</p>\n<div class='mistakes'>\n");
    for mistake in found {
        let shown = mistake.image.to_string();
        let name = shown.rsplit(std::path::MAIN_SEPARATOR).next().unwrap_or(&shown);
        let picture = thumbnail(&mistake.image)
            .map(|url| format!("<img src='{url}' alt='{}' loading='lazy'>", escaped(name)))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "<figure>{picture}<figcaption title='{}'><b>{}</b> {:.0} %<br>is {}</figcaption></figure>",
            escaped(&shown),
            escaped(&answers.labels[mistake.answer]),
            100.0 * mistake.confidence,
            escaped(&answers.labels[mistake.truth]),
        );
    }
    text + "</div>\n"
}

fn data(facts: &DataFacts, findings: &[String]) -> String {
    let DataFacts { classes, train, val, test, duplicates, conflicts } = facts;
    let total = |counts: &[usize]| counts.iter().sum::<usize>();
    let mut text = format!(
        "<h2>Data</h2>\n<p>{} classes, {} images to learn from, {} held out, {} left for the end; {duplicates} duplicates, \
         {conflicts} of them in another class.</p>\n{}<div class='wide'><table><thead><tr><th>class</th><th></th><th>to learn from</th>\
         <th>held out</th></tr></thead><tbody>\n",
        classes.len(),
        total(train),
        total(val),
        total(test),
        list(findings),
    );
    let most = train.iter().copied().max().unwrap_or(0).max(1);
    for (i, class) in classes.iter().enumerate().take(MOST_ROWS) {
        let share = 120 * train[i] / most;
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td style='text-align:left'><span class='share' style='width:{share}px'></span></td>\
             <td>{}</td><td>{}</td></tr>",
            escaped(class),
            train[i],
            val[i]
        );
    }
    text + "</tbody></table></div>\n"
}

fn list(findings: &[String]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let items: String = findings.iter().map(|finding| format!("<li>{}</li>", escaped(finding))).collect();
    format!("<ul>{items}</ul>\n")
}

fn unreadable(errors: &[FileError]) -> String {
    if errors.is_empty() {
        return String::new();
    }
    let mut text = format!("<details><summary>{} files could not be read</summary><pre>", errors.len());
    for error in errors.iter().take(MOST_ROWS) {
        let _ = writeln!(text, "{}: {}", escaped(&error.path), escaped(&error.message));
    }
    text + "</pre></details>\n"
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tintype_core::PostprocessSpec;

    use super::*;

    /// Three images of two classes with names that HTML would read as markup.
    fn judged() -> Judged {
        let answers = Answers {
            labels: vec!["<cat>".to_owned(), "dog & \"fox\"".to_owned()],
            images: ["a.jpg", "b.jpg", "c<d>.jpg"].map(|name| PathBuf::from(name).into()).to_vec(),
            truths: vec![0, 1, 1],
            scores: vec![vec![3.0, 0.0], vec![0.0, 1.0], vec![2.0, 0.0]],
            postprocess: PostprocessSpec { thresholds: vec![0.9, 0.5], ..PostprocessSpec::default() },
            errors: vec![],
        };
        Judged { evaluation: answers.evaluate(), answers }
    }

    #[test]
    fn a_page_links_to_nothing_and_escapes_names() {
        let page = of_evaluation(&judged(), "m<b>", "photos");
        for text in ["http:", "https:", "<script", "<cat>", "m<b>", "c<d>", "NaN"] {
            assert!(!page.contains(text), "{text} in {page}");
        }
        for text in ["&lt;cat&gt;", "dog &amp; &quot;fox&quot;", "66.67 %", "<title>m&lt;b&gt;</title>"] {
            assert!(page.contains(text), "{text} not in {page}");
        }
        // Two answers reach their threshold and are right; the surest mistake is the only one.
        assert!(page.contains("66.7 % of the images are answered, and 100.00 % of those"), "{page}");
        assert_eq!(page.matches("<figcaption title=").count(), 1);
    }
}
