//! What the loop learns from: rows of numbers with their classes, in memory or behind files.
//!
//! Features of a frozen backbone are always in memory. Images are too while they fit, as the numbers that the model reads
//! or, where every epoch changes them, as the pixels that a change begins with; beyond that they are decoded again
//! whenever a batch needs them ([`crate::loader`]).

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use tintype_core::image::Picture;
use tintype_core::{Plan, Result, Scratch};

use crate::augment::{Augmentation, Mix};
use crate::config::AugmentConfig;
use crate::data::{Dataset, Origin, Sample};
use crate::event::{Subscriber, TrainEvent};
use crate::pass::{Watch, over_files};
use crate::split::{ContentHash, Split, require_both};

/// Labelled rows of one shape.
#[derive(Debug)]
pub(crate) struct Examples {
    /// The shape of one row, e.g. `[C, H, W]` or `[F]`.
    pub shape: Vec<usize>,
    /// The class of each row.
    pub classes: Vec<usize>,
    /// The rows.
    pub rows: Rows,
    /// How the rows of a batch are mixed.
    pub mix: Option<Mix>,
    /// What was in the file of each row, by which a training that goes on knows its images again.
    pub contents: Vec<ContentHash>,
}

/// Where the rows are.
#[derive(Debug)]
pub(crate) enum Rows {
    /// One after the other in memory.
    Memory(Vec<f32>),
    /// In image files, to be prepared by a plan of fixed output shape.
    Files { origins: Vec<Origin>, plan: Box<Plan> },
    /// Made anew for each epoch, out of these.
    Changing { originals: Originals, augmentation: Box<Augmentation> },
}

/// Images before they are changed.
#[derive(Debug)]
pub(crate) enum Originals {
    /// Their pixels, as [`Augmentation::unpack`] leaves them.
    Pictures(Vec<Picture>),
    /// Their files.
    Files(Vec<Origin>),
}

impl Examples {
    /// Rows in memory.
    #[cfg(test)]
    pub fn in_memory(shape: Vec<usize>, classes: Vec<usize>, rows: Vec<f32>) -> Self {
        Self { shape, classes, rows: Rows::Memory(rows), mix: None, contents: Vec::new() }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// The rows in memory; none where they are in files.
    pub fn memory(&self) -> &[f32] {
        match &self.rows {
            Rows::Memory(values) => values,
            Rows::Files { .. } | Rows::Changing { .. } => &[],
        }
    }

    /// The rows in memory, to be changed; none where they are in files.
    pub fn memory_mut(&mut self) -> &mut [f32] {
        match &mut self.rows {
            Rows::Memory(values) => values,
            Rows::Files { .. } | Rows::Changing { .. } => &mut [],
        }
    }

    /// Elements of one row.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Rows of each of `classes` classes.
    pub fn counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        self.classes.iter().for_each(|&class| counts[class] += 1);
        counts
    }
}

/// How images become rows: for evaluation by the plan, for training with changes.
#[derive(Debug)]
pub(crate) struct Preparation {
    pub plan: Plan,
    augmentation: Option<Augmentation>,
    mix: Option<Mix>,
    /// Bytes of decoded images that may stay in memory.
    cache: usize,
}

/// An image that was decoded once.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// Its numbers.
    Row(Vec<f32>),
    /// Its pixels.
    Picture(Picture),
    /// Readable, but more than memory is meant to hold.
    TooMuch,
}

impl Preparation {
    /// By `plan`, with the changes of `config`, keeping decoded images up to `cache` bytes.
    ///
    /// # Errors
    /// `InvalidArgument` when something is to be changed and the plan makes images of no fixed size.
    pub fn new(config: &AugmentConfig, plan: Plan, cache: usize) -> Result<Self> {
        let augmentation =
            if config.changes_images() { Some(Augmentation::new(config, &plan)?) } else { None };
        let mix = if config.mixes() { Some(Mix::new(config, &plan)?) } else { None };
        Ok(Self { plan, augmentation, mix, cache })
    }

