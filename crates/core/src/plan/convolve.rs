//! The two passes of a resize, in integers: every sum is the one that Pillow computes.
//!
//! Both passes sum up [`LANES`] samples side by side that have the same weights. In the vertical pass these are neighbours in a
//! row. In the horizontal pass they are neighbours in a column, so a strip of rows is turned first and its result turned
//! back: that costs less than weights that differ from lane to lane.

use super::kernel::{PRECISION, Taps};
use crate::transpose::transposed;
use crate::widest::{self, Kernel};

/// Samples that are summed up side by side: bytes that fill a register.
const LANES: usize = 16;

/// Half a unit, which makes the final shift round.
const HALF: i32 = 1 << (PRECISION - 1);

/// Rows of interleaved samples.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub samples: &'a [u8],
    /// Samples from row to row.
    pub stride: usize,
}

/// A strip of [`LANES`] rows and what becomes of it, both turned: an element is a column of the strip.
#[derive(Debug, Default)]
pub(super) struct Strip {
    source: Vec<[u8; LANES]>,
    result: Vec<[u8; LANES]>,
}

/// Resizes each row to `taps`, whose indices count pixels of `C` samples from the row's begin; `out` gets as many rows
/// as it has room for.
pub(super) fn horizontal<const C: usize>(rows: Rows<'_>, taps: &Taps, strip: &mut Strip, out: &mut [u8]) {
    widest::run(Horizontal::<C> { rows, taps, strip, out });
}

/// Resizes each column to `taps`, whose indices count rows from the begin of `rows`.
pub(super) fn vertical(rows: Rows<'_>, taps: &Taps, out: &mut [u8]) {
    widest::run(Vertical { rows, taps, out });
}

struct Horizontal<'a, const C: usize> {
    rows: Rows<'a>,
    taps: &'a Taps,
    strip: &'a mut Strip,
    out: &'a mut [u8],
}

impl<const C: usize> Kernel for Horizontal<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { rows, taps, strip: Strip { source, result }, out } = self;
        let from = taps.first.first().map_or(0, |&first| first as usize) * C;
        let last = taps.first.last().map_or(0, |&first| first as usize + taps.width) * C;
        let width = taps.first.len() * C;
        // Behind the row's end stand zeros, which meet weights of zero.
        source.resize((last - from).next_multiple_of(LANES), [0; LANES]);
        result.resize(width.next_multiple_of(LANES), [0; LANES]);
        for (out, rows_in) in out.chunks_mut(LANES * width).zip(rows.samples.chunks(LANES * rows.stride)) {
            turn(rows_in, rows.stride, from, source);
            for (pixel, (&first, weights)) in result.chunks_exact_mut(C).zip(taps.each()) {
                let columns = &source[first as usize * C - from..];
                for (c, column) in pixel.iter_mut().enumerate() {
                    let mut sums = [HALF; LANES];
                    for (pixel, &weight) in columns.chunks_exact(C).zip(weights) {
                        add(&mut sums, &pixel[c], weight);
                    }
                    round(&sums, column);
                }
            }
            turn_back(result, width, out);
        }
    }
}

/// Fills `columns` with what lies from column `from` on in up to [`LANES`] rows of `stride` samples.
#[inline(always)]
fn turn(samples: &[u8], stride: usize, from: usize, columns: &mut [[u8; LANES]]) {
    for (i, columns) in columns.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let at = from + i * LANES;
        let block: [_; LANES] = std::array::from_fn(|y| {
            let row = &samples[(y * stride).min(samples.len())..((y + 1) * stride).min(samples.len())];
            let rest = &row[at.min(row.len())..];
            rest.first_chunk().copied().unwrap_or_else(|| padded(rest))
        });
        for (column, found) in columns.iter_mut().zip(transposed(block)) {
            *column = found;
        }
    }
}

#[cold]
fn padded(samples: &[u8]) -> [u8; LANES] {
    let mut row = [0; LANES];
    row[..samples.len()].copy_from_slice(samples);
    row
}

/// Writes `columns` as rows of `width` samples, as many as `out` holds.
#[inline(always)]
fn turn_back(columns: &[[u8; LANES]], width: usize, out: &mut [u8]) {
    for (i, block) in columns.as_chunks::<LANES>().0.iter().enumerate() {
        for (line, row) in out.chunks_exact_mut(width).zip(transposed(*block)) {
            let line = &mut line[i * LANES..];
            match line.first_chunk_mut() {
                Some(line) => *line = row,
                None => line.copy_from_slice(&row[..line.len()]),
            }
        }
    }
}

/// Samples that the vertical pass sums up side by side: as many sums as there are registers for.
const ACROSS: usize = 2 * LANES;

struct Vertical<'a> {
    rows: Rows<'a>,
    taps: &'a Taps,
    out: &'a mut [u8],
}

