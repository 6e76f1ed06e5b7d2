//! The report as one HTML page without links.

use std::fmt::Write as _;

use tintype_chart::{Chart, Layout, escaped, page};

use super::compare::ClassChange;
use super::report::{FloatLayer, Report, compared_on, decibels, mib, unread};

/// The style sheet of all reports of this crate.
const STYLE: &str = include_str!("../results/report.css");
/// Rows of tables that are cut off.
const MOST_ROWS: usize = 60;
/// Layers that a chart still shows.
const MOST_BARS: usize = 40;

const SMALL: Layout =
    Layout { width: 320.0, height: 130.0, top: 8.0, left: 44.0, right: 16.0, bottom: 22.0, labels: 16.0 };
const WIDE: Layout =
    Layout { width: 940.0, height: 170.0, top: 8.0, left: 52.0, right: 16.0, bottom: 8.0, labels: 16.0 };

impl Report {
    /// The page; `data` says where calibration and evaluation images are from.
    pub fn to_html(&self, data: [&str; 2]) -> String {
        let title = format!("{}, eight bits", self.model);
        let mut body = format!("<h1>{}</h1>\n", escaped(&title));
        let calibration = &self.calibration;
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(
            body,
            "<p>Calibrated on {} images of <code>{}</code> by {}{}. Compared on {}. Quantised are {} of {} layers, \
             their weights with {} bits.</p>",
            calibration.images,
            escaped(data[0]),
            escaped(&self.method),
            unread(calibration.unreadable),
            escaped(&compared_on(&self.evaluation, data)),
            self.quantised,
            self.layers,
            self.weight_bits
        );
        let lost = if self.top1.is_some() { "top-1 accuracy" } else { "agreement" };
        let verdict = if self.accepted { "<p>Accepted" } else { "<p><b>Refused</b>" };
        let _ = writeln!(
            body,
            "{verdict}: {:.2} points of {lost} are lost, {} are allowed.</p>",
            self.drop, self.max_drop
        );
        body += &self.tiles();
        body += &self.charts();
        body += &self.class_table();
        body += &self.layer_section();
        page(&title, STYLE, &body)
    }

    fn tiles(&self) -> String {
        let percent = |share: f64| format!("{:.2} %", 100.0 * share);
        let mut tiles = Vec::new();
        if let Some([float, int8]) = self.top1 {
            tiles.extend([("top-1, float", percent(float)), ("top-1, int8", percent(int8))]);
        }
        let smaller = self.float.bytes as f64 / self.int8.bytes.max(1) as f64;
        tiles.extend([
            ("agreement", percent(self.agreement)),
            ("times as fast", format!("{:.2}", self.speedup())),
            ("times as small", format!("{smaller:.2}")),
            ("layers quantised", format!("{} of {}", self.quantised, self.layers)),
        ]);
        let tile = |(name, value): &(&str, String)| {
            format!("<div class='tile'><b>{value}</b><span>{name}</span></div>")
        };
        format!("<div class='tiles'>{}</div>\n", tiles.iter().map(tile).collect::<String>())
    }

    fn charts(&self) -> String {
        let mut charts = String::new();
        if let Some(top1) = self.top1 {
            charts += &pair("Top-1 accuracy, %", top1.map(|share| 100.0 * share));
        }
        charts += &pair("Latency of one image, ms", [self.float.milliseconds, self.int8.milliseconds]);
        charts += &pair("Size, MiB", [mib(self.float.bytes), mib(self.int8.bytes)]);
        format!("<div class='charts'>{charts}</div>\n")
    }

