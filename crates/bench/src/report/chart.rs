//! Charts as inline SVG; colours are the classes `c0` to `c7` of the page.

use std::fmt::Write as _;

use super::page::escaped;

/// Width and height of a chart's plane, and the margins around it, in SVG units.
const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 44.0;
const TOP: f64 = 10.0;
const BELOW: f64 = 34.0;
/// Colours there are.
const COLOURS: usize = 8;

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
    let at = |(px, py): (f64, f64)| (LEFT + WIDTH * px / right, TOP + HEIGHT * (1.0 - py / high));
    let mut svg = frame(title);
    for (value, text) in y.ticks(high) {
        tick_y(&mut svg, at((0.0, value)).1, &text);
    }
    for (value, text) in x.ticks(right) {
        tick_x(&mut svg, at((value, 0.0)).0, &text);
    }
    axis_title(&mut svg, &x.title);
    let mut legend = String::new();
    for (i, line) in lines.iter().enumerate() {
        let colour = i % COLOURS;
        let mut path = String::new();
        for &point in &line.points {
            let (px, py) = at(point);
            // Writing to a string cannot fail, here and below.
            let _ = write!(path, "{}{px:.1} {py:.1}", if path.is_empty() { 'M' } else { 'L' });
        }
        let _ = write!(svg, "<path class='line c{colour}' d='{path}'/>");
        for (&point, label) in line.points.iter().zip(&line.labels) {
            let (px, py) = at(point);
            let said = format!("{}, {label}: {} {}", line.name, written(point.1), y.title);
            let _ = write!(
                svg,
                "<circle class='dot c{colour}' cx='{px:.1}' cy='{py:.1}' r='3'><title>{}</title></circle>",
                escaped(&said)
            );
        }
        let _ = write!(legend, "<span class='c{colour}'>{}</span>", escaped(&line.name));
    }
    figure(&format!("{title} ({})", y.title), &svg, &legend)
}

/// A chart of stacked bars.
pub(super) fn stacked(title: &str, names: &[String], bars: &[Bars]) -> String {
    let high = 1.05 * bars.iter().map(|bar| bar.values.iter().sum::<f64>()).fold(0.0, f64::max);
    if high <= 0.0 {
        return String::new();
    }
    let mut svg = frame(title);
    let y = |value: f64| TOP + HEIGHT * (1.0 - value / high);
    for (value, text) in Axis::linear("").ticks(high) {
        tick_y(&mut svg, y(value), &text);
    }
    let room = WIDTH / bars.len() as f64;
    for (i, bar) in bars.iter().enumerate() {
        let left = LEFT + room * (i as f64 + 0.15);
        let mut below = 0.0;
        for (k, &value) in bar.values.iter().enumerate() {
            let (top, height) = (y(below + value), HEIGHT * value / high);
            let said = format!("{}: {} {}", bar.name, names[k], written(value));
            let _ = write!(
                svg,
                "<rect class='bar c{}' x='{left:.1}' y='{top:.1}' width='{:.1}' height='{height:.1}'><title>{}</title></rect>",
                k % COLOURS,
                0.7 * room,
                escaped(&said)
            );
            below += value;
        }
        tick_x(&mut svg, left + 0.35 * room, &escaped(&bar.name));
    }
    let legend = names
        .iter()
        .enumerate()
        .map(|(k, name)| format!("<span class='c{}'>{}</span>", k % COLOURS, escaped(name)));
    figure(title, &svg, &legend.collect::<String>())
}

fn frame(title: &str) -> String {
    let (width, height) = (LEFT + WIDTH + 16.0, TOP + HEIGHT + BELOW);
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
    let _ = write!(svg, "<text x='{x:.1}' y='{}' text-anchor='middle'>{text}</text>", TOP + HEIGHT + 14.0);
}

fn axis_title(svg: &mut String, text: &str) {
    let (x, y) = (LEFT + WIDTH, TOP + HEIGHT + 28.0);
    let _ = write!(svg, "<text x='{x}' y='{y}' text-anchor='end'>{}</text>", escaped(text));
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