impl Kernel for Vertical<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { rows: Rows { samples, stride }, taps, out } = self;
        for (line, (&first, weights)) in out.chunks_exact_mut(stride).zip(taps.each()) {
            // Zero weights at the end may reach beyond the last row; the zips below stop there.
            let rows = || samples[first as usize * stride..].chunks_exact(stride).zip(weights);
            let (blocks, rest) = line.as_chunks_mut::<ACROSS>();
            let begin = blocks.len() * ACROSS;
            for (i, block) in blocks.iter_mut().enumerate() {
                let mut sums = [HALF; ACROSS];
                for (row, &weight) in rows() {
                    if let Some(row) = row[i * ACROSS..].first_chunk::<ACROSS>() {
                        add(&mut sums, row, weight);
                    }
                }
                round(&sums, block);
            }
            for (x, sample) in rest.iter_mut().enumerate() {
                let mut sum = [HALF];
                rows().for_each(|(row, &weight)| add(&mut sum, &[row[begin + x]], weight));
                round(&sum, std::array::from_mut(sample));
            }
        }
    }
}

#[inline(always)]
fn add<const N: usize>(sums: &mut [i32; N], samples: &[u8; N], weight: i32) {
    for (sum, &sample) in sums.iter_mut().zip(samples) {
        *sum = sum.wrapping_add(i32::from(sample).wrapping_mul(weight));
    }
}

#[inline(always)]
fn round<const N: usize>(sums: &[i32; N], samples: &mut [u8; N]) {
    for (sample, sum) in samples.iter_mut().zip(sums) {
        *sample = (sum >> PRECISION).clamp(0, 255) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Filter;
    use crate::plan::geometry::Axis;

    /// Both compilations of both passes against the plain sums, for sizes that leave every kind of rest.
    #[test]
    fn wide_and_plain_loops_agree_with_plain_sums() {
        let filters = [Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos];
        let sizes = [(1, 1), (1, 5), (7, 3), (16, 16), (31, 17), (33, 70), (97, 40), (150, 31)];
        for (filter, (source, resized)) in filters.into_iter().flat_map(|f| sizes.map(|s| (f, s))) {
            for kept in [0..resized, resized / 3..(resized / 3 + 1).max(resized / 2)] {
                let length = kept.end - kept.start;
                let axis = Axis { source, resized, start: kept.start, length, canvas: length, at: 0 };
                let taps = Taps::new(&axis, filter);
                let name = format!("{filter:?} from {source} to {kept:?} of {resized}");
                for across in [1, 15, 16, 37, 130] {
                    check_vertical(&taps, source as usize, across, &name);
                    check_horizontal::<1>(&taps, source as usize, across, &name);
                    check_horizontal::<3>(&taps, source as usize, across, &name);
                }
            }
        }
    }

    fn check_vertical(taps: &Taps, height: usize, width: usize, name: &str) {
        let samples = noise(height * width);
        let rows = Rows { samples: &samples, stride: width };
        let mut expected = Vec::new();
        for i in 0..taps.first.len() {
            expected.extend((0..width).map(|x| plain_sum(taps, i, |y| samples.get(y * width + x))));
        }
        let [mut wide, mut plain] = [(); 2].map(|()| vec![0; expected.len()]);
        vertical(rows, taps, &mut wide);
        Vertical { rows, taps, out: &mut plain }.run();
        assert!(wide == expected && plain == expected, "vertical, {width} across, {name}");
    }

    fn check_horizontal<const C: usize>(taps: &Taps, width: usize, height: usize, name: &str) {
        let stride = width * C;
        let samples = noise(height * stride);
        let rows = Rows { samples: &samples, stride };
        let mut expected = Vec::new();
        for row in samples.chunks(stride) {
            for i in 0..taps.first.len() {
                expected.extend((0..C).map(|c| plain_sum(taps, i, |x| row.get(x * C + c))));
            }
        }
        let [mut wide, mut plain] = [(); 2].map(|()| vec![0; expected.len()]);
        horizontal::<C>(rows, taps, &mut Strip::default(), &mut wide);
        Horizontal::<C> { rows, taps, strip: &mut Strip::default(), out: &mut plain }.run();
        assert!(wide == expected && plain == expected, "horizontal, {C} channels, {height} rows, {name}");
    }

    fn plain_sum<'a>(taps: &Taps, i: usize, sample: impl Fn(usize) -> Option<&'a u8>) -> u8 {
        let weights = &taps.weights[i * taps.width..][..taps.width];
        let products = weights.iter().enumerate().map(|(tap, &weight)| {
            i64::from(weight) * sample(taps.first[i] as usize + tap).map_or(0, |&sample| i64::from(sample))
        });
        ((products.sum::<i64>() + i64::from(HALF)) >> PRECISION).clamp(0, 255) as u8
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(next).collect()
    }
}
