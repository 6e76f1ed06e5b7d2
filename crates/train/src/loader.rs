//! Batches ahead of the model: a thread gathers (and, where needed, decodes) the next while the model computes.

use std::ops::ControlFlow;
use std::sync::mpsc;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tintype_core::{Error, Plan, Result, Scratch, Tensor};

use crate::examples::{Examples, Rows};

/// Batches that wait for the model: one ready while the next is made.
const AHEAD: usize = 1;

/// Some rows with their classes.
pub(crate) struct Batch {
    /// `[N, …]`.
    pub rows: Tensor,
    /// One class a row.
    pub classes: Vec<usize>,
}

/// The order in which rows are visited, cut into batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// Row numbers, one list a batch.
    pub batches: Vec<Vec<usize>>,
    /// Seeds which rows are mirrored; none are where absent.
    pub flip: Option<u64>,
}

impl Order {
    /// Every row once, shuffled by `seed` and epoch; the last, incomplete batch is left out if there is a full one.
    pub fn shuffled(rows: usize, batch: usize, seed: u64, epoch: usize) -> Self {
        let mut order: Vec<usize> = (0..rows).collect();
        order.shuffle(&mut StdRng::seed_from_u64(seed ^ ((epoch as u64) << 32)));
        let mut batches: Vec<_> = order.chunks(batch).map(<[usize]>::to_vec).collect();
        if batches.len() > 1 && batches.last().is_some_and(|b| b.len() < batch) {
            batches.pop();
        }
        Self { batches, flip: None }
    }

    /// Every row once, in order.
    pub fn sequential(rows: usize, batch: usize) -> Self {
        let order: Vec<usize> = (0..rows).collect();
        Self { batches: order.chunks(batch).map(<[usize]>::to_vec).collect(), flip: None }
    }
}

/// Calls `consume` with each batch of `order`, in order, until it breaks.
///
/// # Errors
/// What `consume` returns; what reading a file returns.
pub(crate) fn for_batches(
    examples: &Examples,
    order: &Order,
    threads: usize,
    mut consume: impl FnMut(Batch) -> Result<ControlFlow<()>>,
) -> Result<()> {
    std::thread::scope(|scope| {
        // Inside the scope, so that a consumer that ends early drops the receiver and thereby ends the loader.
        let (sender, receiver) = mpsc::sync_channel(AHEAD);
        scope.spawn(move || {
            let mut gather = Gather::new(examples, threads, order.flip);
            for rows in &order.batches {
                if sender.send(gather.batch(rows)).is_err() {
                    break;
                }
            }
        });
        for batch in receiver {
            if consume(batch?)?.is_break() {
                break;
            }
        }
        Ok(())
    })
}

struct Gather<'a> {
    examples: &'a Examples,
    /// One a thread that decodes.
    scratches: Vec<Scratch>,
    flip: Option<StdRng>,
}

impl<'a> Gather<'a> {
    fn new(examples: &'a Examples, threads: usize, flip: Option<u64>) -> Self {
        let scratches = (0..threads.max(1)).map(|_| Scratch::default()).collect();
        Self { examples, scratches, flip: flip.map(StdRng::seed_from_u64) }
    }

    fn batch(&mut self, rows: &[usize]) -> Result<Batch> {
        let width = self.examples.width();
        let mut values = vec![0.0; rows.len() * width];
        match &self.examples.rows {
            Rows::Memory(all) => {
                for (slot, &row) in values.chunks_exact_mut(width).zip(rows) {
                    slot.copy_from_slice(&all[row * width..][..width]);
                }
            }
            Rows::Files { paths, plan } => {
                let files: Vec<_> = rows.iter().map(|&row| paths[row].as_path()).collect();
                decode_into(&files, plan, &mut self.scratches, &mut values)?;
            }
        }
        if let Some(rng) = &mut self.flip {
            let line = self.examples.shape.last().copied().unwrap_or(1);
            for slot in values.chunks_exact_mut(width) {
                if rng.random::<bool>() {
                    slot.chunks_exact_mut(line).for_each(<[f32]>::reverse);
                }
            }
        }
        let shape: Vec<usize> =
            std::iter::once(rows.len()).chain(self.examples.shape.iter().copied()).collect();
        let classes = rows.iter().map(|&row| self.examples.classes[row]).collect();
        Ok(Batch { rows: Tensor::new(shape, values)?, classes })
    }
}