    fn class_table(&self) -> String {
        if self.classes.is_empty() {
            return String::new();
        }
        let changed: Vec<&ClassChange> =
            self.classes.iter().filter(|class| class.float != class.int8).collect();
        let mut text = format!(
            "<h2>Classes</h2>\n<p>Right answers of {} of {} classes changed.</p>\n",
            changed.len(),
            self.classes.len()
        );
        if changed.is_empty() {
            return text;
        }
        text += "<div class='wide'><table><thead><tr><th>class</th><th>images</th><th>right, float</th>\
                 <th>right, int8</th><th>change</th></tr></thead><tbody>\n";
        for ClassChange { label, images, float, int8 } in changed.iter().take(MOST_ROWS) {
            let change = i128::from(*int8) - i128::from(*float);
            let _ = writeln!(
                text,
                "<tr><th>{}</th><td>{images}</td><td>{float}</td><td>{int8}</td><td>{change:+}</td></tr>",
                escaped(label)
            );
        }
        text += "</tbody></table></div>\n";
        text + &and_more(changed.len(), "classes")
    }

    /// What each layer alone does to the scores, where that was found out, and which stay float.
    fn layer_section(&self) -> String {
        if self.sensitivity.is_empty() && self.float_layers.is_empty() {
            return String::new();
        }
        let mut text = "<h2>Layers</h2>\n".to_owned();
        let listed = if self.sensitivity.is_empty() {
            text += "<p>No layer was tried alone: with all of them as integers the drop is within what is allowed.</p>\n";
            self.float_layers.clone()
        } else {
            text += "<p>What quantising a layer alone does to the scores: the power of the difference as a share of \
                     theirs.</p>\n";
            text += &format!("<div class='charts'>{}</div><p></p>\n", noises(&self.sensitivity));
            let excluded = self.float_layers.iter().filter(|layer| layer.noise.is_none());
            excluded.chain(&self.sensitivity).cloned().collect()
        };
        text += "<div class='wide'><table><thead><tr><th>layer</th><th>noise, dB</th><th></th></tr></thead><tbody>\n";
        for layer in listed.iter().take(MOST_ROWS) {
            let noise = layer.noise.map_or_else(|| "–".to_owned(), |noise| format!("{:.1}", decibels(noise)));
            let float = self.float_layers.iter().any(|kept| kept.name == layer.name);
            let state = match (float, layer.noise) {
                (true, None) => "excluded",
                (true, Some(_)) => "float",
                (false, _) => "",
            };
            let _ =
                writeln!(text, "<tr><th>{}</th><td>{noise}</td><td>{state}</td></tr>", escaped(&layer.name));
        }
        text += "</tbody></table></div>\n";
        text + &and_more(listed.len(), "layers")
    }
}

fn and_more(count: usize, what: &str) -> String {
    match count.checked_sub(MOST_ROWS) {
        None | Some(0) => String::new(),
        Some(more) => format!("<p>And {more} more {what}.</p>\n"),
    }
}

/// Two bars from zero: the float model's and the quantised one's.
fn pair(title: &str, [float, int8]: [f64; 2]) -> String {
    let high = 1.05 * float.max(int8);
    if high.is_nan() || high <= 0.0 {
        return String::new();
    }
    let mut chart = Chart::new(title, SMALL, 0.0..2.0, 0.0..high);
    for i in 0..=4 {
        let value = high * f64::from(i) / 4.0;
        let digits = if high < 10.0 { 2 } else { 0 };
        chart.y_tick(value, &format!("{value:.digits$}"));
    }
    let bars = [("float", float, "class='bar' opacity='0.5'"), ("int8", int8, "class='bar'")];
    for (i, (name, value, attributes)) in bars.into_iter().enumerate() {
        let at = i as f64;
        chart.bar(attributes, at + 0.2..at + 0.8, 0.0..value, &format!("{name}: {value:.2}"));
        chart.x_tick(at + 0.5, name);
    }
    chart.figure(title)
}

