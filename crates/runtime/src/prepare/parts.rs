//! The images of one request, which idle threads of the pool prepare side by side.
//!
//! The thread that has the request takes image after image, and so does every thread that has nothing better to do; rows
//! come out in the order of the images. Where several are wrong, the first of them is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tintype_core::{Error, ErrorKind, Result, Scratch, Tensor};

/// Makes the tensor of the image of an index; never panics.
type Prepare = dyn Fn(usize, &mut Scratch) -> Result<Tensor> + Send + Sync;

/// The work on one request.
pub(super) struct Parts {
    prepare: Box<Prepare>,
    count: usize,
    /// The next image that nobody has taken.
    next: AtomicUsize,
    state: Mutex<State>,
    left: Condvar,
}

struct State {
    rows: Vec<Option<Result<Tensor>>>,
    /// Threads that help.
    helpers: usize,
}

impl Parts {
    pub(super) fn new(
        count: usize,
        prepare: impl Fn(usize, &mut Scratch) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Self {
        let state = State { rows: (0..count).map(|_| None).collect(), helpers: 0 };
        Self {
            prepare: Box::new(prepare),
            count,
            next: AtomicUsize::new(0),
            state: Mutex::new(state),
            left: Condvar::new(),
        }
    }

    /// How many threads may help its own.
    pub(super) fn wanted(&self) -> usize {
        self.count.saturating_sub(1)
    }

    /// Whether every image is taken.
    pub(super) fn is_taken(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.count
    }

    /// Another thread will [help](Self::help).
    pub(super) fn join(&self) {
        self.lock().helpers += 1;
    }

    /// Takes images until none is left.
    pub(super) fn help(&self, scratch: &mut Scratch) {
        self.work(scratch);
        self.lock().helpers -= 1;
        self.left.notify_all();
    }

    /// Takes images until none is left. The first that is wrong ends that: those before it are taken already.
    pub(super) fn work(&self, scratch: &mut Scratch) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.count {
                return;
            }
            let row = (self.prepare)(index, scratch);
            if row.is_err() {
                self.next.fetch_max(self.count, Ordering::Relaxed);
            }
            self.lock().rows[index] = Some(row);
        }
    }

    /// Waits for those who help with what they took, and gives the rows, in the order of the images. Nobody may join any
    /// more.
    ///
    /// # Errors
    /// What is wrong with the first image that is.
    pub(super) fn finish(&self) -> Result<Vec<Tensor>> {
        let busy = self.left.wait_while(self.lock(), |state| state.helpers > 0);
        let mut state = busy.unwrap_or_else(PoisonError::into_inner);
        let rows = std::mem::take(&mut state.rows).into_iter().enumerate();
        let rows = rows.map(|(index, row)| {
            let missing = || Error::new(ErrorKind::Internal, "nobody prepared it");
            row.ok_or_else(missing).flatten().map_err(|error| error.context(format!("image {index}")))
        });
        rows.collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("count", &self.count).field("next", &self.next).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    fn row(index: usize) -> Result<Tensor> {
        Tensor::new([1], vec![index as f32])
    }

    #[test]
    fn threads_work_side_by_side_and_rows_keep_their_order() {
        let both = Barrier::new(2);
        let parts = Arc::new(Parts::new(6, move |index, _| {
            // Nobody gets past this alone.
            both.wait();
            row(index)
        }));
        parts.join();
        let helper = {
            let parts = parts.clone();
            std::thread::spawn(move || parts.help(&mut Scratch::default()))
        };
        parts.work(&mut Scratch::default());
        let rows = parts.finish().unwrap();
        helper.join().unwrap();
        let values: Vec<f32> = rows.iter().map(|row| row.values::<f32>().unwrap()[0]).collect();
        assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!(parts.is_taken());
    }

    #[test]
    fn the_first_that_is_wrong_is_told_and_ends_the_work() {
        let parts = Parts::new(5, |index, _| match index {
            2 => Err(Error::new(ErrorKind::CorruptImage, "torn")),
            3.. => Err(Error::new(ErrorKind::Internal, "not reached")),
            _ => row(index),
        });
        parts.work(&mut Scratch::default());
        let error = parts.finish().unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::CorruptImage, "image 2: torn"));
    }
}
