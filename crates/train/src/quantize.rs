//! Eight-bit models of packages: calibrated on images, compared with the float model, partly float where that is needed.
//!
//! How a graph is quantised is [`tintype_graph::quantize`]'s business. Here are images, sessions and decisions:
//!
//! 1. the float model answers the evaluation images ([`compare`]);
//! 2. it answers the calibration images while the ranges of its tensors are collected ([`calibrate`]);
//! 3. the quantised model answers the evaluation images. Where it drops too far, each layer's part in that is found
//!    ([`keep`]), and more and more of the worst stay float;
//! 4. both are timed in turn ([`latency`]).
//!
//! Nothing is written here: [`Outcome`] has the model and its [`Report`], and the caller refuses or keeps it.

mod calibrate;
mod compare;
mod keep;
mod latency;
mod page;
mod report;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tintype_core::package::digest;
use tintype_core::{Error, ErrorKind, ModelSource, Package, Result};
use tintype_engine::Backend;
use tintype_graph::Model;
use tintype_graph::quantize::{Layer, QuantizeOptions, Quantizer, Range, WeightBits};

use crate::data::Dataset;
use crate::evaluate::Scorer;
use crate::event::Subscriber;
use crate::pass::Stop;

pub use calibrate::Method;
pub use compare::ClassChange;
pub use report::{FloatLayer, Images, Report, Size};

use compare::{Answered, Comparison, Question};

/// What an eight-bit model is made from, beside the model.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// Images to collect ranges from; their classes do not count.
    pub calibration: &'a Dataset,
    /// Images to compare on.
    pub evaluation: &'a Dataset,
}

/// How a package is quantised.
#[derive(Debug, Clone)]
pub struct Int8Options {
    /// How a tensor's range follows from its values.
    pub method: Method,
    /// Names of layers that stay float in any case.
    pub exclude: Vec<String>,
    /// How many of the worst layers may stay float, where `max_drop` would not hold otherwise; a quarter of all where `None`,
    /// beyond which little is won.
    pub keep_float: Option<usize>,
    /// The greatest drop in top-1 accuracy, in points (0..=100); of agreement, where the images have no classes.
    pub max_drop: f64,
    /// How many bits weights have; as this machine wants it where `None`.
    pub bits: Option<WeightBits>,
    /// Sessions of one thread each, but for timing; 0 means one a core.
    pub threads: usize,
    /// Ends the work early, as an error.
    pub stop: Stop,
}

/// An eight-bit model and what it is worth.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The model; it may drop more than is allowed: [`Report::accepted`].
    pub model: Model,
    /// The figures.
    pub report: Report,
}

/// Quantises a package's model.
///
/// # Errors
/// Those of [`Quantizer::new`] and [`Quantizer::quantize`]; `InvalidArgument` when no image can be read, or only some classes
/// of the evaluation images are the model's (with none of them it is as if the images had no classes); what loading or running
/// a model returns; `Cancelled`.
pub fn quantize(
    package: &Package,
    data: Data,
    backend: &dyn Backend,
    options: &Int8Options,
    subscriber: &mut dyn Subscriber,
) -> Result<Outcome> {
    let whole = read(&package.model)?;
    let quantizer = Quantizer::new(&whole)?;
    let layers = quantizer.layers();
    check_excluded(&layers, &options.exclude)?;
    let mut work = Work { package, backend, options, subscriber };

    let float = Question::ask(&mut work, data.evaluation)?;
    let (ranges, unread) = calibrate::ranges(&mut work, &quantizer, data.calibration)?;
    let bits = options.bits.unwrap_or_else(WeightBits::of_this_machine);
    let search = Search { quantizer: &quantizer, ranges: &ranges, bits };
    let found = search.run(&mut work, &float, data.calibration)?;

    let input = Scorer::open(package, backend, 1)?.prepared(&data.calibration.samples, 1)?;
    let models = [package.model.clone(), source(&found.model)];
    let times = latency::measure(&models, &input[0], backend, &options.stop)?;
    let left = unique(&found.float);
    let quantised = layers.iter().filter(|layer| !left.contains(&layer.name)).count();
    let report = Report {
        model: package.name.clone(),
        source_sha256: digest::of_bytes(&package.model.bytes()?),
        calibration: Images {
            images: data.calibration.samples.len() - unread,
            unreadable: unread,
            labelled: false,
        },
        method: options.method.to_string(),
        weight_bits: if bits == WeightBits::Eight { 8 } else { 7 },
        evaluation: float.images(),
        layers: layers.len(),
        quantised,
        float_layers: found.float,
        sensitivity: found.sensitivity,
        float: Size { bytes: whole.to_bytes().len() as u64, milliseconds: times[0] },
        int8: Size { bytes: found.model.to_bytes().len() as u64, milliseconds: times[1] },
        top1: found.comparison.top1,
        agreement: found.comparison.agreement,
        drop: found.comparison.drop(),
        max_drop: options.max_drop,
        accepted: found.comparison.drop() <= options.max_drop,
        classes: found.comparison.classes,
    };
    Ok(Outcome { model: found.model, report })
}

