//! Batches ahead of the model: threads gather (and, where needed, decode and change) the next ones while it computes.
//!
//! Each thread makes whole batches, every `threads`-th one, and has a channel of its own; the consumer asks them in turn.
//! So batches arrive in order, no more than a few wait, and what a batch holds does not depend on the number of threads.

mod order;

use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tintype_core::{Error, ErrorKind, Result, Scratch, Tensor};

use crate::augment::{Mixed, Original, Stream};
use crate::data::Origin;
use crate::examples::{Examples, Originals, Rows};

pub(crate) use order::Order;

/// Finished batches that wait for the model, for each thread that makes some.
const AHEAD: usize = 1;

/// What the threads are called, by which `scripts/measure_loader.py` knows them.
const THREAD: &str = "load";

/// Some rows with their classes.
pub(crate) struct Batch {
    /// `[N, …]`.
    pub rows: Tensor,
    /// One class a row.
    pub classes: Vec<usize>,
    /// How the rows were mixed, where rows are mixed at all.
    pub mixed: Option<Mixed>,
}

/// Calls `consume` with each batch of `order`, in order, until it breaks; says how long it waited for batches in all.
///
/// # Errors
/// What `consume` returns; what reading a file returns.
pub(crate) fn for_batches(
    examples: &Examples,
    order: &Order,
    threads: usize,
    mut consume: impl FnMut(Batch) -> Result<ControlFlow<()>>,
) -> Result<Duration> {
    // Copying rows is no work for several.
    let threads = if matches!(examples.rows, Rows::Memory(_)) { 1 } else { threads.max(1) };
    std::thread::scope(|scope| {
        let (mut receivers, mut workers) = (Vec::new(), Vec::new());
        for first in 0..threads.min(order.batches.len()) {
            let (sender, receiver) = mpsc::sync_channel(AHEAD);
            receivers.push(receiver);
            let work = move || {
                let mut gather = Gather { examples, order, scratch: Scratch::default() };
                for place in (first..order.batches.len()).step_by(threads) {
                    // The consumer ends early by dropping the receiver.
                    if sender.send(gather.batch(place)).is_err() {
                        break;
                    }
                }
            };
            let worker = std::thread::Builder::new().name(THREAD.to_owned()).spawn_scoped(scope, work);
            workers.push(worker.map_err(|e| {
                Error::new(ErrorKind::Internal, "cannot start a loading thread").with_source(e)
            })?);
        }
        let mut waited = Duration::ZERO;
        let mut result = Ok(());
        for place in 0..order.batches.len() {
            // A thread that is gone without a word has panicked; joining it below says so.
            let began = Instant::now();
            let Ok(batch) = receivers[place % threads].recv() else { break };
            waited += began.elapsed();
            match batch.and_then(&mut consume) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        drop(receivers);
        for worker in workers {
            worker.join().map_err(|_| Error::new(ErrorKind::Internal, "a loading thread panicked"))?;
        }
        result.map(|()| waited)
    })
}

/// Makes batches.
struct Gather<'a> {
    examples: &'a Examples,
    order: &'a Order,
    scratch: Scratch,
}

impl Gather<'_> {
    /// The batch at this place of the order.
    fn batch(&mut self, place: usize) -> Result<Batch> {
        let rows = &self.order.batches[place];
        let width = self.examples.width();
        let mut values = vec![0.0; rows.len() * width];
        for (slot, &row) in values.chunks_exact_mut(width).zip(rows) {
            self.row(row, slot)?;
        }
        let mixed = match (&self.examples.mix, self.order.moment) {
            (Some(mix), Some(moment)) => {
                let mut rng = moment.generator(Stream::Batch, self.order.first + place);
                Some(mix.apply(&mut values, width, &mut rng))
            }
            _ => None,
        };
        let shape: Vec<usize> =
            std::iter::once(rows.len()).chain(self.examples.shape.iter().copied()).collect();
        let classes = rows.iter().map(|&row| self.examples.classes[row]).collect();
        Ok(Batch { rows: Tensor::new(shape, values)?, classes, mixed })
    }

    fn row(&mut self, row: usize, slot: &mut [f32]) -> Result<()> {
        let named = |origin: &Origin, e: Error| e.context(format!("`{origin}`"));
        match &self.examples.rows {
            Rows::Memory(all) => {
                slot.copy_from_slice(&all[row * slot.len()..][..slot.len()]);
                Ok(())
            }
            Rows::Files { origins, plan } => {
                let made = plan.prepare_into(&origins[row].read()?, &mut self.scratch, slot.into());
                made.map_err(|e| named(&origins[row], e))
            }
            Rows::Changing { originals, augmentation } => {
                let moment = self.order.moment.unwrap_or_default();
                let mut rng = moment.generator(Stream::Image, row);
                match originals {
                    Originals::Pictures(pictures) => {
                        let original = Original::Unpacked(&pictures[row]);
                        augmentation.apply(&original, &mut rng, &mut self.scratch, slot)
                    }
                    Originals::Files(origins) => {
                        let bytes = origins[row].read()?;
                        let original = Original::Encoded(&bytes);
                        let made = augmentation.apply(&original, &mut rng, &mut self.scratch, slot);
                        made.map_err(|e| named(&origins[row], e))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
