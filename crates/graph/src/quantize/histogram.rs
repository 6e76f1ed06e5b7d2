//! How often a tensor's values occur, and the range that follows from that.

use super::Range;

/// Steps that the entropy method compares candidates at: as many as a `u8` has.
const LEVELS: usize = 256;
/// Bins of [`Histogram::new`]; TensorRT's number.
const BINS: usize = 2048;
/// What an empty bin is taken to hold where distributions are compared, so that their logarithms exist.
const TRACE: f64 = 1e-4;

/// Counts of values in equally wide bins over `-reach..=reach`.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    range: Range,
    reach: f32,
    counts: Vec<u64>,
}

impl Histogram {
    /// No values yet, of a tensor whose whole range is known: 2048 bins.
    pub fn new(range: Range) -> Self {
        Self::from_counts(range, vec![0; BINS])
    }

    /// Counts that were made elsewhere, of an even number of bins over `-range.reach()..=range.reach()`.
    pub(super) fn from_counts(range: Range, counts: Vec<u64>) -> Self {
        Self { range, reach: range.reach(), counts }
    }

    /// Counts values; those outside the range go to the bins at its ends, what is no number to none.
    pub fn add(&mut self, values: &[f32]) {
        let last = self.counts.len().saturating_sub(1);
        let per_unit = self.counts.len() as f32 / (2.0 * self.reach);
        if !per_unit.is_finite() {
            return;
        }
        for &value in values.iter().filter(|v| !v.is_nan()) {
            // Negative places become 0.
            let bin = ((value + self.reach) * per_unit) as usize;
            self.counts[bin.min(last)] += 1;
        }
    }

    /// Adds the counts of another histogram over the same range.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// The range that leaves out `share` (0..1) of the values, half of it at each end.
    pub fn without(&self, share: f64) -> Range {
        let total = self.counts.iter().sum::<u64>() as f64;
        let cut = total * share / 2.0;
        let outside = |bins: &mut dyn Iterator<Item = &u64>| {
            let mut left = cut;
            bins.take_while(|&&count| {
                left -= count as f64;
                left >= 0.0
            })
            .count()
        };
        let below = outside(&mut self.counts.iter());
        let above = self.counts.len() - outside(&mut self.counts.iter().rev());
        self.within(below.min(above), above.max(below))
    }

    /// The symmetric range whose 256 steps keep most of what the distribution says: the one with the least
    /// Kullback-Leibler divergence between the values, cut off there, and the values as steps.
    ///
    /// The method is TensorRT's (Migacz, *8-bit inference with TensorRT*, GTC 2017), in the form that ONNX Runtime's
    /// `get_entropy_threshold` has it, whole counts included. The result never leaves the values' own range.
    ///
    /// Where all values lie on one side of zero, as behind a ReLU, all steps of the `u8` are on that side: twice as many.
    pub fn entropy(&self) -> Range {
        let one_sided = self.range.min >= 0.0 || self.range.max <= 0.0;
        self.entropy_at(if one_sided { 2 * LEVELS } else { LEVELS })
    }

    /// As [`Histogram::entropy`], at another number of steps.
    pub(super) fn entropy_at(&self, levels: usize) -> Range {
        let centre = self.counts.len() / 2;
        let mut best = (f64::INFINITY, 0, self.counts.len());
        for half in levels / 2..=centre {
            let (start, end) = (centre - half, (centre + half + 1).min(self.counts.len()));
            let divergence = self.divergence(start, end, levels);
            if divergence < best.0 {
                best = (divergence, start, end);
            }
        }
        self.within(best.1, best.2)
    }

    /// How much is lost by cutting off at `start..end` and keeping `levels` steps of what is left.
    fn divergence(&self, start: usize, end: usize, levels: usize) -> f64 {
        let inside = &self.counts[start..end];
        let mut cut: Vec<u64> = inside.to_vec();
        cut[0] += self.counts[..start].iter().sum::<u64>();
        if let Some(last) = cut.last_mut() {
            *last += self.counts[end..].iter().sum::<u64>();
        }
        let width = inside.len() / levels;
        let mut steps = vec![0u64; cut.len()];
        for level in 0..levels {
            let bins = level * width..(level + 1) * width;
            // What does not divide evenly counts for the last step, but is not spread beyond it.
            let counted = if level + 1 == levels { bins.start..inside.len() } else { bins.clone() };
            let sum: u64 = inside[counted].iter().sum();
            let filled = cut[bins.clone()].iter().filter(|&&count| count != 0).count() as u64;
            if let Some(each) = sum.checked_div(filled) {
                steps[bins].fill(each);
            }
        }
        match (smooth(&cut), smooth(&steps)) {
            (Some(p), Some(q)) => p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum(),
            _ => f64::INFINITY,
        }
    }

    /// The range from the beginning of bin `start` to that of bin `end`, within the values' own.
    fn within(&self, start: usize, end: usize) -> Range {
        let edge =
            |bin: usize| (f64::from(self.reach) * (2.0 * bin as f64 / self.counts.len() as f64 - 1.0)) as f32;
        let Range { min, max } = self.range;
        Range { min: edge(start).max(min), max: edge(end).min(max) }
    }
}

/// Counts as a distribution without zeros; none where all are zero.
fn smooth(counts: &[u64]) -> Option<Vec<f64>> {
    let filled = counts.iter().filter(|&&count| count != 0).count();
    if filled == 0 {
        return None;
    }
    let taken = TRACE * (counts.len() - filled) as f64 / filled as f64;
    let total: u64 = counts.iter().sum();
    let share = |&count: &u64| if count == 0 { TRACE } else { count as f64 - taken } / total as f64;
    Some(counts.iter().map(share).collect())
}