/// What every step needs.
struct Work<'a> {
    package: &'a Package,
    backend: &'a dyn Backend,
    options: &'a Int8Options,
    subscriber: &'a mut dyn Subscriber,
}

impl Work<'_> {
    /// The package around another model.
    fn scorer(&self, model: Option<&Model>) -> Result<Scorer> {
        let mut package = self.package.clone();
        if let Some(model) = model {
            package.model = source(model);
        }
        Scorer::open(&package, self.backend, self.options.threads)
    }
}

/// The search for a quantised model that does not drop too far.
struct Search<'a> {
    quantizer: &'a Quantizer,
    ranges: &'a HashMap<String, Range>,
    bits: WeightBits,
}

/// What a search found.
struct Found {
    model: Model,
    comparison: Comparison,
    float: Vec<FloatLayer>,
    /// All layers that were tried alone.
    sensitivity: Vec<FloatLayer>,
}

impl Search<'_> {
    /// Quantises all that is not excluded; where that drops too far, leaves 1, 2, 4, … of the worst layers float. The last
    /// try is the result, whether it drops too far or not, unless an earlier one was better.
    fn run(&self, work: &mut Work, float: &Question, calibration: &Dataset) -> Result<Found> {
        let excluded: BTreeSet<&String> = work.options.exclude.iter().collect();
        let asked: Vec<FloatLayer> =
            excluded.into_iter().map(|name| FloatLayer { name: name.clone(), noise: None }).collect();
        let mut best = self.attempt(work, float, asked.clone())?;
        let candidates = self.quantizer.layers().len() - unique(&asked).len();
        let most = work.options.keep_float.unwrap_or(candidates.div_ceil(4)).min(candidates - 1);
        if best.comparison.drop() <= work.options.max_drop || most == 0 {
            return Ok(best);
        }
        let worst = keep::by_noise(work, self, calibration)?;
        let mut count = 1;
        loop {
            let kept = worst.iter().take(count).cloned();
            let found = self.attempt(work, float, asked.iter().cloned().chain(kept).collect())?;
            if found.comparison.drop() < best.comparison.drop() {
                best = found;
            }
            if best.comparison.drop() <= work.options.max_drop || count >= most {
                return Ok(Found { sensitivity: worst, ..best });
            }
            count = (2 * count).min(most);
        }
    }

    fn attempt(&self, work: &mut Work, float: &Question, kept: Vec<FloatLayer>) -> Result<Found> {
        let model = self.model(unique(&kept))?;
        let answers = Answered::by(work, Some(&model), float.samples())?;
        let comparison = float.compare(&answers);
        Ok(Found { comparison, model, float: kept, sensitivity: Vec::new() })
    }

    fn model(&self, exclude: HashSet<String>) -> Result<Model> {
        self.quantizer.quantize(self.ranges, &QuantizeOptions { exclude, bits: self.bits })
    }
}

fn unique(layers: &[FloatLayer]) -> HashSet<String> {
    layers.iter().map(|layer| layer.name.clone()).collect()
}

/// Before any image is read: names that are no layer's.
fn check_excluded(layers: &[Layer], exclude: &[String]) -> Result<()> {
    let known: BTreeSet<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
    let Some(name) = exclude.iter().find(|name| !known.contains(name.as_str())) else { return Ok(()) };
    let shown: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
    Err(Error::new(ErrorKind::InvalidArgument, format!("no layer that can be quantised is called `{name}`"))
        .with_hint(format!("the layers are {}", shown.join(", "))))
}

/// A model with the elements that lie in files beside it.
fn read(model: &ModelSource) -> Result<Model> {
    match model {
        ModelSource::Path(path) => Model::read(path),
        ModelSource::Bytes(bytes) => Model::from_bytes(bytes),
    }
}

fn source(model: &Model) -> ModelSource {
    ModelSource::Bytes(Arc::from(model.to_bytes()))
}
