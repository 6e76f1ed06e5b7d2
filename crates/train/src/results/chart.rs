//! Charts as inline SVG. Colours are CSS variables of [`super::page`], so that they follow light and dark.

use std::fmt::Write as _;

use super::calibration::Bin;
use super::page::escaped;

/// Width and height of a chart's plane, and the margins around it, in SVG units.
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 40.0;
const TOP: f64 = 8.0;
const BELOW: f64 = 22.0;

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
    let x = |i: usize| LEFT + WIDTH * if epochs > 1 { i as f64 / (epochs - 1) as f64 } else { 0.5 };
    let y = |v: f64| TOP + HEIGHT * (1.0 - (v - low) / (high - low).max(1e-12));
    let mut svg = frame(title);
    for i in 0..=4 {
        let value = low + (high - low) * f64::from(i) / 4.0;
        tick_y(&mut svg, y(value), &written(value, unit));
    }
    let step = epochs.div_ceil(8);
    for i in (0..epochs).filter(|i| i % step == 0 || epochs == 1) {
        tick_x(&mut svg, x(i), &(i + 1).to_string());
    }
    // Writing to a string cannot fail, here and below.
    if (1..=epochs).contains(&kept) {
        let at = x(kept - 1);
        let _ = write!(svg, "<path class='kept' d='M{at:.1} {TOP}V{:.1}'/>", TOP + HEIGHT);
    }
    let mut legend = String::new();
    for (i, line) in lines.iter().enumerate() {
        let mut path = String::new();
        for (at, value) in line.values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let _ = write!(path, "{}{:.1} {:.1}", if path.is_empty() { 'M' } else { 'L' }, x(at), y(*value));
        }
        let _ = write!(svg, "<path class='line c{i}' d='{path}'/>");
        if let ([value], [at]) = (line.values, [x(0)]) {
            let _ = write!(svg, "<circle class='dot c{i}' cx='{at:.1}' cy='{:.1}' r='3'/>", y(*value));
        }
        let last = line.values.last().copied().unwrap_or(f64::NAN);
        let _ =
            write!(legend, "<span class='c{i}'>{} <b>{}</b></span>", escaped(line.name), written(last, unit));
    }
    figure(title, &svg, &legend)
}

/// The reliability diagram: accuracy over confidence, beside what perfect calibration would be.
pub(super) fn reliability(bins: &[Bin], note: &str) -> String {
    let title = "Reliability";
    let mut svg = frame(title);
    let y = |share: f64| TOP + HEIGHT * (1.0 - share);
    for i in 0..=4 {
        let share = f64::from(i) / 4.0;
        tick_y(&mut svg, y(share), &written(share, Unit::Percent));
        tick_x(&mut svg, LEFT + WIDTH * share, &written(share, Unit::Percent));
    }
    let width = WIDTH / bins.len().max(1) as f64;
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
    for (i, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.count > 0) {
        let (x, top) = (LEFT + width * i as f64, y(bin.accuracy));
        // Bins of few answers are pale: their accuracy says little.
        let shade = 0.35 + 0.65 * (bin.count as f64 / most).sqrt();
        let _ = write!(
            svg,
            "<rect class='bar' x='{:.1}' y='{top:.1}' width='{:.1}' height='{:.1}' opacity='{shade:.2}'><title>{} \
             answers, confidence {:.1} %, right {:.1} %</title></rect>",
            x + 1.0,
            width - 2.0,
            TOP + HEIGHT - top,
            bin.count,
            100.0 * bin.confidence,
            100.0 * bin.accuracy
        );
    }
    let (left, right, bottom) = (LEFT, LEFT + WIDTH, TOP + HEIGHT);
    let _ = write!(svg, "<path class='kept' d='M{left} {bottom}L{right} {TOP}'/>");
    figure(title, &svg, &format!("<span>{note}</span>"))
}

fn frame(title: &str) -> String {
    let (width, height) = (LEFT + WIDTH + 20.0, TOP + HEIGHT + BELOW);
    format!("<svg viewBox='0 0 {width} {height}' role='img' aria-label='{}'>", escaped(title))
}

fn figure(title: &str, svg: &str, legend: &str) -> String {
    format!("<figure><h3>{}</h3>{svg}</svg><figcaption>{legend}</figcaption></figure>\n", escaped(title))
}

fn tick_y(svg: &mut String, y: f64, text: &str) {
    let (right, at) = (LEFT + WIDTH, LEFT - 6.0);
    let _ = write!(
        svg,
        "<path class='grid' d='M{LEFT} {y:.1}H{right}'/><text x='{at}' y='{:.1}' text-anchor='end'>{text}</text>",
        y + 3.5
    );
}

fn tick_x(svg: &mut String, x: f64, text: &str) {
    let y = TOP + HEIGHT + 16.0;
    let _ = write!(svg, "<text x='{x:.1}' y='{y}' text-anchor='middle'>{text}</text>");
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
