//! In which order rows are visited.

use rand::seq::SliceRandom;

use crate::augment::{Moment, Stream};

/// Rows cut into batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// Row numbers, one list a batch.
    pub batches: Vec<Vec<usize>>,
    /// Batches of the epoch before these.
    pub first: usize,
    /// What random changes follow from; in evaluation there are none.
    pub moment: Option<Moment>,
}

impl Order {
    /// Every row once, shuffled; the last, incomplete batch is left out if there is a full one.
    pub fn shuffled(rows: usize, batch: usize, moment: Moment, stream: Stream) -> Self {
        let mut order: Vec<usize> = (0..rows).collect();
        order.shuffle(&mut moment.generator(stream, 0));
        let mut batches: Vec<_> = order.chunks(batch).map(<[usize]>::to_vec).collect();
        if batches.len() > 1 && batches.last().is_some_and(|b| b.len() < batch) {
            batches.pop();
        }
        Self { batches, first: 0, moment: Some(moment) }
    }

    /// Every row once, in order.
    pub fn sequential(rows: usize, batch: usize) -> Self {
        let order: Vec<usize> = (0..rows).collect();
        Self { batches: order.chunks(batch).map(<[usize]>::to_vec).collect(), first: 0, moment: None }
    }

    /// What is left after `done` batches.
    pub fn after(mut self, done: usize) -> Self {
        self.batches.drain(..done.min(self.batches.len()));
        Self { first: self.first + done, ..self }
    }

    /// No more than `count` batches.
    pub fn at_most(mut self, count: usize) -> Self {
        self.batches.truncate(count);
        self
    }
}