/// The noisiest layers as bars in decibels.
fn noises(layers: &[FloatLayer]) -> String {
    let shown: Vec<(&str, f64)> = layers
        .iter()
        .filter_map(|layer| Some((layer.name.as_str(), decibels(layer.noise?))))
        .filter(|(_, noise)| noise.is_finite())
        .take(MOST_BARS)
        .collect();
    let high = shown.iter().map(|(_, noise)| *noise).fold(f64::NEG_INFINITY, f64::max);
    let low = shown.iter().map(|(_, noise)| *noise).fold(f64::INFINITY, f64::min);
    if low > high {
        return String::new();
    }
    // Whole tens around them, and room for the quietest.
    let (low, high) = (10.0 * (low / 10.0).floor() - 10.0, 10.0 * (high / 10.0).ceil());
    let high = high.max(low + 10.0);
    let title = "Noise of the noisiest layers, dB";
    let mut chart = Chart::new(title, WIDE, 0.0..shown.len() as f64, low..high);
    for i in 0..=4 {
        let value = low + (high - low) * f64::from(i) / 4.0;
        chart.y_tick(value, &format!("{value:.0}"));
    }
    for (i, (name, noise)) in shown.iter().enumerate() {
        let at = i as f64;
        chart.bar("class='bar'", at + 0.1..at + 0.9, low..*noise, &format!("{name}: {noise:.1} dB"));
    }
    chart.figure(title)
}

#[cfg(test)]
mod tests {
    use super::super::report::{Images, Size};
    use super::*;

    fn report() -> Report {
        let images = |labelled| Images { images: 12, unreadable: 1, labelled };
        let layer = |name: &str, noise| FloatLayer { name: name.to_owned(), noise };
        let class = |label: &str, int8| ClassChange { label: label.to_owned(), images: 6, float: 5, int8 };
        Report {
            model: "m<1>".to_owned(),
            source_sha256: "00".to_owned(),
            calibration: images(false),
            method: "minmax".to_owned(),
            weight_bits: 8,
            evaluation: images(true),
            layers: 4,
            quantised: 2,
            float_layers: vec![layer("mine", None), layer("conv<0>", Some(0.01))],
            sensitivity: vec![
                layer("conv<0>", Some(0.01)),
                layer("conv1", Some(1e-5)),
                layer("quiet", Some(0.0)),
            ],
            float: Size { bytes: 4 << 20, milliseconds: 3.0 },
            int8: Size { bytes: 1 << 20, milliseconds: 1.0 },
            top1: Some([0.9, 0.85]),
            agreement: 0.95,
            drop: 5.0,
            max_drop: 1.0,
            accepted: false,
            classes: vec![class("cat & dog", 3), class("bird", 5)],
        }
    }

    #[test]
    fn the_page_says_what_the_text_says_and_stands_alone() {
        let html = report().to_html(["photos", "held<out>"]);
        for words in [
            "<b>Refused</b>: 5.00 points of top-1 accuracy are lost, 1 are allowed",
            "<b>90.00 %</b><span>top-1, float</span>",
            "<b>85.00 %</b><span>top-1, int8</span>",
            "<b>95.00 %</b><span>agreement</span>",
            "<b>3.00</b><span>times as fast</span>",
            "<b>4.00</b><span>times as small</span>",
            "<title>float: 3.00</title>",
            "Right answers of 1 of 2 classes changed",
            "<tr><th>cat &amp; dog</th><td>6</td><td>5</td><td>3</td><td>-2</td></tr>",
            "<tr><th>mine</th><td>–</td><td>excluded</td></tr>",
            "<tr><th>conv&lt;0&gt;</th><td>-20.0</td><td>float</td></tr>",
            "<tr><th>conv1</th><td>-50.0</td><td></td></tr>",
            "<title>conv1: -50.0 dB</title>",
            "held&lt;out&gt;; 1 could not be read",
        ] {
            assert!(html.contains(words), "{words}:\n{html}");
        }
        assert!(!html.contains("http") && !html.contains("<script") && !html.contains("m<1>"), "{html}");
    }

    #[test]
    fn what_is_not_known_is_not_there() {
        let mut report = report();
        report.top1 = None;
        report.accepted = true;
        report.classes.clear();
        report.sensitivity.clear();
        let html = report.to_html(["photos", "photos"]);
        assert!(html.contains("Accepted: 5.00 points of agreement"), "{html}");
        assert!(html.contains("No layer was tried alone") && html.contains("the same as for calibration"));
        assert!(!html.contains("top-1") && !html.contains("<h2>Classes"), "{html}");
        report.float_layers.clear();
        assert!(!report.to_html(["a", "b"]).contains("<h2>Layers"));
    }
}
