//! `tintype optimize --int8`: a package whose model computes with eight-bit integers, and a report of what that does.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use clap::ValueEnum;
use tintype_core::package::{check_name, check_version};
use tintype_core::{Error, ErrorKind, ModelSource, Package, Result};
use tintype_engine::ort::OrtBackend;
use tintype_graph::quantize::WeightBits;
use tintype_train::Dataset;
use tintype_train::quantize::{Data, Int8Options, Method, Outcome, Report, quantize};

use super::super::interrupt;
use super::super::model::{self, ModelOptions};
use super::super::package::Destination;
use super::super::progress::Progress;

/// Options of `tintype optimize --int8`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Eight bits")]
pub struct Int8Args {
    /// Weights and activations as eight-bit integers
    #[arg(long, requires = "calibrate")]
    pub int8: bool,

    /// Images to find the ranges of activations with: typical ones, in any form that `tintype train` learns from, or a folder
    /// of images without classes
    #[arg(long, value_name = "DATA", requires = "int8")]
    calibrate: Option<PathBuf>,

    /// How many of them, spread evenly over the data
    #[arg(long, value_name = "N", default_value_t = 256)]
    calibration_images: usize,

    /// Images to compare the two models on; the calibration data by default, which flatters
    #[arg(long, value_name = "DATA", requires = "int8")]
    evaluate: Option<PathBuf>,

    /// How a range follows from values
    #[arg(long, value_name = "METHOD", default_value = "minmax")]
    method: MethodName,

    /// Of `--method percentile`: the share of the values that a range has, in per cent
    #[arg(long, value_name = "P", default_value_t = 99.99)]
    percentile: f64,

    /// Points of top-1 accuracy that may be lost, or of agreement, where the images have no classes; the model is refused
    /// beyond (exit code 3)
    #[arg(long, value_name = "POINTS", default_value_t = 1.0)]
    max_drop: f64,

    /// How many of the worst layers may stay float, where `--max-drop` would not hold otherwise; a quarter of all by default
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    keep_float: KeepFloat,

    /// A layer that stays float, by its node's name; may be given several times
    #[arg(long, value_name = "NAME", requires = "int8")]
    exclude: Vec<String>,

    /// Seven bits for weights, for x86-64 without VNNI, which loses sums of larger ones; `auto` asks this machine
    #[arg(long, value_name = "auto|yes|no", default_value = "auto")]
    reduce_range: ReduceRange,

    /// Sessions of one thread each; one a core by default
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,

    /// The new model's name; the old one's with `_int8` by default
    #[arg(long)]
    name: Option<String>,

    /// The new model's version, a positive number
    #[arg(long, value_name = "N", default_value = "1")]
    version: String,

    /// A `.mar` file, or the model repository in which `NAME/VERSION/` is made; without it, only the report is
    #[arg(long, value_name = "DIR|F.mar", requires = "int8")]
    out: Option<PathBuf>,

    /// Write the report as one HTML file with charts, also of a model that is refused
    #[arg(long, value_name = "F.html", requires = "int8")]
    report: Option<PathBuf>,

    /// Replace the `.mar` if there is one
    #[arg(long)]
    overwrite: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MethodName {
    /// From the least to the greatest
    Minmax,
    /// What keeps most of the distribution (Kullback-Leibler), rare values cut off
    Entropy,
    /// All but a share of the values
    Percentile,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ReduceRange {
    Auto,
    Yes,
    No,
}

/// `None` for `auto`.
#[derive(Debug, Clone, Copy)]
struct KeepFloat(Option<usize>);

impl FromStr for KeepFloat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self(None)),
            _ => text.parse().map(|n| Self(Some(n))).map_err(|_| "expected a number or `auto`".to_owned()),
        }
    }
}

/// Quantises, prints the report and writes the package.
pub fn run(path: &Path, options: &ModelOptions, args: &Int8Args, as_json: bool) -> anyhow::Result<ExitCode> {
    let package = model::open(path, options)?;
    let name = args.name.clone().unwrap_or_else(|| format!("{}_int8", package.name));
    check_name(&name)?;
    check_version(&args.version)?;
    let int8 = args.options()?;
    let calibrated = args.calibrate.as_deref().unwrap_or(Path::new(""));
    let compared = args.evaluate.as_deref().unwrap_or(calibrated);
    let calibration = spread(images(calibrated)?, args.calibration_images);
    let evaluation = images(compared)?;

    let backend = OrtBackend::new()?;
    let int8 = Int8Options { stop: interrupt::stop_on_ctrl_c()?, ..int8 };
    // Opened before: a path that cannot be written is not found out after minutes.
    let page = args.report.as_deref().map(|path| Ok::<_, Error>((path, created(path)?))).transpose()?;
    let mut progress = Progress::new();
    let data = Data { calibration: &calibration, evaluation: &evaluation };
    let outcome = quantize(&package, data, &backend, &int8, &mut progress)?;
    progress.finish();

    let Outcome { report, .. } = &outcome;
    let names = [calibrated, compared].map(|place| place.display().to_string());
    if let Some((path, mut page)) = page {
        let html = report.to_html([&names[0], &names[1]]);
        page.write_all(html.as_bytes()).map_err(|e| Error::io(path, e))?;
    }
    let mut written = Vec::new();
    if let Some(out) = args.out.clone().filter(|_| report.accepted) {
        let destination = Destination { version: args.version.clone(), out, overwrite: args.overwrite };
        destination.write(&packaged(package, name, &outcome, &names[0]), &mut written)?;
    }
    let written = String::from_utf8_lossy(&written).trim_end().to_owned();
    let mut stdout = std::io::stdout().lock();
    if as_json {
        writeln!(stdout, "{}", json(report, &names, &written)?)?;
    } else {
        write!(stdout, "{}", report.to_table([&names[0], &names[1]]))?;
        if !written.is_empty() {
            writeln!(stdout, "\n{written}")?;
        }
    }
    if report.accepted { Ok(ExitCode::SUCCESS) } else { Err(refusal(report).into()) }
}

