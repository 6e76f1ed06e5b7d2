//! One pass over many image files on all cores.
//!
//! Workers claim runs of a few files at a time; the calling thread collects what they send, tells the subscriber, and
//! puts results into the files' order. What is done with a file is the worker's business ([`crate::features`],
//! [`crate::examples`], [`crate::evaluate`]).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use tintype_core::{Error, ErrorKind, Result, Tensor};
use tintype_engine::Session;

use crate::event::{ImagesPass, ImagesProgress, Subscriber, TrainEvent};

/// A wish to stop, shared between who has it (Ctrl-C) and who works.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the work to stop at its next step.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// As many threads as were asked for, one for each core where that is 0.
pub(crate) fn threads(asked: usize) -> usize {
    match asked {
        0 => tintype_core::cores(),
        n => n,
    }
}

/// Who is told of a pass, and who may end it.
pub(crate) struct Watch<'a> {
    pub what: ImagesPass,
    pub subscriber: &'a mut dyn Subscriber,
    pub stop: &'a Stop,
}

/// Messages that may wait for the collecting thread, which does next to nothing with each.
const WAITING: usize = 64;

/// Gives `0..count` in runs of `chunk` to `workers`, each on a thread of its own.
///
/// A worker returns one result a file, in order: an error in it is that file's alone and is reported as an event;
/// an error of the worker ends the pass.
///
/// # Errors
/// The first error of a worker; `Cancelled` when a stop was requested.
pub(crate) fn over_files<T, W>(
    count: usize,
    chunk: usize,
    workers: Vec<W>,
    watch: &mut Watch,
) -> Result<Vec<Result<T>>>
where
    T: Send,
    W: FnMut(Range<usize>) -> Result<Vec<Result<T>>> + Send,
{
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    let ended = Stop::default();
    let (sender, receiver) = mpsc::sync_channel(WAITING);
    std::thread::scope(|scope| {
        for mut work in workers {
            let (sender, next, ended) = (sender.clone(), &next, &ended);
            scope.spawn(move || {
                while !ended.is_requested() {
                    let start = next.fetch_add(chunk, Ordering::Relaxed);
                    if start >= count {
                        break;
                    }
                    let range = start..(start + chunk).min(count);
                    let result = work(range.clone());
                    // The receiver is gone only once the pass has failed.
                    if sender.send((range, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut results: Vec<Option<Result<T>>> = (0..count).map(|_| None).collect();
        let mut done = 0;
        for (range, result) in receiver {
            if watch.stop.is_requested() {
                ended.request();
                return Err(Error::new(ErrorKind::Cancelled, "stopped"));
            }
            let found = result.inspect_err(|_| ended.request())?;
            done += range.len();
            for (index, result) in range.zip(found) {
                results[index] = Some(result);
            }
            let elapsed = began.elapsed();
            let progress = ImagesProgress { what: watch.what, done, total: count, elapsed };
            watch.subscriber.on_event(&TrainEvent::Images(progress));
        }
        let missing = || Err(Error::new(ErrorKind::Internal, "a worker ended without an answer"));
        Ok(results.into_iter().map(|r| r.unwrap_or_else(missing)).collect())
    })
}

/// A batch that a session takes: `images` as they are, or repeated up to the fixed size of its first axis.
///
/// # Errors
/// `InvalidArgument` when the images differ in dtype or shape.
pub(crate) fn batch_of(images: &[Tensor], session: &dyn Session, input: usize) -> Result<Tensor> {
    let fixed = fixed_batch(session, input).unwrap_or(images.len());
    let last = images.len().saturating_sub(1);
    let parts: Vec<&Tensor> = (0..fixed.max(images.len())).filter_map(|i| images.get(i.min(last))).collect();
    Tensor::concat(&parts)
}

/// The size of a session's first axis, if the model fixes it.
pub(crate) fn fixed_batch(session: &dyn Session, input: usize) -> Option<usize> {
    session.inputs().get(input)?.shape.first().copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Vec<usize>);

    impl Subscriber for Seen {
        fn on_event(&mut self, event: &TrainEvent) {
            if let TrainEvent::Images(progress) = event {
                self.0.push(progress.done);
            }
        }
    }

    fn pass(
        stop: &Stop,
        seen: &mut Seen,
        work: impl Fn(usize) -> Result<Result<usize>> + Sync,
    ) -> Result<Vec<Result<usize>>> {
        let workers: Vec<_> = (0..3).map(|_| |range: Range<usize>| range.map(&work).collect()).collect();
        over_files(10, 4, workers, &mut Watch { what: ImagesPass::Decode, subscriber: seen, stop })
    }

    #[test]
    fn results_keep_the_files_order_and_errors_their_file() {
        let mut seen = Seen::default();
        let bad = |i| if i == 7 { Err(Error::new(ErrorKind::CorruptImage, "bad")) } else { Ok(i * i) };
        let found = pass(&Stop::default(), &mut seen, |i| Ok(bad(i))).unwrap();
        for (i, result) in found.iter().enumerate() {
            assert_eq!(result.as_ref().ok(), bad(i).ok().as_ref());
        }
        assert_eq!((found.len(), seen.0.len(), seen.0.last()), (10, 3, Some(&10)));
    }

    #[test]
    fn a_failing_worker_and_a_stop_end_the_pass() {
        let fail = |_| Err(Error::new(ErrorKind::Engine, "broken"));
        let error = pass(&Stop::default(), &mut Seen::default(), fail).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Engine);
        let stop = Stop::default();
        stop.request();
        let error = pass(&stop, &mut Seen::default(), |i| Ok(Ok(i))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }
}
