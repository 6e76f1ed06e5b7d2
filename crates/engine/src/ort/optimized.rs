//! Graphs that were optimised ahead of time: made on demand, looked for by every load.
//!
//! ```text
//! <cache>/optimized/<key>/model.onnx       the graph after ONNX Runtime's optimisations
//!                         weights.bin      its weights, which a session maps instead of reading them
//!                         external.sha256  the original's files of external data, where it has any
//! ```
//!
//! The key holds everything that the result depends on: the model's bytes, ONNX Runtime's version and the processor, by
//! whose vector width convolution weights are laid out. So an entry can be missing, but never be the wrong one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tintype_core::package::digest::{self, Digests};
use tintype_core::package::external;
use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor, TensorData};

use super::VERSION;
use super::backend::OrtBackend;
use crate::{Accelerator, Backend, Device, Optimization, Session, SessionOptions, cpu_features, inputs};

const MODEL: &str = "model.onnx";
const WEIGHTS: &str = "weights.bin";
const EXTERNAL: &str = "external.sha256";

/// What was written, and what it is good for.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimized {
    /// Where it lies.
    pub folder: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The largest difference between its outputs and the original's on one made-up input, in units of the largest
    /// output; `None` where an input's size is not known.
    pub difference: Option<f64>,
    /// How long the original takes to load.
    pub load_before: Duration,
    /// How long it takes to load.
    pub load_after: Duration,
}

/// How far the outputs may be from the original's: optimised sums are added up in another order.
const TOLERANCE: f64 = 1e-3;

/// The entry for `model` below `cache`, where there is one that still fits.
pub(super) fn find(cache: Option<&Path>, model: &ModelSource, options: &SessionOptions) -> Option<PathBuf> {
    let root = cache?.join("optimized");
    if !applies(options) || !root.is_dir() {
        return None;
    }
    let folder = root.join(key(model).ok()?);
    let graph = folder.join(MODEL);
    (graph.is_file() && has_same_external_data(&folder, model)).then_some(graph)
}

/// Writes the entry of `model` below `cache`, in the place of an older one.
///
/// # Errors
/// Those of loading the model; `InvalidModel` when the optimised graph computes something else; `Io`.
pub(super) fn make(backend: &OrtBackend, cache: &Path, model: &ModelSource) -> Result<Optimized> {
    let (key, external) = (key(model)?, external_data(model)?);
    let root = cache.join("optimized");
    fs::create_dir_all(&root).map_err(|e| Error::io(&root, e))?;
    let temporary =
        tempfile::Builder::new().prefix(".writing-").tempdir_in(&root).map_err(|e| Error::io(&root, e))?;
    // Inside the temporary folder, which is private, so that what is renamed has ordinary permissions.
    let staged = temporary.path().join("staged");
    fs::create_dir(&staged).map_err(|e| Error::io(&staged, e))?;
    let options = SessionOptions::default();
    backend.write_optimized(model, &options, &staged.join(MODEL), WEIGHTS)?;
    if !external.is_empty() {
        let file = staged.join(EXTERNAL);
        fs::write(&file, digest::to_text(&external)).map_err(|e| Error::io(&file, e))?;
    }

    let timed = |source: &ModelSource, optimization| {
        let began = Instant::now();
        let session = backend.load(source, &SessionOptions { optimization, ..options.clone() });
        session.map(|session| (session, began.elapsed()))
    };
    let (mut before, load_before) = timed(model, Optimization::All)?;
    let (mut after, load_after) = timed(&ModelSource::Path(staged.join(MODEL)), Optimization::Done)?;
    let difference = difference(&mut *before, &mut *after)?;
    // Not a number is not within it.
    if let Some(found) = difference.filter(|difference| !(0.0..=TOLERANCE).contains(difference)) {
        let message = format!(
            "the optimised graph's outputs differ by {found:.1e} of the largest one, expected at most {TOLERANCE:.0e}"
        );
        return Err(Error::new(ErrorKind::InvalidModel, message));
    }
    drop((before, after));

    let bytes = [MODEL, WEIGHTS].iter().filter_map(|name| fs::metadata(staged.join(name)).ok());
    let bytes = bytes.map(|file| file.len()).sum();
    if self::key(model)? != key || external_data(model)? != external {
        return Err(Error::new(ErrorKind::InvalidModel, "the model changed while it was optimised"));
    }
    let folder = root.join(key);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
    }
    fs::rename(&staged, &folder).map_err(|e| Error::io(&folder, e))?;
    Ok(Optimized { folder, bytes, difference, load_before, load_after })
}