impl Int8Args {
    fn options(&self) -> Result<Int8Options> {
        let without = (100.0 - self.percentile) / 100.0;
        let wrong = |what: &str, expected: &str, found: f64| {
            let message = format!("`--{what}`: expected {expected}, found {found}");
            Err(Error::new(ErrorKind::InvalidArgument, message))
        };
        if !(0.0..1.0).contains(&without) {
            return wrong("percentile", "a number above 0, at most 100", self.percentile);
        }
        if !(0.0..=100.0).contains(&self.max_drop) {
            return wrong("max-drop", "points from 0 to 100", self.max_drop);
        }
        if self.calibration_images == 0 {
            return wrong("calibration-images", "1 at least", 0.0);
        }
        Ok(Int8Options {
            method: match self.method {
                MethodName::Minmax => Method::MinMax,
                MethodName::Entropy => Method::Entropy,
                MethodName::Percentile => Method::Percentile { without },
            },
            exclude: self.exclude.clone(),
            keep_float: self.keep_float.0,
            max_drop: self.max_drop,
            bits: match self.reduce_range {
                ReduceRange::Auto => None,
                ReduceRange::Yes => Some(WeightBits::Seven),
                ReduceRange::No => Some(WeightBits::Eight),
            },
            threads: self.threads,
            stop: tintype_train::Stop::default(),
        })
    }
}

fn created(path: &Path) -> Result<File> {
    File::create(path).map_err(|e| Error::io(path, e))
}

/// The images at `place`, with their classes where it says any.
fn images(place: &Path) -> Result<Dataset> {
    let fetched = super::super::data::fetched(place)?;
    let place = fetched.as_deref().unwrap_or(place);
    match Dataset::open(place) {
        Err(error) if place.is_dir() => {
            // The data set's own error says more than that nothing was found.
            let Ok(files) = tintype_batch::listing::images(&[place]) else { return Err(error) };
            tracing::warn!("taking the images of `{}` without classes: {error}", place.display());
            Ok(Dataset::unlabelled(files.into_iter().map(Into::into).collect()))
        }
        found => found,
    }
}

/// At most `count` of the images, evenly from all of them: they are sorted by class.
fn spread(mut data: Dataset, count: usize) -> Dataset {
    let all = data.samples.len();
    if count < all {
        data.samples = (0..count).map(|i| data.samples[i * all / count].clone()).collect();
    }
    data
}

/// The package with the new model, and where that is from.
fn packaged(package: Package, name: String, outcome: &Outcome, calibrated: &str) -> Package {
    let Report { source_sha256, method, calibration, quantised, layers, weight_bits, .. } = &outcome.report;
    let mut package = package;
    let notes = [
        ("quantised", format!("int8, {quantised} of {layers} layers, weights of {weight_bits} bits")),
        ("quantised_from", package.name.clone()),
        ("quantised_from_sha256", source_sha256.clone()),
        ("calibrated", format!("{method} on {} images of {calibrated}", calibration.images)),
        ("tintype", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    package.spec.provenance.extend(notes.map(|(key, value)| (key.to_owned(), value)));
    package.name = name;
    // It is the float model's answer, and a file beside that one.
    package.spec.golden = None;
    package.model = ModelSource::Bytes(outcome.model.to_bytes().into());
    package
}

fn json(report: &Report, data: &[String; 2], written: &str) -> Result<String> {
    let failed =
        |e: serde_json::Error| Error::new(ErrorKind::Internal, "the report is no JSON").with_source(e);
    let mut value = serde_json::to_value(report).map_err(failed)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("speedup".to_owned(), report.speedup().into());
        fields.insert("calibration_data".to_owned(), data[0].as_str().into());
        fields.insert("evaluation_data".to_owned(), data[1].as_str().into());
        fields.insert("written".to_owned(), Some(written).filter(|path| !path.is_empty()).into());
    }
    Ok(value.to_string())
}

fn refusal(report: &Report) -> Error {
    let what = if report.top1.is_some() { "top-1 accuracy" } else { "agreement" };
    Error::new(
        ErrorKind::Inaccurate,
        format!(
            "refused: {:.2} points of {what} are lost, `--max-drop` allows {}",
            report.drop, report.max_drop
        ),
    )
    .with_hint(
        "try another `--method`, more or more typical images to calibrate with, or a higher `--keep-float`",
    )
}
