//! Charts of a report: lines over the epochs, and the reliability diagram.

use tintype_chart::{Chart, Layout, escaped};

use super::calibration::Bin;

const LAYOUT: Layout =
    Layout { width: 320.0, height: 170.0, top: 8.0, left: 40.0, right: 20.0, bottom: 22.0, labels: 16.0 };

/// A line over the epochs.
pub(super) struct Line<'a> {
    pub name: &'a str,
    pub values: &'a [f64],
}

/// How values on an axis are written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Unit {
    /// Shares as percent.
    Percent,
    /// Numbers.
    Number,
}

/// A chart of lines over the epochs 1, 2, …, the kept epoch marked.
pub(super) fn lines(title: &str, lines: &[Line], unit: Unit, kept: usize) -> String {
    let all = || lines.iter().flat_map(|line| line.values).copied().filter(|v| v.is_finite());
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        return String::new();
    }
    let room = if high > low { 0.06 * (high - low) } else { 0.5 * high.abs().max(1e-3) };
    let (low, high) = match unit {
        Unit::Percent => ((low - room).max(0.0), (high + room).min(1.0)),
        Unit::Number => ((low - room).max(if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY }), high + room),
    };
    let epochs = lines.iter().map(|line| line.values.len()).max().unwrap_or(1);
    // A single epoch stands in the middle.
    let x = if epochs > 1 { 1.0..epochs as f64 } else { 0.0..2.0 };
    let mut chart = Chart::new(title, LAYOUT, x, low..high);
    for i in 0..=4 {
        let value = low + (high - low) * f64::from(i) / 4.0;
        chart.y_tick(value, &written(value, unit));
    }
    for epoch in (1..=epochs).step_by(epochs.div_ceil(8)) {
        chart.x_tick(epoch as f64, &epoch.to_string());
    }
    if (1..=epochs).contains(&kept) {
        chart.path("kept", [(kept as f64, high), (kept as f64, low)]);
    }
    for (i, line) in lines.iter().enumerate() {
        let points = line.values.iter().enumerate().map(|(at, &value)| ((at + 1) as f64, value));
        chart.path(&format!("line c{i}"), points.filter(|(_, value)| value.is_finite()));
        let last = line.values.last().copied().unwrap_or(f64::NAN);
        if line.values.len() == 1 {
            chart.dot(i, (1.0, last), &written(last, unit));
        }
        chart.legend(i, &format!("{} <b>{}</b>", escaped(line.name), written(last, unit)));
    }
    chart.figure(title)
}

/// The reliability diagram: accuracy over confidence, beside what perfect calibration would be.
pub(super) fn reliability(bins: &[Bin], note: &str) -> String {
    let title = "Reliability";
    let mut chart = Chart::new(title, LAYOUT, 0.0..1.0, 0.0..1.0);
    for i in 0..=4 {
        let share = f64::from(i) / 4.0;
        chart.y_tick(share, &written(share, Unit::Percent));
        chart.x_tick(share, &written(share, Unit::Percent));
    }
    let (width, gap) = (1.0 / bins.len().max(1) as f64, 1.0 / LAYOUT.width);
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
    for (i, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.count > 0) {
        let left = width * i as f64;
        // Bins of few answers are pale: their accuracy says little.
        let shade = 0.35 + 0.65 * (bin.count as f64 / most).sqrt();
        let said = format!(
            "{} answers, confidence {:.1} %, right {:.1} %",
            bin.count,
            100.0 * bin.confidence,
            100.0 * bin.accuracy
        );
        let attributes = format!("class='bar' opacity='{shade:.2}'");
        chart.bar(&attributes, left + gap..left + width - gap, 0.0..bin.accuracy, &said);
    }
    chart.path("kept", [(0.0, 0.0), (1.0, 1.0)]);
    chart.note(note);
    chart.figure(title)
}

fn written(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Percent => format!("{:.0} %", 100.0 * value),
        Unit::Number if value == 0.0 => "0".to_owned(),
        Unit::Number if value.abs() < 0.001 => format!("{value:.1e}"),
        Unit::Number if value.abs() < 10.0 => format!("{value:.3}"),
        Unit::Number if value.abs() < 10_000.0 => format!("{value:.0}"),
        Unit::Number => format!("{:.0}k", value / 1000.0),
    }
}
