//! The two passes of a resize, in integers: every sum is the one that Pillow computes.
//!
//! The horizontal pass has to look at every source row, so it works on two rows at once: a `u64` holds a sample of each
//! in its halves, and one multiplication serves both.

use super::kernel::{PRECISION, Taps};

/// Half a unit, which makes the final shift round.
const HALF: i32 = 1 << (PRECISION - 1);

/// Added to each half of a packed sum, so that kernels with negative lobes never borrow from the other half; taken away
/// again after the shift.
const BIAS: u32 = 256 << PRECISION;

/// Where weights are cut in two for the vertical pass, so that products of 16-bit numbers will do.
const LOW_BITS: u32 = 11;

/// Samples that the vertical pass sums up side by side.
const LANES: usize = 16;

/// Rows of interleaved samples.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub samples: &'a [u8],
    /// Samples from row to row.
    pub stride: usize,
}

/// Resizes each row to `taps`, whose indices count pixels of `C` samples from the row's begin; `out` gets as many rows
/// as it has room for.
pub(super) fn horizontal<const C: usize>(rows: Rows<'_>, taps: &Taps, packed: &mut Vec<u64>, out: &mut [u8]) {
    let from = taps.first.first().map_or(0, |&first| first as usize) * C;
    let last = taps.first.last().map_or(0, |&first| first as usize + taps.width);
    packed.clear();
    // Behind the row's end stand zeros, which meet weights of zero.
    packed.resize(last * C - from, 0);
    let width = taps.first.len() * C;
    for (pair, source) in out.chunks_mut(2 * width).zip(rows.samples.chunks(2 * rows.stride)) {
        let (first, second) = source.split_at(rows.stride.min(source.len()));
        // The last of an odd number of rows is its own partner.
        let partner = if second.is_empty() { first } else { second };
        for ((both, &a), &b) in packed.iter_mut().zip(&first[from..]).zip(&partner[from..]) {
            *both = u64::from(a) | u64::from(b) << 32;
        }
        let (top, bottom) = pair.split_at_mut(width.min(pair.len()));
        for (i, (&start, weights)) in taps.first.iter().zip(taps.weights.chunks_exact(taps.width)).enumerate()
        {
            let sums = sum_packed::<C>(&packed[start as usize * C - from..], weights);
            for (c, sum) in sums.into_iter().enumerate() {
                top[i * C + c] = unbiased(sum as u32);
                if let Some(sample) = bottom.get_mut(i * C + c) {
                    *sample = unbiased((sum >> 32) as u32);
                }
            }
        }
    }
}

fn sum_packed<const C: usize>(samples: &[u64], weights: &[i32]) -> [u64; C] {
    let start = u64::from(BIAS + HALF as u32);
    let mut sums = [start | start << 32; C];
    for (pixel, &weight) in samples.chunks_exact(C).zip(weights) {
        // Sign-extended: modulo 2^64 the product subtracts in both halves.
        let weight = i64::from(weight) as u64;
        for (sum, &sample) in sums.iter_mut().zip(pixel) {
            *sum = sum.wrapping_add(sample.wrapping_mul(weight));
        }
    }
    sums
}

fn unbiased(sum: u32) -> u8 {
    ((sum >> PRECISION) as i32 - (BIAS >> PRECISION) as i32).clamp(0, 255) as u8
}

/// Resizes each column to `taps`, whose indices count rows from the begin of `rows`.
pub(super) fn vertical(rows: Rows<'_>, taps: &Taps, out: &mut [u8]) {
    let stride = rows.stride;
    let weights = taps.weights.chunks_exact(taps.width.max(1));
    for ((line, &first), weights) in out.chunks_exact_mut(stride).zip(&taps.first).zip(weights) {
        // Zero weights at the end may reach beyond the last row; the zip below stops there.
        let source = &rows.samples[first as usize * stride..];
        let whole = stride - stride % LANES;
        for (x, out) in line[..whole].chunks_exact_mut(LANES).enumerate() {
            let mut high = [0i32; LANES];
            let mut low = [HALF; LANES];
            for (row, &weight) in source.chunks_exact(stride).zip(weights) {
                let (up, down) = ((weight >> LOW_BITS) as i16, (weight & ((1 << LOW_BITS) - 1)) as i16);
                let samples = &row[x * LANES..(x + 1) * LANES];
                for ((high, low), &sample) in high.iter_mut().zip(&mut low).zip(samples) {
                    *high += i32::from(i16::from(sample)) * i32::from(up);
                    *low += i32::from(i16::from(sample)) * i32::from(down);
                }
            }
            for ((out, high), low) in out.iter_mut().zip(high).zip(low) {
                *out = ((high << LOW_BITS).wrapping_add(low) >> PRECISION).clamp(0, 255) as u8;
            }
        }
        for (x, out) in line.iter_mut().enumerate().skip(whole) {
            let rows = source.chunks_exact(stride).zip(weights);
            let sum = rows.fold(HALF, |sum, (row, &w)| sum.wrapping_add(i32::from(row[x]).wrapping_mul(w)));
            *out = (sum >> PRECISION).clamp(0, 255) as u8;
        }
    }
}
