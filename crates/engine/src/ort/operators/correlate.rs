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

wide! {
    /// `sums[o][p] += Σ planes[p][k] · x[offsets[o] + k]`, lane by lane; the planes are of one length, a multiple of the
    /// lanes.
    pub(super) fn together(sums: &mut [[[f32; LANES]; PLANES]], planes: [&[f32]; PLANES], x: &[f32], offsets: &[usize]) {
        let planes = planes.map(|plane| plane.as_chunks::<LANES>().0);
        let (groups, rest) = offsets.as_chunks::<OFFSETS>();
        let (sum_groups, sum_rest) = sums.as_chunks_mut::<OFFSETS>();
        for (sums, offsets) in sum_groups.iter_mut().zip(groups) {
            products(sums, planes, x, *offsets);
        }
        for (sums, offset) in sum_rest.iter_mut().zip(rest) {
            products(std::array::from_mut(sums), planes, x, [*offset]);
        }
    }
}

#[inline(always)]
fn products<const N: usize>(
    sums: &mut [[[f32; LANES]; PLANES]; N],
    planes: [&[[f32; LANES]]; PLANES],
    x: &[f32],
    offsets: [usize; N],
) {
    let count = planes[0].len();
    let planes = planes.map(|plane| &plane[..count]);
    let xs = offsets.map(|offset| &x[offset..][..count * LANES].as_chunks::<LANES>().0[..count]);
    let mut lanes = *sums;
    for k in 0..count {
        for n in 0..N {
            for p in 0..PLANES {
                for i in 0..LANES {
                    lanes[n][p][i] += planes[p][k][i] * xs[n][k][i];
                }
            }
        }
    }
    *sums = lanes;
}

wide! {
    /// `sums[o] += Σ plane[k] · x[offsets[o] + k]`, lane by lane; the plane's length is a multiple of the lanes.
    pub(super) fn alone(sums: &mut [[f32; LANES]], plane: &[f32], x: &[f32], offsets: &[usize]) {
        let plane = plane.as_chunks::<LANES>().0;
        let (groups, rest) = offsets.as_chunks::<OFFSETS_ALONE>();
        let (sum_groups, sum_rest) = sums.as_chunks_mut::<OFFSETS_ALONE>();
        for (sums, offsets) in sum_groups.iter_mut().zip(groups) {
            products_alone(sums, plane, x, *offsets);
        }
        for (sums, offset) in sum_rest.iter_mut().zip(rest) {
            products_alone(std::array::from_mut(sums), plane, x, [*offset]);
        }
    }
}

#[inline(always)]
fn products_alone<const N: usize>(
    sums: &mut [[f32; LANES]; N],
    plane: &[[f32; LANES]],
    x: &[f32],
    offsets: [usize; N],
) {
    let xs = offsets.map(|offset| &x[offset..][..plane.len() * LANES].as_chunks::<LANES>().0[..plane.len()]);
    let mut lanes = *sums;
    for (k, plane) in plane.iter().enumerate() {
        for n in 0..N {
            for i in 0..LANES {
                lanes[n][i] += plane[i] * xs[n][k][i];
            }
        }
    }
    *sums = lanes;
}
