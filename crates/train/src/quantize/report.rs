//! What became of a model by quantising it, as text and as JSON; as a page in [`super::page`].

use std::fmt::Write as _;

use serde::Serialize;

use super::compare::ClassChange;

/// Classes that the text names.
const SHOWN: usize = 10;

/// A quantised model's figures beside the float model's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The package's name.
    pub model: String,
    /// SHA-256 of the float model's file, in hexadecimal.
    pub source_sha256: String,
    /// The images that ranges were collected from.
    pub calibration: Images,
    /// How a range followed from values: `minmax`, `entropy`, `percentile P`.
    pub method: String,
    /// Bits of a weight: 8, or 7 where a processor would saturate.
    pub weight_bits: u8,
    /// The images that both models answered.
    pub evaluation: Images,
    /// Layers that can be quantised.
    pub layers: usize,
    /// Layers that are.
    pub quantised: usize,
    /// Those that are not.
    pub float_layers: Vec<FloatLayer>,
    /// Every layer that was tried alone, the noisiest first; none where nothing had to be searched for.
    pub sensitivity: Vec<FloatLayer>,
    /// The float model's size and time.
    pub float: Size,
    /// The quantised model's.
    pub int8: Size,
    /// Shares of right answers (0..=1), float and quantised, where the images have classes.
    pub top1: Option<[f64; 2]>,
    /// Share (0..=1) of images that both take for the same class.
    pub agreement: f64,
    /// Points of top-1 accuracy that were lost; of agreement, where the images have no classes.
    pub drop: f64,
    /// How many were allowed.
    pub max_drop: f64,
    /// Whether that holds.
    pub accepted: bool,
    /// The classes that have images, those that lost most first.
    pub classes: Vec<ClassChange>,
}

/// Images of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Images {
    /// How many were used.
    pub images: usize,
    /// How many could not be read.
    pub unreadable: usize,
    /// Whether their classes count.
    pub labelled: bool,
}

/// A layer that stays float.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FloatLayer {
    /// Its name.
    pub name: String,
    /// What quantising it alone does to the scores: the power of the difference as a share of theirs. None where somebody
    /// excluded it.
    pub noise: Option<f64>,
}

/// What a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Size {
    /// Bytes of its file.
    pub bytes: u64,
    /// Median milliseconds for a batch of one image (or of the size that the model fixes) on one thread, without decoding.
    pub milliseconds: f64,
}

impl Report {
    /// How many times as fast the quantised model is.
    pub fn speedup(&self) -> f64 {
        self.float.milliseconds / self.int8.milliseconds
    }

    /// The figures as text; `data` says where calibration and evaluation images are from.
    pub fn to_table(&self, data: [&str; 2]) -> String {
        let mut text = String::new();
        let mut line = |args: std::fmt::Arguments| {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{args}");
        };
        let Images { images, unreadable, .. } = &self.calibration;
        line(format_args!(
            "calibrated   on {images} images of {} by {}{}",
            data[0],
            self.method,
            unread(*unreadable)
        ));
        line(format_args!("compared     on {}", compared_on(&self.evaluation, data)));
        let bits = if self.weight_bits == 8 { "" } else { ", weights of 7 bits" };
        line(format_args!("quantised    {} of {} layers{bits}", self.quantised, self.layers));
        for layer in &self.float_layers {
            match layer.noise {
                Some(noise) => {
                    line(format_args!(
                        "  float      {}, alone {:.1} dB of noise",
                        layer.name,
                        decibels(noise)
                    ));
                }
                None => line(format_args!("  float      {}, excluded", layer.name)),
            }
        }
        line(format_args!("\n{:<12} {:>10} {:>10}", "", "float", "int8"));
        if let Some([float, int8]) = self.top1 {
            line(format_args!("{:<12} {:>9.2}% {:>9.2}%", "top-1", 100.0 * float, 100.0 * int8));
        }
        line(format_args!("{:<12} {:>10} {:>9.2}%", "agreement", "", 100.0 * self.agreement));
        let (a, b) = (&self.float, &self.int8);
        line(format_args!(
            "{:<12} {:>7.2} ms {:>7.2} ms   {:.2} times as fast",
            "latency",
            a.milliseconds,
            b.milliseconds,
            self.speedup()
        ));
        line(format_args!(
            "{:<12} {:>6.2} MiB {:>6.2} MiB   {:.2} times as small",
            "size",
            mib(a.bytes),
            mib(b.bytes),
            a.bytes as f64 / b.bytes.max(1) as f64
        ));
        let changed = self.classes.iter().filter(|class| class.float != class.int8);
        let count = changed.clone().count();
        if count > 0 {
            line(format_args!("\nright answers of {count} classes changed"));
        }
        for ClassChange { label, images, float, int8 } in changed.take(SHOWN) {
            line(format_args!("{float:>5} -> {int8} of {images}  {label}"));
        }
        if count > SHOWN {
            line(format_args!("        and of {} more", count - SHOWN));
        }
        text
    }
}

/// The images that both models answered, and where they are from.
pub(super) fn compared_on(evaluation: &Images, data: [&str; 2]) -> String {
    let Images { images, unreadable, labelled } = evaluation;
    let same = if data[0] == data[1] { ", the same as for calibration" } else { "" };
    let classes = if *labelled { "" } else { ", without classes that the model knows" };
    format!("{images} images of {}{same}{classes}{}", data[1], unread(*unreadable))
}

pub(super) fn decibels(noise: f64) -> f64 {
    10.0 * noise.log10()
}

pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

pub(super) fn unread(count: usize) -> String {
    if count == 0 { String::new() } else { format!("; {count} could not be read") }
}
