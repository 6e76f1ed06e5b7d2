//! What a frozen backbone makes of each image, computed once.
//!
//! On a CPU one session with one thread per core, each with its own worker that reads, prepares and runs a few images at a
//! time: half the processor time of one session with all threads. On a GPU the workers share one session and bring it more
//! images at a time.

use std::sync::{Mutex, PoisonError};

use tintype_core::{Error, ErrorKind, ModelSource, Plan, Result, Scratch, Tensor};
use tintype_engine::{Backend, Device, Session, SessionOptions};

use crate::data::Sample;
use crate::pass::{Watch, batch_of, fixed_batch, over_files};

/// Images that go through the backbone together: enough for its matrices, little enough for the caches.
const BATCH: usize = 8;

/// The same on a GPU, which has more to fill.
const GPU_BATCH: usize = 32;

/// A backbone: image in, a row of features out.
pub(crate) struct Backbone<'a> {
    pub backend: &'a dyn Backend,
    pub device: Device,
    pub model: ModelSource,
    pub plan: &'a Plan,
    pub threads: usize,
}

/// The features of each sample, `F` values, or why there are none.
///
/// # Errors
/// `InvalidModel` when the model does not load or its only output is not `f32[N, F]`; `Engine` when it does not run;
/// `Cancelled`.
pub(crate) fn extract(
    backbone: &Backbone,
    samples: &[Sample],
    watch: &mut Watch,
) -> Result<Vec<Result<Vec<f32>>>> {
    // A model of fixed batch size may still take fewer images a time; one of free image size takes them singly.
    let (sessions, most) =
        if backbone.device == Device::Cpu { (backbone.threads, BATCH) } else { (1, GPU_BATCH) };
    let mut batch = if backbone.plan.output_shape().is_some() { most } else { 1 };
    let options = SessionOptions { device: backbone.device, ..SessionOptions::default() };
    let mut shared = Vec::new();
    for _ in 0..sessions {
        let session = backbone.backend.load(&backbone.model, &options)?;
        batch = fixed_batch(session.as_ref(), 0).unwrap_or(batch);
        shared.push(Mutex::new(session));
    }
    let mut workers = Vec::new();
    for thread in 0..backbone.threads {
        let session = &shared[thread % sessions];
        let mut worker = Worker { session, plan: backbone.plan, scratch: Scratch::default() };
        workers.push(move |range: std::ops::Range<usize>| worker.run(&samples[range]));
    }
    over_files(samples.len(), batch, workers, watch)
}

struct Worker<'a> {
    session: &'a Mutex<Box<dyn Session>>,
    plan: &'a Plan,
    scratch: Scratch,
}

impl Worker<'_> {
    fn run(&mut self, samples: &[Sample]) -> Result<Vec<Result<Vec<f32>>>> {
        let mut images = Vec::with_capacity(samples.len());
        let mut results: Vec<Result<Vec<f32>>> = Vec::with_capacity(samples.len());
        for sample in samples {
            // A readable image's row is filled in below.
            results.push(prepare(self.plan, sample, &mut self.scratch).map(|image| {
                images.push(image);
                Vec::new()
            }));
        }
        if images.is_empty() {
            return Ok(results);
        }
        // A session that a run has left in the middle is as good as before.
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = batch_of(&images, session.as_ref(), 0)?;
        let rows = batch.shape()[0];
        let outputs = session.run(&[&batch])?;
        drop(session);
        let features = outputs.first().filter(|f| f.shape().len() == 2 && f.shape()[0] == rows);
        let features = features.ok_or_else(|| {
            Error::new(ErrorKind::InvalidModel, "the backbone's output is not one row of features an image")
        })?;
        let width = features.shape()[1];
        let mut rows = features.values::<f32>()?.chunks_exact(width);
        for row in results.iter_mut().filter_map(|r| r.as_mut().ok()) {
            row.extend_from_slice(rows.next().unwrap_or_default());
        }
        Ok(results)
    }
}

/// Reads and prepares one file as a batch of one.
pub(crate) fn prepare(plan: &Plan, sample: &Sample, scratch: &mut Scratch) -> Result<Tensor> {
    let image = plan.prepare(&sample.origin.read()?, scratch)?;
    let shape: Vec<usize> = std::iter::once(1).chain(image.shape().iter().copied()).collect();
    image.reshaped(shape)
}
