//! A stratified split by content: the same files split the same way, wherever they lie and whatever they are called.
//!
//! Each class's files are ordered by SHA-256 of (seed, file bytes) and the first share goes to validation. Equal files
//! are one unit, also across classes, so no duplicate is both learned from and tested on. A data set that divides itself
//! is left as it is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tintype_core::{Error, ErrorKind, Result};

use crate::data::{Dataset, Part};

/// SHA-256 of a file's bytes.
pub type ContentHash = [u8; 32];

/// Which samples are learned from and which are held out, as indices into a [`Dataset`]'s samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// To learn from, in the data set's order.
    pub train: Vec<usize>,
    /// Held out, in the data set's order.
    pub val: Vec<usize>,
    /// Left alone, in the data set's order: what a data set keeps for the end.
    pub test: Vec<usize>,
    /// Files whose bytes equal those of another file before them.
    pub duplicates: usize,
    /// Duplicates that lie in a different class than the file they equal.
    pub conflicts: usize,
}

/// How a data set that does not divide itself is split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Division {
    /// The share of each class that is held out, above 0 and below 1; of no use with folds.
    pub val_fraction: f64,
    /// Parts of about the same size, one of which is held out; 0 for none.
    pub folds: usize,
    /// The part that is held out, below `folds`.
    pub fold: usize,
    /// Equal seeds split equal files the same way.
    pub seed: u64,
}

