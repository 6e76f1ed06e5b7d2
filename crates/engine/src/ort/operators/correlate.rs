//! Sums of products of a plane with another at several offsets: what weight gradients of convolutions are made of.

use super::wide::wide;

/// Sums that go on beside each other, of one product.
pub(super) const LANES: usize = 8;

/// Planes that are multiplied with the same other one at a time.
pub(super) const PLANES: usize = 4;

/// Offsets that are summed together: with four planes as many sums as there are registers.
const OFFSETS: usize = 3;

/// Offsets that are summed together with one plane.
const OFFSETS_ALONE: usize = 8;

type Lanes = [f32; LANES];

wide! {
    /// `sums[o][p] += Σ planes[p][k] · x[offsets[o] + k]`, lane by lane; the planes are of one length, a multiple of the
    /// lanes.
    pub(super) fn together(sums: &mut [[Lanes; PLANES]], planes: [&[f32]; PLANES], x: &[f32], offsets: &[usize]) {
        let count = planes[0].len() / LANES;
        let planes = planes.map(|plane| from(plane, 0, count));
        let (groups, rest) = offsets.as_chunks::<OFFSETS>();
        let (sum_groups, sum_rest) = sums.as_chunks_mut::<OFFSETS>();
        for (sums, offsets) in sum_groups.iter_mut().zip(groups) {
            let [x0, x1, x2] = offsets.map(|offset| from(x, offset, count));
            // Each by its name: the compiler does not unroll a loop around so much, and sums that are found by an index
            // stay in memory, one lane at a time.
            let [mut sums0, mut sums1, mut sums2] = *sums;
            for k in 0..count {
                let planes = planes.map(|plane| plane[k]);
                add(&mut sums0, &planes, &x0[k]);
                add(&mut sums1, &planes, &x1[k]);
                add(&mut sums2, &planes, &x2[k]);
            }
            *sums = [sums0, sums1, sums2];
        }
        for (sums, &offset) in sum_rest.iter_mut().zip(rest) {
            products(sums, planes, from(x, offset, count));
        }
    }
}

wide! {
    /// `sums[o] += Σ plane[k] · x[offsets[o] + k]`, lane by lane; the plane's length is a multiple of the lanes.
    pub(super) fn alone(sums: &mut [Lanes], plane: &[f32], x: &[f32], offsets: &[usize]) {
        let count = plane.len() / LANES;
        let plane = from(plane, 0, count);
        let (groups, rest) = offsets.as_chunks::<OFFSETS_ALONE>();
        let (sum_groups, sum_rest) = sums.as_chunks_mut::<OFFSETS_ALONE>();
        for (sums, offsets) in sum_groups.iter_mut().zip(groups) {
            products(sums, offsets.map(|offset| from(x, offset, count)), plane);
        }
        for (sums, &offset) in sum_rest.iter_mut().zip(rest) {
            products(std::array::from_mut(sums), [from(x, offset, count)], plane);
        }
    }
}

/// So many lanes of `values` from `offset` on.
#[inline(always)]
fn from(values: &[f32], offset: usize, count: usize) -> &[Lanes] {
    &values[offset..][..count * LANES].as_chunks().0[..count]
}

/// `sums[n] += Σ many[n][k] · one[k]`; all are of one length.
#[inline(always)]
fn products<const N: usize>(sums: &mut [Lanes; N], many: [&[Lanes]; N], one: &[Lanes]) {
    let many = many.map(|lanes| &lanes[..one.len()]);
    let mut local = *sums;
    for (k, one) in one.iter().enumerate() {
        add(&mut local, &many.map(|lanes| lanes[k]), one);
    }
    *sums = local;
}

/// `sums[n] += many[n] · one`.
#[inline(always)]
fn add<const N: usize>(sums: &mut [Lanes; N], many: &[Lanes; N], one: &Lanes) {
    for n in 0..N {
        for i in 0..LANES {
            sums[n][i] += many[n][i] * one[i];
        }
    }
}
