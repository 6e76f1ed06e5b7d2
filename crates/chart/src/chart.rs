//! One chart: a plot area with a linear scale on each axis, grid lines, marks and a legend.

use std::fmt::Write as _;
use std::ops::Range;

use crate::escaped;

/// How many colours there are for series: the classes `c0` to `c7`.
pub const COLOURS: usize = 8;

/// Where the plot area lies in a picture, in SVG units.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Width of the plot area.
    pub width: f64,
    /// Height of the plot area.
    pub height: f64,
    /// Margin above it.
    pub top: f64,
    /// Margin for the labels of the y axis.
    pub left: f64,
    /// Margin to the right.
    pub right: f64,
    /// Margin for the labels of the x axis, and its title.
    pub bottom: f64,
    /// How far below the plot area the labels of the x axis stand.
    pub labels: f64,
}

/// A chart that is being drawn. Positions are values on its axes; they may lie outside of them.
#[derive(Debug)]
pub struct Chart {
    layout: Layout,
    x: Range<f64>,
    y: Range<f64>,
    svg: String,
    legend: String,
}

// Writing to a string cannot fail.
impl Chart {
    /// An empty chart of the values `x` to the right and `y` upwards; `name` is what screen readers say.
    pub fn new(name: &str, layout: Layout, x: Range<f64>, y: Range<f64>) -> Self {
        let Layout { width, height, top, left, right, bottom, .. } = layout;
        let (width, height, name) = (left + width + right, top + height + bottom, escaped(name));
        let svg = format!("<svg viewBox='0 0 {width} {height}' role='img' aria-label='{name}'>");
        Self { layout, x, y, svg, legend: String::new() }
    }

    /// A grid line at a value of the y axis, with its label.
    pub fn y_tick(&mut self, value: f64, label: &str) {
        let Layout { width, left, .. } = self.layout;
        let (y, right) = (self.y_of(value), left + width);
        let _ = write!(self.svg, "<path class='grid' d='M{left} {y:.1}H{right}'/>");
        self.text(left - 6.0, y + 3.5, "end", label);
    }

    /// A label at a value of the x axis.
    pub fn x_tick(&mut self, value: f64, label: &str) {
        let y = self.layout.top + self.layout.height + self.layout.labels;
        self.text(self.x_of(value), y, "middle", label);
    }

    /// The title of the x axis, at the picture's lower edge.
    pub fn x_title(&mut self, title: &str) {
        let Layout { width, height, top, left, bottom, .. } = self.layout;
        self.text(left + width, top + height + bottom - 6.0, "end", title);
    }

    /// The `points` joined, with the given CSS classes.
    pub fn path(&mut self, classes: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (x, y) in points {
            let command = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.x_of(x), self.y_of(y));
        }
        let _ = write!(self.svg, "<path class='{classes}' d='{path}'/>");
    }

    /// A dot in a colour; hovering over it shows `tooltip`.
    pub fn dot(&mut self, colour: usize, (x, y): (f64, f64), tooltip: &str) {
        let (x, y, colour, tooltip) = (self.x_of(x), self.y_of(y), colour % COLOURS, escaped(tooltip));
        let _ = write!(
            self.svg,
            "<circle class='dot c{colour}' cx='{x:.1}' cy='{y:.1}' r='3'><title>{tooltip}</title></circle>"
        );
    }

    /// A bar over `x`, from the lower to the upper end of `y`, with the given SVG attributes; hovering over it shows `tooltip`.
    pub fn bar(&mut self, attributes: &str, x: Range<f64>, y: Range<f64>, tooltip: &str) {
        let (left, top, tooltip) = (self.x_of(x.start), self.y_of(y.end), escaped(tooltip));
        let (width, height) = (self.x_of(x.end) - left, self.y_of(y.start) - top);
        let _ = write!(
            self.svg,
            "<rect {attributes} x='{left:.1}' y='{top:.1}' width='{width:.1}' height='{height:.1}'>\
             <title>{tooltip}</title></rect>"
        );
    }

    /// A line of the legend: what a colour stands for, as HTML.
    pub fn legend(&mut self, colour: usize, html: &str) {
        let _ = write!(self.legend, "<span class='c{}'>{html}</span>", colour % COLOURS);
    }

    /// A line of the legend that is of no colour, as HTML.
    pub fn note(&mut self, html: &str) {
        let _ = write!(self.legend, "<span>{html}</span>");
    }

    /// The chart below a `heading`, as an HTML `<figure>`.
    pub fn figure(self, heading: &str) -> String {
        let (heading, Self { svg, legend, .. }) = (escaped(heading), self);
        format!("<figure><h3>{heading}</h3>{svg}</svg><figcaption>{legend}</figcaption></figure>\n")
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = escaped(text);
        let _ = write!(self.svg, "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}'>{text}</text>");
    }

    fn x_of(&self, value: f64) -> f64 {
        self.layout.left + self.layout.width * share(&self.x, value)
    }

    fn y_of(&self, value: f64) -> f64 {
        self.layout.top + self.layout.height * (1.0 - share(&self.y, value))
    }
}

/// Where `value` lies between the ends of `axis`, from 0 to 1.
fn share(axis: &Range<f64>, value: f64) -> f64 {
    (value - axis.start) / (axis.end - axis.start).max(1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_where_the_scales_put_them() {
        let layout = Layout {
            width: 100.0,
            height: 50.0,
            top: 5.0,
            left: 20.0,
            right: 10.0,
            bottom: 25.0,
            labels: 12.0,
        };
        let mut chart = Chart::new("a <b>", layout, 0.0..4.0, 10.0..20.0);
        chart.y_tick(15.0, "<15>");
        chart.x_tick(1.0, "one");
        chart.x_title("time");
        chart.path("line c1", [(0.0, 10.0), (4.0, 20.0)]);
        chart.dot(9, (2.0, 12.5), "2 & 12.5");
        chart.bar("class='bar'", 1.0..3.0, 10.0..15.0, "half");
        chart.legend(9, "<b>nine</b>");
        let expected = "<figure><h3>A</h3><svg viewBox='0 0 130 80' role='img' aria-label='a &lt;b&gt;'>\
            <path class='grid' d='M20 30.0H120'/><text x='14.0' y='33.5' text-anchor='end'>&lt;15&gt;</text>\
            <text x='45.0' y='67.0' text-anchor='middle'>one</text>\
            <text x='120.0' y='74.0' text-anchor='end'>time</text>\
            <path class='line c1' d='M20.0 55.0L120.0 5.0'/>\
            <circle class='dot c1' cx='70.0' cy='42.5' r='3'><title>2 &amp; 12.5</title></circle>\
            <rect class='bar' x='45.0' y='30.0' width='50.0' height='25.0'><title>half</title></rect></svg>\
            <figcaption><span class='c1'><b>nine</b></span></figcaption></figure>\n";
        assert_eq!(chart.figure("A"), expected);
    }
}