/// Whether sessions with these options would compute what an entry holds.
fn applies(options: &SessionOptions) -> bool {
    let SessionOptions { device, accelerators, optimization, custom_operators, .. } = options;
    let none: &[Accelerator] = &[];
    *device == Device::Cpu && accelerators == none && *optimization == Optimization::All && !custom_operators
}

fn key(model: &ModelSource) -> Result<String> {
    let model = match model {
        ModelSource::Path(path) => digest::of_file(path)?.1,
        ModelSource::Bytes(bytes) => digest::of_bytes(bytes),
    };
    let processor = format!("{} {}", std::env::consts::ARCH, cpu_features().join(" "));
    Ok(digest::of_bytes(format!("{model}\nonnxruntime {VERSION}\n{processor}\n").as_bytes()))
}

/// The digests of the files in which a model keeps weights, apart from its own.
fn external_data(model: &ModelSource) -> Result<Digests> {
    let ModelSource::Path(path) = model else { return Ok(Digests::new()) };
    let folder = path.parent().unwrap_or(Path::new(""));
    let locations = external::locations(&model.bytes()?)?;
    locations
        .into_iter()
        .map(|name| digest::of_file(&folder.join(&name)).map(|(_, sum)| (name, sum)))
        .collect()
}

fn has_same_external_data(entry: &Path, model: &ModelSource) -> bool {
    // The model's own bytes are the same, so it keeps its weights in the same files: are they the same, too?
    let Ok(text) = fs::read_to_string(entry.join(EXTERNAL)) else { return true };
    let ModelSource::Path(path) = model else { return false };
    let folder = path.parent().unwrap_or(Path::new(""));
    let same =
        |(name, sum): (&String, &String)| digest::of_file(&folder.join(name)).is_ok_and(|(_, s)| s == *sum);
    digest::parse(&text).is_ok_and(|digests| digests.iter().all(same))
}

/// The largest difference of the two sessions' outputs, in units of the first one's largest.
fn difference(before: &mut dyn Session, after: &mut dyn Session) -> Result<Option<f64>> {
    let Ok(mut inputs) = inputs::zeros(before.inputs(), 1) else { return Ok(None) };
    for input in &mut inputs {
        if let TensorData::F32(values) = input.data() {
            let values = (0..values.len()).map(|index| (index * 7919 % 1000) as f32 / 500.0 - 1.0).collect();
            *input = Tensor::from_data(input.shape().to_vec(), TensorData::F32(values))?;
        }
    }
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    let (expected, found) = (before.run(&inputs)?, after.run(&inputs)?);
    let mut largest: f64 = 0.0;
    let mut difference: f64 = 0.0;
    for (expected, found) in expected.iter().zip(&found) {
        let (TensorData::F32(expected), TensorData::F32(found)) = (expected.data(), found.data()) else {
            let same = expected.data() == found.data();
            difference = if same { difference } else { f64::INFINITY };
            continue;
        };
        for (expected, found) in expected.iter().zip(found) {
            largest = largest.max(f64::from(expected.abs()));
            let apart = f64::from((expected - found).abs());
            // `max` passes over what is not a number.
            difference =
                if expected.is_nan() == found.is_nan() { difference.max(apart) } else { f64::INFINITY };
        }
    }
    Ok(Some(if difference == 0.0 { 0.0 } else { difference / largest }))
}
