//! One thread with one session: gather → run → scatter.
//!
//! What a batch does wrong stays with that batch. An engine that fails or panics is not trusted again: its batch fails,
//! the session is thrown away and loaded anew, after a pause that doubles with every failure in a row.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor};
use tintype_engine::{Backend, Device, Session, SessionOptions};

use crate::job::{Job, Ran};
use crate::pipeline::Pipeline;
use crate::prepare::guarded;
use crate::stats::Stage;
use crate::trace::Activity;

/// The pause before the first reload; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How a session of a model comes to be.
pub(crate) struct Loader {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) source: ModelSource,
    pub(crate) options: SessionOptions,
    /// Batch sizes to warm up with.
    pub(crate) batches: Vec<usize>,
    /// Inputs to warm up with, after those.
    pub(crate) samples: Vec<WarmUp>,
}

/// A run before the first request, as `model_warmup` asks for.
#[derive(Debug, Clone)]
pub(crate) struct WarmUp {
    pub(crate) name: String,
    /// In the session's order.
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) times: usize,
}

impl Loader {
    /// Loads a session on `device` and warms it up.
    pub(crate) fn load(&self, device: Device) -> Result<Box<dyn Session>> {
        guarded(|| {
            let options = SessionOptions { device, ..self.options.clone() };
            let mut session = self.backend.load(&self.source, &options)?;
            self.warm_up(&mut *session)?;
            Ok(session)
        })
        .unwrap_or_else(|panic| Err(Error::new(ErrorKind::Engine, format!("loading panicked: {panic}"))))
    }
}

impl Loader {
    /// Runs the model on zeros and on the samples.
    pub(crate) fn warm_up(&self, session: &mut dyn Session) -> Result<()> {
        match session.warm_up(&self.batches) {
            // Its other axes are known only with the first request.
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            warmed => warmed?,
        }
        for sample in &self.samples {
            let inputs: Vec<&Tensor> = sample.inputs.iter().collect();
            for _ in 0..sample.times {
                session.run(&inputs).map_err(|e| e.context(format!("warm-up `{}`", sample.name)))?;
            }
        }
        Ok(())
    }
}

/// One thread's view of its model.
pub(crate) struct Instance {
    pub(crate) index: usize,
    pub(crate) device: Device,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) loader: Arc<Loader>,
    /// Disconnected when the model is unloaded, to end a pause early.
    pub(crate) stop: Receiver<()>,
}

/// Whether the session may be used again.
#[derive(PartialEq)]
enum Verdict {
    Sound,
    Broken,
}

impl Instance {
    /// Runs batches until the model's queue is closed. The caller has counted the instance as up.
    pub(crate) fn work(self, session: Box<dyn Session>) {
        let mut session = session;
        let mut failures = 0;
        while let Some(batch) = self.pipeline.queue.next_batch() {
            if self.run(&mut *session, batch) == Verdict::Sound {
                failures = 0;
                continue;
            }
            self.pipeline.instance_down();
            // Its memory is needed for the new one; a broken engine may panic once more.
            let _ = guarded(|| drop(session));
            match self.reload(&mut failures) {
                Some(fresh) => session = fresh,
                None => return,
            }
            self.pipeline.instance_up();
        }
        self.pipeline.instance_down();
    }