fn decode_into(
    files: &[&std::path::Path],
    plan: &Plan,
    scratches: &mut [Scratch],
    values: &mut [f32],
) -> Result<()> {
    let width = values.len() / files.len().max(1);
    let share = files.len().div_ceil(scratches.len());
    std::thread::scope(|scope| {
        let parts = files.chunks(share).zip(values.chunks_mut(share * width)).zip(scratches);
        let threads: Vec<_> = parts
            .map(|((files, values), scratch)| {
                scope.spawn(move || -> Result<()> {
                    for (file, slot) in files.iter().zip(values.chunks_exact_mut(width)) {
                        let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
                        plan.prepare_into(&bytes, scratch, slot.into())
                            .map_err(|e| e.context(format!("`{}`", file.display())))?;
                    }
                    Ok(())
                })
            })
            .collect();
        for thread in threads {
            let gone = |_| Error::new(tintype_core::ErrorKind::Internal, "a decoding thread panicked");
            thread.join().map_err(gone)??;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(rows: usize) -> Examples {
        let values = (0..rows * 4).map(|i| i as f32).collect();
        Examples { shape: vec![1, 2, 2], classes: (0..rows).collect(), rows: Rows::Memory(values) }
    }

    fn collect(order: &Order, rows: usize) -> Vec<Batch> {
        let mut found = Vec::new();
        for_batches(&examples(rows), order, 2, |batch| {
            found.push(batch);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        found
    }

    #[test]
    fn an_epoch_visits_rows_once_in_an_order_of_its_own() {
        let first = Order::shuffled(10, 4, 1, 0);
        assert_eq!(first.batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4]);
        assert_eq!(first, Order::shuffled(10, 4, 1, 0));
        assert_ne!(first, Order::shuffled(10, 4, 1, 1));
        assert_ne!(first, Order::shuffled(10, 4, 2, 0));
        let mut rows = Order::shuffled(9, 3, 0, 0).batches.concat();
        rows.sort_unstable();
        assert_eq!(rows, (0..9).collect::<Vec<_>>());
        assert_eq!(Order::shuffled(3, 4, 0, 0).batches[0].len(), 3);
    }

    #[test]
    fn batches_hold_their_rows() {
        let found = collect(&Order::sequential(5, 2), 5);
        assert_eq!(found.len(), 3);
        assert_eq!(found[1].rows.shape(), [2, 1, 2, 2]);
        assert_eq!(found[1].rows.values::<f32>().unwrap(), [8., 9., 10., 11., 12., 13., 14., 15.]);
        assert_eq!(found[2].classes, [4]);
    }

    #[test]
    fn a_flip_mirrors_whole_rows_of_some_images() {
        let order = Order { flip: Some(3), ..Order::sequential(64, 64) };
        let found = collect(&order, 64);
        let values = found[0].rows.values::<f32>().unwrap();
        let turned = values.chunks(4).zip(0..).filter(|(v, i)| {
            let k = 4.0 * *i as f32;
            let (plain, mirrored) = ([k, k + 1., k + 2., k + 3.], [k + 1., k, k + 3., k + 2.]);
            assert!(**v == plain || **v == mirrored, "{v:?}");
            **v == mirrored
        });
        let turned = turned.count();
        assert!((16..=48).contains(&turned), "{turned} of 64 are mirrored");
    }

    #[test]
    fn a_consumers_error_ends_the_loader() {
        let error = for_batches(&examples(1000), &Order::sequential(1000, 1), 1, |_| {
            Err(Error::new(tintype_core::ErrorKind::Engine, "broken"))
        });
        assert_eq!(error.unwrap_err().message(), "broken");
    }
}
