//! How fast it goes, and for how long still.

use std::time::{Duration, Instant};

/// Times a training.
pub(super) struct Clock {
    /// When the first step began.
    training: Instant,
    /// Steps so far.
    done: usize,
    epochs: usize,
}

impl Clock {
    /// Begins to time `epochs` epochs.
    pub fn start(epochs: usize) -> Self {
        Self { training: Instant::now(), done: 0, epochs }
    }

    /// Counts a step of epochs of `steps`; returns the time left.
    pub fn tick(&mut self, steps: usize) -> Duration {
        self.done += 1;
        let left = (steps * self.epochs).saturating_sub(self.done) as f64 / self.done as f64;
        self.training.elapsed().mul_f64(left)
    }
}
