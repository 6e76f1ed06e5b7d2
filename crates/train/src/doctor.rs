//! A look at every image before anything is learned from it: what cannot be read, what is on both sides of the split,
//! classes that are far apart in size, images smaller than what the model sees.
//!
//! Near duplicates are found by a difference hash (after Krawetz, <https://www.hackerfactor.com/blog/?/archives/529>) of
//! 16 × 16 bits: of a picture shrunk to grey cells, whether each is darker than its right neighbour. Nothing is changed
//! or left out for what is found; it is told.

use tintype_core::image::{Limits, Picture, decode};
use tintype_core::{Exif, Result};

use crate::data::{Dataset, Origin, Part};
use crate::event::{ImagesPass, Subscriber};
use crate::metrics::FileError;
use crate::pass::{Stop, Watch, over_files};
use crate::split::{ContentHash, Split};

/// Cells of a hash in each row, one more than bits, and rows.
const CELLS: [usize; 2] = [17, 16];

/// Two pictures whose hashes of 256 bits differ in no more than these are thought to be of the same.
const NEAR: u32 = 20;

/// A picture whose grey cells differ by less than this from dark to bright, of 255, has no hash: noise would decide it.
const LEAST_CONTRAST: f32 = 16.0;

/// The largest class is told to be this much larger than the smallest.
const IMBALANCE: f64 = 10.0;

/// What a look at the images found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// Files that cannot be read.
    pub unreadable: Vec<FileError>,
    /// Held-out images whose bytes equal those of one to learn from: only where the data set divides itself.
    pub leaks: usize,
    /// Held-out images that look like one to learn from, and are not equal to it.
    pub near_duplicates: usize,
    /// The first of those, and the image that it looks like.
    pub example: Option<[Origin; 2]>,
    /// Images whose shorter side is below `least_side`.
    pub tiny: usize,
    /// Half of what the model sees, in pixels; 0 where that is not known.
    pub least_side: usize,
    /// The smallest image, width and height in pixels.
    pub smallest: Option<[u32; 2]>,
    /// How many times the largest class's images outnumber the smallest's.
    pub imbalance: f64,
}

/// How to look.
#[derive(Debug)]
pub struct Examination<'a> {
    /// Pixels of the shorter side below which an image is told to be tiny; 0 for none.
    pub least_side: usize,
    /// Threads that decode; at least 1.
    pub threads: usize,
    /// Ends the look early, as an error.
    pub stop: &'a Stop,
}

/// What is kept of an image.
struct Seen {
    size: [u32; 2],
    hash: Option<[u64; 4]>,
}

/// Looks at every image of `data`, of which `split` was made with `hashes`.
///
/// # Errors
/// `Cancelled`.
pub fn examine(
    data: &Dataset,
    split: &Split,
    hashes: &[Option<ContentHash>],
    examination: &Examination,
    subscriber: &mut dyn Subscriber,
) -> Result<Findings> {
    let look = |index: usize| {
        let bytes = data.samples[index].origin.read()?;
        let picture = decode(&bytes, Exif::Apply, &Limits::default())?;
        Ok(Seen { size: [picture.width, picture.height], hash: hash(&picture) })
    };
    let worker = || |range: std::ops::Range<usize>| Ok(range.map(look).collect());
    let workers = (0..examination.threads.max(1)).map(|_| worker()).collect();
    let mut watch = Watch { what: ImagesPass::Examine, subscriber, stop: examination.stop };
    let seen = over_files(data.samples.len(), 16, workers, &mut watch)?;

    let mut findings = Findings { least_side: examination.least_side, ..Findings::default() };
    for (sample, seen) in data.samples.iter().zip(&seen) {
        match seen {
            Ok(Seen { size, .. }) => {
                findings.tiny += usize::from((size[0].min(size[1]) as usize) < examination.least_side);
                let area = |[width, height]: [u32; 2]| u64::from(width) * u64::from(height);
                let smaller = |other: [u32; 2]| area(*size) < area(other);
                if findings.smallest.is_none_or(smaller) {
                    findings.smallest = Some(*size);
                }
            }
            Err(error) => findings.unreadable.push(FileError::new(&sample.origin, error)),
        }
    }
    let counts = data.class_counts(data.samples.iter().filter(|s| s.part != Some(Part::Test)));
    let (least, most) = (counts.iter().min().unwrap_or(&0), counts.iter().max().unwrap_or(&0));
    findings.imbalance = *most as f64 / (*least).max(1) as f64;
    findings.find_pairs(data, split, hashes, &seen);
    Ok(findings)
}

