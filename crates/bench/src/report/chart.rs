//! Charts of a report: lines from the origin, and stacked bars.

use tintype_chart::{COLOURS, Chart, Layout, escaped};

const LAYOUT: Layout =
    Layout { width: 380.0, height: 190.0, top: 10.0, left: 44.0, right: 16.0, bottom: 34.0, labels: 14.0 };

/// An axis.
pub(super) struct Axis {
    pub title: String,
    /// Where it has ticks, and what they say; evenly spread where there are none.
    pub ticks: Option<Vec<(f64, String)>>,
}

impl Axis {
    /// One from 0, with even ticks.
    pub(super) fn linear(title: &str) -> Self {
        Self { title: title.to_owned(), ticks: None }
    }

    fn ticks(&self, most: f64) -> Vec<(f64, String)> {
        self.ticks.clone().unwrap_or_else(|| {
            let step = round_step(most / 5.0);
            (0..)
                .map(|i| f64::from(i) * step)
                .take_while(|&v| v <= most * 1.0001)
                .map(|v| (v, written(v)))
                .collect()
        })
    }
}

/// Points that are joined.
pub(super) struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    /// What is said of each point.
    pub labels: Vec<String>,
}

/// Values upon each other.
pub(super) struct Bars {
    pub name: String,
    pub values: Vec<f64>,
}

/// A chart of lines from the origin.
pub(super) fn lines(title: &str, x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let ticked = x.ticks.iter().flatten().map(|(at, _)| *at);
    let right = points().map(|p| p.0).chain(ticked).fold(0.0, f64::max);
    let high = 1.05 * points().map(|p| p.1).fold(0.0, f64::max);
    if right <= 0.0 || high <= 0.0 {
        return String::new();
    }
    let right = if x.ticks.is_some() { right } else { 1.05 * right };
    let mut chart = Chart::new(title, LAYOUT, 0.0..right, 0.0..high);
    for (value, label) in y.ticks(high) {
        chart.y_tick(value, &label);
    }
    for (value, label) in x.ticks(right) {
        chart.x_tick(value, &label);
    }
    chart.x_title(&x.title);
    for (i, line) in lines.iter().enumerate() {
        chart.path(&format!("line c{}", i % COLOURS), line.points.iter().copied());
        for (&point, label) in line.points.iter().zip(&line.labels) {
            chart.dot(i, point, &format!("{}, {label}: {} {}", line.name, written(point.1), y.title));
        }
        chart.legend(i, &escaped(&line.name));
    }
    chart.figure(&format!("{title} ({})", y.title))
}

/// A chart of stacked bars.
pub(super) fn stacked(title: &str, names: &[String], bars: &[Bars]) -> String {
    let high = 1.05 * bars.iter().map(|bar| bar.values.iter().sum::<f64>()).fold(0.0, f64::max);
    if high <= 0.0 {
        return String::new();
    }
    let mut chart = Chart::new(title, LAYOUT, 0.0..bars.len() as f64, 0.0..high);
    for (value, label) in Axis::linear("").ticks(high) {
        chart.y_tick(value, &label);
    }
    for (i, bar) in bars.iter().enumerate() {
        let at = i as f64;
        let mut below = 0.0;
        for (k, &value) in bar.values.iter().enumerate() {
            let class = format!("class='bar c{}'", k % COLOURS);
            let said = format!("{}: {} {}", bar.name, names[k], written(value));
            chart.bar(&class, at + 0.15..at + 0.85, below..below + value, &said);
            below += value;
        }
        chart.x_tick(at + 0.5, &bar.name);
    }
    for (k, name) in names.iter().enumerate() {
        chart.legend(k, &escaped(name));
    }
    chart.figure(title)
}

/// The next of 1, 2, 5, 10, … from `value` on.
fn round_step(value: f64) -> f64 {
    let unit = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|f| f * unit).into_iter().find(|&step| step >= value).unwrap_or(10.0 * unit)
}

fn written(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 0.1 => format!("{value:.3}"),
        v if v < 10.0 => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        v if v < 10_000.0 => format!("{value:.0}"),
        _ => format!("{:.0}k", value / 1000.0),
    }
}
