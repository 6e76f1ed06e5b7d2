//! One thread with one session: gather → run → scatter.
//!
//! What a batch does wrong stays with that batch. An engine that fails or panics is not trusted again: its batch fails,
//! the session is thrown away and loaded anew, after a pause that doubles with every failure in a row.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor};
use tintype_engine::{Backend, Session, SessionOptions};

use crate::job::Job;
use crate::model::Model;
use crate::prepare::guarded;
use crate::stats::Stage;

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
}

impl Loader {
    /// Loads a session and warms it up.
    pub(crate) fn load(&self) -> Result<Box<dyn Session>> {
        guarded(|| {
            let mut session = self.backend.load(&self.source, &self.options)?;
            match session.warm_up(&self.batches) {
                // Its other axes are known only with the first request.
                Err(error) if error.kind() == ErrorKind::Unsupported => Ok(session),
                warmed => warmed.map(|()| session),
            }
        })
        .unwrap_or_else(|panic| Err(Error::new(ErrorKind::Engine, format!("loading panicked: {panic}"))))
    }
}

/// One thread's view of its model.
pub(crate) struct Instance {
    pub(crate) index: usize,
    pub(crate) model: Arc<Model>,
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
        while let Some(batch) = self.model.queue.next_batch() {
            if self.run(&mut *session, batch) == Verdict::Sound {
                failures = 0;
                continue;
            }
            self.model.instance_down();
            // Its memory is needed for the new one; a broken engine may panic once more.
            let _ = guarded(|| drop(session));
            match self.reload(&mut failures) {
                Some(fresh) => session = fresh,
                None => return,
            }
            self.model.instance_up();
        }
        self.model.instance_down();
    }

    /// Pauses and loads until that succeeds; `None` when told to stop.
    fn reload(&self, failures: &mut u32) -> Option<Box<dyn Session>> {
        loop {
            let pause = pause_after(*failures);
            *failures += 1;
            if self.stop.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return None;
            }
            let (model, instance) = (&self.model.name, self.index);
            match self.loader.load() {
                Ok(session) => {
                    self.model.stats.restarts.inc();
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
            self.model.stats.observe(Stage::Queue, started - job.ready);
            // The next image may be prepared while this one runs.
            job.place = None;
        }
        let rows = batch.iter().map(|job| job.rows).sum();
        self.model.stats.batch(rows);
        let outputs = guarded(|| compute(session, &batch, rows)).unwrap_or_else(|panic| {
            Err(Error::new(ErrorKind::Engine, format!("the engine panicked: {panic}")))
        });
        self.observe_infer(batch.len(), started.elapsed());
        match outputs {
            Ok(outputs) => {
                scatter(batch, outputs);
                Verdict::Sound
            }
            Err(error) if error.kind() == ErrorKind::InvalidArgument => self.refuse(session, batch, error),
            Err(error) => {
                let (model, instance) = (&self.model.name, self.index);
                tracing::error!(%model, instance, rows, %error, "running the model failed");
                batch.into_iter().for_each(|job| job.ticket.answer(Err(again(&error))));
                Verdict::Broken
            }
        }
    }

    /// The engine refused the input: the fault of one job, found by running each alone.
    fn refuse(&self, session: &mut dyn Session, mut batch: Vec<Job>, error: Error) -> Verdict {
        if batch.len() == 1 {
            batch.drain(..).for_each(|job| job.ticket.answer(Err(again(&error))));
            return Verdict::Sound;
        }
        let mut jobs = batch.into_iter();
        while let Some(job) = jobs.next() {
            if self.run(session, vec![job]) == Verdict::Broken {
                jobs.for_each(|job| job.ticket.answer(Err(again(&error))));
                return Verdict::Broken;
            }
        }
        Verdict::Sound
    }

    fn observe_infer(&self, jobs: usize, time: Duration) {
        (0..jobs).for_each(|_| self.model.stats.observe(Stage::Infer, time));
    }
}

/// Runs the model on a batch of `rows` rows.
fn compute(session: &mut dyn Session, batch: &[Job], rows: usize) -> Result<Vec<Tensor>> {
    let outputs = match batch {
        // Nothing to gather, nothing to copy.
        [job] => session.run(&job.inputs.iter().collect::<Vec<_>>())?,
        jobs => {
            let inputs = gather(jobs)?;
            session.run(&inputs.iter().collect::<Vec<_>>())?
        }
    };
    match outputs.iter().find(|output| output.shape().first() != Some(&rows)) {
        None => Ok(outputs),
        Some(odd) => Err(Error::new(
            ErrorKind::Engine,
            format!("expected an output of {rows} rows, found shape {:?}", odd.shape()),
        )),
    }
}

/// One tensor for each input, of all jobs' rows.
fn gather(jobs: &[Job]) -> Result<Vec<Tensor>> {
    (0..jobs[0].inputs.len())
        .map(|input| Tensor::concat(&jobs.iter().map(|job| &job.inputs[input]).collect::<Vec<_>>()))
        .collect()
}

/// Gives every job its rows of the outputs.
fn scatter(batch: Vec<Job>, outputs: Vec<Tensor>) {
    if batch.len() == 1 {
        batch.into_iter().zip([outputs]).for_each(|(job, outputs)| job.ticket.answer(Ok(outputs)));
        return;
    }
    let mut start = 0;
    for job in batch {
        let rows: Result<Vec<Tensor>> = outputs.iter().map(|output| output.rows(start, job.rows)).collect();
        start += job.rows;
        job.ticket.answer(rows);
    }
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