impl Findings {
    /// Compares each image that is held out, or left for the end, with all to learn from.
    fn find_pairs(
        &mut self,
        data: &Dataset,
        split: &Split,
        hashes: &[Option<ContentHash>],
        seen: &[Result<Seen>],
    ) {
        let hash_of = |index: usize| seen[index].as_ref().ok().and_then(|seen| seen.hash);
        let learned: Vec<(usize, Option<[u64; 4]>)> = split.train.iter().map(|&i| (i, hash_of(i))).collect();
        for &held_out in split.val.iter().chain(&split.test) {
            let (bytes, hash) = (hashes[held_out], hash_of(held_out));
            let distance = |&(index, other): &(usize, Option<[u64; 4]>)| match (hash, other) {
                _ if bytes.is_some() && hashes[index] == bytes => Some((0, true, index)),
                (Some(hash), Some(other)) => Some((differing(&hash, &other), false, index)),
                _ => None,
            };
            // Equal bytes before a look that is as near.
            let nearest = learned.iter().filter_map(distance).min_by_key(|&(bits, equal, _)| (bits, !equal));
            let Some((_, equal, index)) = nearest.filter(|&(bits, ..)| bits <= NEAR) else { continue };
            if equal {
                self.leaks += 1;
                continue;
            }
            self.near_duplicates += 1;
            let pair = || [held_out, index].map(|index| data.samples[index].origin.clone());
            self.example.get_or_insert_with(pair);
        }
    }

    /// A sentence for each finding that deserves one.
    pub fn sentences(&self) -> Vec<String> {
        let mut told = Vec::new();
        let mut tell = |count: usize, text: String| {
            if count > 0 {
                told.push(text);
            }
        };
        let first = self
            .example
            .as_ref()
            .map_or_else(String::new, |[held_out, learned]| format!(", e.g. `{held_out}` and `{learned}`"));
        tell(self.unreadable.len(), format!("{} files cannot be read", self.unreadable.len()));
        tell(
            self.leaks,
            format!("{} held-out images equal one to learn from: their figures flatter", self.leaks),
        );
        let near = self.near_duplicates;
        tell(near, format!("{near} held-out images look like one to learn from{first}"));
        let [width, height] = self.smallest.unwrap_or_default();
        let (tiny, side) = (self.tiny, self.least_side);
        tell(tiny, format!("{tiny} images are below {side} pixels, the smallest has {width} × {height}"));
        let uneven = usize::from(self.imbalance >= IMBALANCE);
        tell(uneven, format!("the largest class has {:.0} times the images of the smallest", self.imbalance));
        told
    }
}

/// The difference hash of a picture, unless it is too flat for one.
fn hash(picture: &Picture) -> Option<[u64; 4]> {
    let [columns, rows] = CELLS;
    let mut cells = vec![0.0f32; columns * rows];
    for (index, cell) in cells.iter_mut().enumerate() {
        *cell = mean(picture, index % columns, index / columns);
    }
    let (least, most) = cells.iter().fold((f32::MAX, f32::MIN), |(a, b), &cell| (a.min(cell), b.max(cell)));
    if most - least < LEAST_CONTRAST {
        return None;
    }
    let mut hash = [0u64; 4];
    let pairs = cells.chunks_exact(columns).flat_map(|row| row.windows(2));
    for (bit, pair) in pairs.enumerate() {
        hash[bit / 64] |= u64::from(pair[0] < pair[1]) << (bit % 64);
    }
    Some(hash)
}

