//! The inverse cosine transform: libjpeg's "islow" (Loeffler, Ligtenberg and Moschytz 1989, in fixed point), whose
//! integers every decoder that wants to agree with it has to compute.

use std::num::Wrapping;

use super::coefficients::Block;
use crate::transpose::transposed;

/// Bits behind the point of the constants.
const CONST_BITS: u32 = 13;

/// Bits behind the point between the passes.
const PASS1_BITS: u32 = 2;

const fn fixed(value: f64) -> Wrapping<i32> {
    Wrapping((value * (1 << CONST_BITS) as f64 + 0.5) as i32)
}

/// Larger than any coefficient of a sound picture, which is at most 1024 or so. Beyond this, decoders overflow, each in its
/// own way.
const LIMIT: i16 = 8192;

/// Turns the first `count` coefficients of a block, multiplied by `quantization`, to 8 by 8 samples; `None` where one is
/// beyond all bounds.
#[inline(always)]
pub(super) fn inverse(
    block: &Block,
    count: u8,
    quantization: &[i16; 64],
    samples: &mut [u8],
    stride: usize,
) -> Option<()> {
    let mut values = [[0i16; 8]; 8];
    let mut high_bits = 0;
    for (value, (&coefficient, &step)) in
        values.as_flattened_mut().iter_mut().zip(block.iter().zip(quantization))
    {
        *value = coefficient.wrapping_mul(step);
        high_bits |= value.wrapping_add(LIMIT);
    }
    if high_bits & !(2 * LIMIT - 1) != 0 {
        return None;
    }
    if count <= 1 {
        flat(values[0][0], samples, stride);
    } else {
        full(values, samples, stride);
    }
    Some(())
}

#[inline(always)]
fn full(values: [[i16; 8]; 8], samples: &mut [u8], stride: usize) {
    // Columns first: each pass works on what lies below each other.
    let columns = transposed(pass::<{ CONST_BITS - PASS1_BITS }>(values));
    let rows = transposed(pass::<{ CONST_BITS + PASS1_BITS + 3 }>(columns));
    for (line, row) in samples.chunks_mut(stride).zip(rows) {
        let Some(line) = line.first_chunk_mut::<8>() else { return };
        for (sample, value) in line.iter_mut().zip(row) {
            *sample = (value.clamp(-128, 127) + 128) as u8;
        }
    }
}

/// A block without a pattern.
#[inline(always)]
fn flat(value: i16, samples: &mut [u8], stride: usize) {
    let level = ((value << PASS1_BITS) + (1 << (PASS1_BITS + 2))) >> (PASS1_BITS + 3);
    let level = (level.clamp(-128, 127) + 128) as u8;
    for line in samples.chunks_mut(stride).take(8) {
        if let Some(line) = line.first_chunk_mut::<8>() {
            *line = [level; 8];
        }
    }
}

/// One direction of the transform, on eight columns side by side. What overflows in 16 bits does so
/// in libjpeg-turbo too.
#[inline(always)]
fn pass<const SHIFT: u32>(input: [[i16; 8]; 8]) -> [[i16; 8]; 8] {
    let mut output = [[0i16; 8]; 8];
    for i in 0..8 {
        let at = |row: usize| Wrapping(input[row][i]);
        let wide = |value: Wrapping<i16>| Wrapping(i32::from(value.0));

        let z1 = (wide(at(2)) + wide(at(6))) * fixed(0.541_196_100);
        let z2 = z1 - wide(at(6)) * fixed(1.847_759_065);
        let z3 = z1 + wide(at(2)) * fixed(0.765_366_865);
        let z4 = wide(at(0) + at(4)) * Wrapping(1 << CONST_BITS);
        let z5 = wide(at(0) - at(4)) * Wrapping(1 << CONST_BITS);
        let even = [z4 + z3, z5 + z2, z5 - z2, z4 - z3];

        let (z3, z4) = (wide(at(7) + at(3)), wide(at(5) + at(1)));
        let z5 = (z3 + z4) * fixed(1.175_875_602);
        let z1 = (wide(at(7)) + wide(at(1))) * fixed(0.899_976_223);
        let z2 = (wide(at(5)) + wide(at(3))) * fixed(2.562_915_447);
        let z3 = z5 - z3 * fixed(1.961_570_560);
        let z4 = z5 - z4 * fixed(0.390_180_644);
        let odd = [
            wide(at(1)) * fixed(1.501_321_110) - z1 + z4,
            wide(at(3)) * fixed(3.072_711_026) - z2 + z3,
            wide(at(5)) * fixed(2.053_119_869) - z2 + z4,
            wide(at(7)) * fixed(0.298_631_336) - z1 + z3,
        ];

        for row in 0..4 {
            output[row][i] = rounded::<SHIFT>(even[row] + odd[row]);
            output[7 - row][i] = rounded::<SHIFT>(even[row] - odd[row]);
        }
    }
    output
}

#[inline(always)]
fn rounded<const SHIFT: u32>(value: Wrapping<i32>) -> i16 {
    let value = (value + Wrapping(1 << (SHIFT - 1))).0 >> SHIFT;
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
