//! What the loop learns from: rows of numbers with their classes, in memory or behind files.
//!
//! Features of a frozen backbone are always in memory. Images are too while they fit; beyond that they are decoded
//! again whenever a batch needs them ([`crate::loader`]).

use std::path::PathBuf;

use tintype_core::{Error, Plan, Result, Scratch};

use crate::data::{Dataset, Sample};
use crate::event::{Subscriber, TrainEvent};
use crate::pass::{Watch, over_files};
use crate::split::{Split, require_both};

/// Prepared images may take this many bytes before they are decoded anew each epoch: a share of memory that any
/// machine which trains has to spare.
const CACHE_BYTES: usize = 1 << 30;

/// Labelled rows of one shape.
#[derive(Debug)]
pub(crate) struct Examples {
    /// The shape of one row, e.g. `[C, H, W]` or `[F]`.
    pub shape: Vec<usize>,
    /// The class of each row.
    pub classes: Vec<usize>,
    /// The rows.
    pub rows: Rows,
}

/// Where the rows are.
#[derive(Debug)]
pub(crate) enum Rows {
    /// One after the other in memory.
    Memory(Vec<f32>),
    /// In image files, to be prepared by a plan of fixed output shape.
    Files {
        /// One file a row.
        paths: Vec<PathBuf>,
        /// The preparation.
        plan: Box<Plan>,
    },
}

impl Examples {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// The rows in memory; none where they are in files.
    pub fn memory(&self) -> &[f32] {
        match &self.rows {
            Rows::Memory(values) => values,
            Rows::Files { .. } => &[],
        }
    }

    /// The rows in memory, to be changed; none where they are in files.
    pub fn memory_mut(&mut self) -> &mut [f32] {
        match &mut self.rows {
            Rows::Memory(values) => values,
            Rows::Files { .. } => &mut [],
        }
    }

    /// Elements of one row.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Whether this many rows of `width` values are kept in memory.
pub(crate) fn fits(rows: usize, width: usize) -> bool {
    rows.saturating_mul(width).saturating_mul(size_of::<f32>()) <= CACHE_BYTES
}

/// Decodes every sample once, to know which are readable, and keeps the values if `width` of each [`fits`].
///
/// The result per sample is its row (empty where rows are not kept) or why it cannot be read.
///
/// # Errors
/// `Cancelled`.
pub(crate) fn decode(
    plan: &Plan,
    width: usize,
    samples: &[Sample],
    threads: usize,
    watch: &mut Watch,
) -> Result<Vec<Result<Vec<f32>>>> {
    let keep = fits(samples.len(), width);
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let mut scratch = Scratch::default();
            let mut decode_one = move |sample: &Sample| {
                let mut row = vec![0.0; width];
                let bytes = std::fs::read(&sample.path).map_err(|e| Error::io(&sample.path, e))?;
                plan.prepare_into(&bytes, &mut scratch, row.as_mut_slice().into())?;
                Ok(if keep { row } else { Vec::new() })
            };
            move |range: std::ops::Range<usize>| Ok(samples[range].iter().map(&mut decode_one).collect())
        })
        .collect();
    over_files(samples.len(), 16, workers, watch)
}

/// What is learned from and what is held out.
#[derive(Debug)]
pub(crate) struct Sets {
    pub train: Examples,
    pub val: Examples,
}

/// A data set with its split.
#[derive(Debug)]
pub(crate) struct Divided {
    pub data: Dataset,
    pub split: Split,
}

impl Divided {
    /// Puts each sample's row on its side; a sample without one is reported and left out.
    ///
    /// `rows[i]` belongs to sample `i` of the data set and has the product of `shape` elements, unless `plan` is given:
    /// then rows are decoded from the files again by it.
    ///
    /// # Errors
    /// `InvalidArgument` when a class is left with nothing to learn from, or nothing is held out.
    pub fn sets(
        &self,
        rows: Vec<Result<Vec<f32>>>,
        shape: &[usize],
        plan: Option<&Plan>,
        subscriber: &mut dyn Subscriber,
    ) -> Result<Sets> {
        let mut readable: Vec<Option<Vec<f32>>> = Vec::with_capacity(rows.len());
        for (sample, row) in self.data.samples.iter().zip(rows) {
            if let Err(error) = &row {
                let (path, reason) = (sample.path.clone(), error.message().to_owned());
                subscriber.on_event(&TrainEvent::Unreadable { path, reason });
            }
            readable.push(row.ok());
        }
        let keep = |side: &[usize]| -> Vec<usize> {
            side.iter().copied().filter(|&i| readable[i].is_some()).collect()
        };
        let (train, val) = (keep(&self.split.train), keep(&self.split.val));
        require_both(&self.data, &train, &val)?;
        let mut side = |indices: &[usize]| {
            let samples = indices.iter().map(|&i| &self.data.samples[i]);
            let rows = match plan {
                Some(plan) => Rows::Files {
                    paths: samples.clone().map(|s| s.path.clone()).collect(),
                    plan: Box::new(plan.clone()),
                },
                // Taken, so that no more than one row is in memory twice.
                None => Rows::Memory(
                    indices.iter().flat_map(|&i| readable[i].take().unwrap_or_default()).collect(),
                ),
            };
            Examples { shape: shape.to_vec(), classes: samples.map(|s| s.class).collect(), rows }
        };
        Ok(Sets { train: side(&train), val: side(&val) })
    }
}