/// The mean grey of a cell of the picture: of at least one pixel.
fn mean(picture: &Picture, column: usize, row: usize) -> f32 {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let span = |at: usize, of: usize, size: usize| {
        let start = (at * size / of).min(size - 1);
        start..((at + 1) * size / of).max(start + 1)
    };
    let columns = span(column, CELLS[0], width);
    let (mut sum, mut count) = (0u64, 0u64);
    for y in span(row, CELLS[1], height) {
        let start = 3 * (y * width + columns.start);
        for pixel in picture.data[start..start + 3 * columns.len()].chunks_exact(3) {
            // Rec. 601, in thousandths.
            sum += 299 * u64::from(pixel[0]) + 587 * u64::from(pixel[1]) + 114 * u64::from(pixel[2]);
            count += 1000;
        }
    }
    sum as f32 / count as f32
}

fn differing(a: &[u64; 4], b: &[u64; 4]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

#[cfg(test)]
mod tests {
    use tintype_testkit::image::{jpeg, png};

    use super::*;
    use crate::split::{Division, hash_files, split};

    /// A picture with a bright blob at `x`, `y`, as rows of RGB.
    fn blob(width: u32, height: u32, [x, y]: [f32; 2], noise: u8) -> Picture {
        let mut data = Vec::new();
        for row in 0..height {
            for column in 0..width {
                let (dx, dy) = (column as f32 / width as f32 - x, row as f32 / height as f32 - y);
                let value = 230.0 * (-12.0 * (dx * dx + dy * dy)).exp();
                let value = value as u8 + ((column * 7 + row * 13) % (u32::from(noise) + 1)) as u8;
                data.extend([value, value, value]);
            }
        }
        Picture { width, height, data }
    }

    #[test]
    fn a_smaller_and_noisier_copy_is_near_and_another_picture_is_not() {
        let one = hash(&blob(200, 160, [0.3, 0.4], 0)).unwrap();
        let copy = hash(&blob(90, 72, [0.3, 0.4], 3)).unwrap();
        let other = hash(&blob(200, 160, [0.7, 0.6], 0)).unwrap();
        assert!(differing(&one, &copy) <= NEAR, "{}", differing(&one, &copy));
        assert!(differing(&one, &other) > 3 * NEAR, "{}", differing(&one, &other));
        assert_eq!(hash(&Picture { width: 40, height: 40, data: vec![9; 4800] }), None, "it is flat");
        assert!(hash(&blob(5, 3, [0.0, 0.0], 0)).is_some(), "smaller than its cells");
    }

    #[test]
    fn leaks_unreadable_tiny_and_uneven_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        for i in 0..20 {
            write(&format!("train/a/{i}.png"), &png(80, 80, i));
        }
        write("train/b/0.png", &png(20, 20, 90));
        write("train/b/1.png", b"no image");
        write("val/a/0.png", &png(80, 80, 1));
        write("val/a/1.jpg", &jpeg(80, 80, 7));
        write("val/b/0.png", &png(60, 60, 77));
        let data = Dataset::open(dir.path()).unwrap();
        let hashes = hash_files(&data, 2);
        let division = Division { val_fraction: 0.2, folds: 0, fold: 0, seed: 0 };
        let split = split(&data, &hashes, &division).unwrap();
        let examination = Examination { least_side: 32, threads: 2, stop: &Stop::default() };
        let found = examine(&data, &split, &hashes, &examination, &mut ()).unwrap();
        assert_eq!((found.unreadable.len(), found.unreadable[0].kind.as_str()), (1, "not_an_image"));
        assert_eq!((found.leaks, found.near_duplicates), (1, 1));
        assert_eq!((found.tiny, found.smallest), (1, Some([20, 20])));
        assert!((found.imbalance - 22.0 / 3.0).abs() < 1e-9);
        assert_eq!(found.sentences().len(), 4, "{:?}", found.sentences());
    }
}