/// Hashes every sample's file on `threads` threads.
///
/// A file that cannot be read has `None` in the result; decoding will report it.
pub fn hash_files(data: &Dataset, threads: usize) -> Vec<Option<ContentHash>> {
    let next = AtomicUsize::new(0);
    let hashes = Mutex::new(vec![None; data.samples.len()]);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(sample) = data.samples.get(index) else { break };
                    let hash = sample.origin.read().ok().map(|bytes| Sha256::digest(bytes).into());
                    hashes.lock().unwrap_or_else(PoisonError::into_inner)[index] = hash;
                }
            });
        }
    });
    hashes.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Splits `data` as it divides itself, or else by `division`: a share of each class (rounded; at least one unit where
/// the class has two), or a fold of it.
///
/// `hashes[i]` is the content of sample `i`; samples without one are in no part.
///
/// # Errors
/// `InvalidArgument` when a class would have nothing to learn from, or nothing at all is held out.
pub fn split(data: &Dataset, hashes: &[Option<ContentHash>], division: &Division) -> Result<Split> {
    let is_divided = data.samples.iter().any(|sample| sample.part == Some(Part::Val));
    let mut result = Split::default();
    // The unit of equal files that a content belongs to, and the side that an earlier class gave it.
    let mut first_class: HashMap<ContentHash, usize> = HashMap::new();
    let mut held_out: HashMap<ContentHash, bool> = HashMap::new();
    for class in 0..data.classes.len() {
        let mut units: HashMap<ContentHash, usize> = HashMap::new();
        for (sample, hash) in data.samples.iter().zip(hashes) {
            let is_one = sample.class == class && sample.part != Some(Part::Test);
            let Some(hash) = hash.filter(|_| is_one) else { continue };
            *units.entry(hash).or_default() += 1;
            match first_class.get(&hash) {
                Some(&earlier) => {
                    result.duplicates += 1;
                    result.conflicts += usize::from(earlier != class);
                }
                None => {
                    first_class.insert(hash, class);
                }
            }
        }
        match division.folds {
            0 => hold_out(&units, &mut held_out, division),
            _ => hold_out_fold(&units, &mut held_out, division),
        }
    }
    for (index, (sample, hash)) in data.samples.iter().zip(hashes).enumerate() {
        let Some(hash) = hash else { continue };
        match (sample.part, held_out.get(hash)) {
            (Some(Part::Test), _) => result.test.push(index),
            (Some(Part::Val), _) => result.val.push(index),
            (_, Some(true)) if !is_divided => result.val.push(index),
            _ => result.train.push(index),
        }
    }
    require_both(data, &result.train, &result.val)?;
    Ok(result)
}

/// Decides the side of each unit of one class that has none yet.
fn hold_out(
    units: &HashMap<ContentHash, usize>,
    held_out: &mut HashMap<ContentHash, bool>,
    division: &Division,
) {
    let total: usize = units.values().sum();
    let wanted = ((total as f64 * division.val_fraction).round() as usize).max(1);
    let mut taken: usize =
        units.iter().filter(|(h, _)| held_out.get(*h) == Some(&true)).map(|(_, n)| n).sum();
    let mut free: Vec<_> = units.iter().filter(|(h, _)| !held_out.contains_key(*h)).collect();
    free.sort_by_key(|(hash, _)| order_key(hash, division.seed));
    let mut to_learn = units.keys().filter(|h| held_out.get(*h) == Some(&false)).count() + free.len();
    for (hash, count) in free {
        let hold = taken < wanted && to_learn > 1;
        if hold {
            taken += count;
            to_learn -= 1;
        }
        held_out.insert(*hash, hold);
    }
}

/// Holds out every so many units of one class: with all folds in turn, each is held out once.
fn hold_out_fold(
    units: &HashMap<ContentHash, usize>,
    held_out: &mut HashMap<ContentHash, bool>,
    division: &Division,
) {
    let mut order: Vec<_> = units.keys().collect();
    order.sort_by_key(|hash| order_key(hash, division.seed));
    for (place, hash) in order.into_iter().enumerate() {
        held_out.entry(*hash).or_insert(place % division.folds == division.fold);
    }
}

fn order_key(hash: &ContentHash, seed: u64) -> ContentHash {
    Sha256::new().chain_update(seed.to_le_bytes()).chain_update(hash).finalize().into()
}

/// Checks that there is something to learn from in every class, and something held out.
///
/// # Errors
/// `InvalidArgument` naming the class.
pub(crate) fn require_both(data: &Dataset, train: &[usize], val: &[usize]) -> Result<()> {
    let counts = data.class_counts(train.iter().map(|&i| &data.samples[i]));
    if let Some(class) = counts.iter().position(|&n| n == 0) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("class `{}` has no readable image to learn from", data.classes[class]),
        ));
    }
    if val.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "no readable image is held out: each class needs two that differ",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Sample;

    fn share(val_fraction: f64, seed: u64) -> Division {
        Division { val_fraction, folds: 0, fold: 0, seed }
    }

    fn data(classes: &[usize]) -> (Dataset, Vec<Option<ContentHash>>) {
        let samples: Vec<_> = classes
            .iter()
            .enumerate()
            .map(|(i, &class)| Sample {
                origin: std::path::PathBuf::from(format!("{i}.png")).into(),
                class,
                part: None,
            })
            .collect();
        let hashes = (0..samples.len()).map(|i| Some(Sha256::digest(i.to_le_bytes()).into())).collect();
        let count = classes.iter().max().unwrap() + 1;
        (Dataset { classes: (0..count).map(|c| c.to_string()).collect(), samples }, hashes)
    }

    #[test]
    fn each_class_gives_its_share() {
        let (data, hashes) = data(&[[0; 50].as_slice(), &[1; 10], &[2; 2]].concat());
        let split = split(&data, &hashes, &share(0.2, 0)).unwrap();
        assert_eq!(data.class_counts(split.val.iter().map(|&i| &data.samples[i])), [10, 2, 1]);
        assert_eq!(data.class_counts(split.train.iter().map(|&i| &data.samples[i])), [40, 8, 1]);
    }

    #[test]
    fn the_split_follows_content_and_seed_not_place() {
        let (data, hashes) = data(&[[0; 20], [1; 20]].concat());
        let contents = |s: &Split| {
            let mut v: Vec<_> = s.val.iter().map(|&i| hashes[i]).collect();
            v.sort();
            v
        };
        let one = split(&data, &hashes, &share(0.2, 0)).unwrap();
        let mut turned = data.clone();
        turned.samples.reverse();
        let turned_hashes: Vec<_> = hashes.iter().rev().copied().collect();
        let two = split(&turned, &turned_hashes, &share(0.2, 0)).unwrap();
        let mut same: Vec<_> = two.val.iter().map(|&i| turned_hashes[i]).collect();
        same.sort();
        assert_eq!(contents(&one), same);
        assert_ne!(contents(&one), contents(&split(&data, &hashes, &share(0.2, 1)).unwrap()));
    }

    #[test]
    fn equal_files_stay_on_one_side_even_across_classes() {
        let (data, mut hashes) = data(&[[0; 20].as_slice(), &[1; 20]].concat());
        for i in 0..10 {
            hashes[20 + i] = hashes[i];
        }
        hashes[19] = hashes[18];
        let split = split(&data, &hashes, &share(0.3, 7)).unwrap();
        assert_eq!((split.duplicates, split.conflicts), (11, 10));
        for i in &split.val {
            assert!(split.train.iter().all(|j| hashes[*i] != hashes[*j]), "file {i} is on both sides");
        }
        assert_eq!(split.train.len() + split.val.len(), 40);
    }

    #[test]
    fn every_image_is_held_out_in_one_fold() {
        let (data, hashes) = data(&[[0; 23].as_slice(), &[1; 8]].concat());
        let mut all = Vec::new();
        for fold in 0..4 {
            let split = split(&data, &hashes, &Division { folds: 4, fold, ..share(0.2, 3) }).unwrap();
            let counts = data.class_counts(split.val.iter().map(|&i| &data.samples[i]));
            assert!((5..=6).contains(&counts[0]) && counts[1] == 2, "{counts:?}");
            assert_eq!(split.train.len() + split.val.len(), 31);
            all.extend(split.val);
        }
        all.sort_unstable();
        assert_eq!(all, (0..31).collect::<Vec<_>>());
    }

    #[test]
    fn a_data_set_that_divides_itself_is_left_as_it_is() {
        let (mut data, mut hashes) = data(&[[0; 6].as_slice(), &[1; 6]].concat());
        for (i, sample) in data.samples.iter_mut().enumerate() {
            sample.part = Some([Part::Train, Part::Val, Part::Test][i % 3]);
        }
        hashes[1] = hashes[0];
        let split = super::split(&data, &hashes, &share(0.5, 0)).unwrap();
        assert_eq!((split.train, split.val), (vec![0, 3, 6, 9], vec![1, 4, 7, 10]));
        assert_eq!((split.test, split.duplicates), (vec![2, 5, 8, 11], 1));
        data.samples
            .iter_mut()
            .filter(|s| s.part == Some(Part::Val))
            .for_each(|s| s.part = Some(Part::Train));
        hashes[1] = Some([7; 32]);
        let split = super::split(&data, &hashes, &share(0.25, 0)).unwrap();
        assert_eq!((split.train.len() + split.val.len(), split.test.len()), (8, 4), "its test is left alone");
        assert_eq!(split.val.len(), 2);
    }

    #[test]
    fn a_class_without_readable_images_is_an_error() {
        let (data, mut hashes) = data(&[0, 0, 0, 1, 1]);
        hashes[3] = None;
        hashes[4] = None;
        let error = split(&data, &hashes, &share(0.2, 0)).unwrap_err();
        assert!(error.message().contains("class `1` has no readable image"), "{error}");
        let error =
            split(&data, &[Some([0; 32]), None, None, Some([1; 32]), None], &share(0.2, 0)).unwrap_err();
        assert!(error.message().contains("no readable image is held out"), "{error}");
    }

    #[test]
    fn files_are_hashed_by_content() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "abc").unwrap();
        let sample = |name: &str| Sample { origin: dir.path().join(name).into(), class: 0, part: None };
        let data =
            Dataset { classes: vec!["x".into()], samples: vec![sample("a"), sample("gone"), sample("a")] };
        let hashes = hash_files(&data, 2);
        // FIPS 180-2, appendix B.1.
        assert_eq!(hashes[0].unwrap()[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!((hashes[1], hashes[2]), (None, hashes[0]));
    }
}