    /// Pauses and loads until that succeeds; `None` when told to stop.
    fn reload(&self, failures: &mut u32) -> Option<Box<dyn Session>> {
        loop {
            let pause = pause_after(*failures);
            *failures += 1;
            if self.stop.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return None;
            }
            let (model, instance) = (&self.pipeline.name, self.index);
            match self.loader.load(self.device) {
                Ok(session) => {
                    self.pipeline.stats.restarts.inc();
                    tracing::warn!(%model, instance, failures = *failures, "instance restarted");
                    return Some(session);
                }
                Err(error) => tracing::error!(%model, instance, %error, "reloading the model failed"),
            }
        }
    }

    fn run(&self, session: &mut dyn Session, mut batch: Vec<Job>) -> Verdict {
        let started = Instant::now();
        for job in &mut batch {
            let waited = started - job.ready;
            job.times.queue += waited;
            self.pipeline.stats.observe(Stage::Queue, waited);
            job.ticket.start();
            job.ticket.stamp(Activity::ComputeStart, started);
            // The next image may be prepared while this one runs.
            job.place = None;
        }
        let rows = batch.iter().map(|job| job.rows).sum();
        self.pipeline.stats.batch(rows);
        let computed = guarded(|| self.compute(session, &mut batch, rows)).unwrap_or_else(|panic| {
            Err(Error::new(ErrorKind::Engine, format!("the engine panicked: {panic}")))
        });
        let took = started.elapsed();
        self.pipeline.stats.observe_all(Stage::Infer, took, batch.len());
        match computed {
            Ok(outputs) => {
                self.pipeline.queue.took(rows, took);
                self.scatter(batch, outputs);
                Verdict::Sound
            }
            Err(error) if error.kind() == ErrorKind::InvalidArgument => self.refuse(session, batch, error),
            Err(error) => {
                let (model, instance) = (&self.pipeline.name, self.index);
                tracing::error!(%model, instance, rows, %error, "running the model failed");
                batch.into_iter().for_each(|job| self.fail(job, &error));
                Verdict::Broken
            }
        }
    }

    /// The engine refused the input: the fault of one job, found by running each alone.
    fn refuse(&self, session: &mut dyn Session, mut batch: Vec<Job>, error: Error) -> Verdict {
        if batch.len() == 1 {
            batch.drain(..).for_each(|job| self.fail(job, &error));
            return Verdict::Sound;
        }
        let mut jobs = batch.into_iter();
        while let Some(job) = jobs.next() {
            if self.run(session, vec![job]) == Verdict::Broken {
                jobs.for_each(|job| self.fail(job, &error));
                return Verdict::Broken;
            }
        }
        Verdict::Sound
    }

    fn fail(&self, job: Job, error: &Error) {
        self.pipeline.queue.answer(job.ticket, job.turn, Err(again(error)));
    }

    /// Runs the model on a batch of `rows` rows, and notes in each job how long that took.
    fn compute(&self, session: &mut dyn Session, batch: &mut [Job], rows: usize) -> Result<Vec<Tensor>> {
        let started = Instant::now();
        let gathered = match &*batch {
            // Nothing to gather, nothing to copy.
            [_] => None,
            jobs => Some(gather(jobs)?),
        };
        let inputs: Vec<&Tensor> = match (&gathered, &*batch) {
            (Some(inputs), _) => inputs.iter().collect(),
            (None, jobs) => jobs.iter().flat_map(|job| &job.inputs).collect(),
        };
        let running = Instant::now();
        let outputs = session.run(&inputs)?;
        let infer = running.elapsed();
        for (index, job) in batch.iter_mut().enumerate() {
            job.times.input += running - started;
            job.times.infer = infer;
            // A batch is told of once.
            job.times.batch = if index == 0 { rows } else { 0 };
            job.ticket.stamp(Activity::ComputeInputEnd, running);
            job.ticket.stamp(Activity::ComputeOutputStart, running + infer);
        }
        let wrong = |output: &&Tensor| output.shape().first() != Some(&rows);
        match outputs.iter().find(wrong).filter(|_| self.pipeline.signature.max_batch_size() > 0) {
            None => Ok(outputs),
            Some(output) => Err(Error::new(
                ErrorKind::Engine,
                format!("expected outputs of {rows} rows, found shape {:?}", output.shape()),
            )),
        }
    }

    /// Gives every job its rows of the outputs.
    fn scatter(&self, batch: Vec<Job>, outputs: Vec<Tensor>) {
        if batch.len() == 1 {
            for (job, outputs) in batch.into_iter().zip([outputs]) {
                self.pipeline.queue.answer(job.ticket, job.turn, Ok(Ran { outputs, times: job.times }));
            }
            return;
        }
        let mut start = 0;
        for job in batch {
            let rows: Result<Vec<Tensor>> =
                outputs.iter().map(|output| output.rows(start, job.rows)).collect();
            start += job.rows;
            let ran = rows.map(|outputs| Ran { outputs, times: job.times });
            self.pipeline.queue.answer(job.ticket, job.turn, ran);
        }
    }
}

/// One tensor for each input, of all jobs.
fn gather(jobs: &[Job]) -> Result<Vec<Tensor>> {
    let count = jobs.first().map_or(0, |job| job.inputs.len());
    (0..count)
        .map(|input| Tensor::concat(&jobs.iter().map(|job| &job.inputs[input]).collect::<Vec<_>>()))
        .collect()
}

/// The same failure for another job of the batch.
fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.message())
}

fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_a_bound() {
        assert_eq!(pause_after(0), FIRST_PAUSE);
        assert_eq!(pause_after(3), FIRST_PAUSE * 8);
        assert_eq!(pause_after(1000), LONGEST_PAUSE);
    }
}