    /// Decodes every sample once, to know which are readable, and keeps them while they fit.
    ///
    /// `learned[i]` says whether sample `i` is learned from.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn decode(
        &self,
        samples: &[Sample],
        learned: &[bool],
        threads: usize,
        watch: &mut Watch,
    ) -> Result<Vec<Result<Decoded>>> {
        let spent = AtomicUsize::new(0);
        let spent = &spent;
        let keep = move |bytes: usize| spent.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.cache;
        let width: usize = self.plan.output_shape().unwrap_or_default().iter().product();
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let mut scratch = Scratch::default();
                let mut decode_one = move |index: usize| {
                    let bytes = samples[index].origin.read()?;
                    if let Some(augmentation) = self.augmentation.as_ref().filter(|_| learned[index]) {
                        let picture = augmentation.unpack(&bytes, &mut scratch)?;
                        let kept = keep(picture.data.len());
                        return Ok(if kept { Decoded::Picture(picture) } else { Decoded::TooMuch });
                    }
                    let mut row = vec![0.0; width];
                    self.plan.prepare_into(&bytes, &mut scratch, row.as_mut_slice().into())?;
                    Ok(if keep(size_of_val(row.as_slice())) { Decoded::Row(row) } else { Decoded::TooMuch })
                };
                move |range: std::ops::Range<usize>| Ok(range.map(&mut decode_one).collect())
            })
            .collect();
        over_files(samples.len(), 16, workers, watch)
    }

    /// Rows out of what was decoded, or of the files where not all of that could be kept.
    fn rows(&self, origins: Vec<Origin>, decoded: Vec<Decoded>, learned: bool) -> Rows {
        if let Some(augmentation) = self.augmentation.as_ref().filter(|_| learned) {
            let all = decoded.len();
            let pictures: Vec<Picture> = decoded
                .into_iter()
                .filter_map(|d| if let Decoded::Picture(picture) = d { Some(picture) } else { None })
                .collect();
            let originals =
                if pictures.len() == all { Originals::Pictures(pictures) } else { Originals::Files(origins) };
            return Rows::Changing { originals, augmentation: Box::new(augmentation.clone()) };
        }
        in_memory(decoded).unwrap_or_else(|| Rows::Files { origins, plan: Box::new(self.plan.clone()) })
    }
}

/// The rows one after the other, if every one was kept.
fn in_memory(decoded: Vec<Decoded>) -> Option<Rows> {
    let mut values = Vec::new();
    for one in decoded {
        // Taken one by one, so that no more than one row is in memory twice.
        let Decoded::Row(row) = one else { return None };
        values.extend(row);
    }
    Some(Rows::Memory(values))
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
    /// One a sample; none for a file that cannot be read.
    pub hashes: Vec<Option<ContentHash>>,
}

impl Divided {
    /// A data set with its split and the hashes that made it, without what is left for the end.
    pub fn new(data: &Dataset, split: &Split, hashes: &[Option<ContentHash>]) -> Self {
        let left: HashSet<usize> = split.test.iter().copied().collect();
        let used: Vec<usize> = (0..data.samples.len()).filter(|index| !left.contains(index)).collect();
        let places =
            |side: &[usize]| side.iter().filter_map(|index| used.binary_search(index).ok()).collect();
        let (train, val) = (places(&split.train), places(&split.val));
        let samples = used.iter().map(|&index| data.samples[index].clone()).collect();
        Self {
            data: Dataset { classes: data.classes.clone(), samples },
            split: Split { train, val, test: Vec::new(), ..*split },
            hashes: used.iter().map(|&index| hashes[index]).collect(),
        }
    }

    /// Whether each sample is learned from.
    pub fn learned(&self) -> Vec<bool> {
        let mut learned = vec![false; self.data.samples.len()];
        self.split.train.iter().for_each(|&i| learned[i] = true);
        learned
    }

    /// Puts each sample's row on its side; a sample without one is reported and left out.
    ///
    /// `rows[i]` belongs to sample `i` of the data set and has the product of `shape` elements; without `preparation`
    /// all are rows.
    ///
    /// # Errors
    /// `InvalidArgument` when a class is left with nothing to learn from, or nothing is held out.
    pub fn sets(
        &self,
        rows: Vec<Result<Decoded>>,
        shape: &[usize],
        preparation: Option<&Preparation>,
        subscriber: &mut dyn Subscriber,
    ) -> Result<Sets> {
        let mut readable: Vec<Option<Decoded>> = Vec::with_capacity(rows.len());
        for (sample, row) in self.data.samples.iter().zip(rows) {
            if let Err(error) = &row {
                let (image, reason) = (sample.origin.clone(), error.message().to_owned());
                subscriber.on_event(&TrainEvent::Unreadable { image, reason });
            }
            readable.push(row.ok());
        }
        let keep = |side: &[usize]| -> Vec<usize> {
            side.iter().copied().filter(|&i| readable[i].is_some()).collect()
        };
        let (train, val) = (keep(&self.split.train), keep(&self.split.val));
        require_both(&self.data, &train, &val)?;
        let mut side = |indices: &[usize], learned: bool| {
            let samples = || indices.iter().map(|&i| &self.data.samples[i]);
            let origins = || samples().map(|s| s.origin.clone()).collect();
            let decoded = indices.iter().filter_map(|&i| readable[i].take()).collect();
            let rows = match preparation {
                Some(preparation) => preparation.rows(origins(), decoded, learned),
                None => in_memory(decoded).unwrap_or(Rows::Memory(Vec::new())),
            };
            let mix = preparation.and_then(|p| p.mix.clone()).filter(|_| learned);
            let classes = samples().map(|s| s.class).collect();
            let contents = indices.iter().filter_map(|&i| self.hashes[i]).collect();
            Examples { shape: shape.to_vec(), classes, rows, mix, contents }
        };
        Ok(Sets { train: side(&train, true), val: side(&val, false) })
    }
}
