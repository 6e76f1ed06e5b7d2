//! Turning blocks of bytes, so that what lay below each other lies side by side.

/// Bytes that fill a vector register of every processor in use.
pub(super) const LANES: usize = 16;

/// Writes the rows that `row` gives as columns. Four rounds of interleaving each row with the one eight below it do that.
#[inline(always)]
pub(super) fn transpose(columns: &mut [[u8; LANES]; LANES], row: impl Fn(usize) -> [u8; LANES]) {
    let mut block: [_; LANES] = std::array::from_fn(row);
    for _ in 0..4 {
        let mut next = [[0; LANES]; LANES];
        for i in 0..LANES / 2 {
            [next[2 * i], next[2 * i + 1]] = interleaved(block[i], block[i + LANES / 2]);
        }
        block = next;
    }
    for (column, found) in columns.iter_mut().zip(block) {
        *column = found;
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions")]
#[inline(always)]
fn interleaved(a: [u8; LANES], b: [u8; LANES]) -> [[u8; LANES]; 2] {
    use std::arch::x86_64::{_mm_unpackhi_epi8, _mm_unpacklo_epi8};
    let (a, b) = (bytemuck::cast(a), bytemuck::cast(b));
    // SAFETY: every x86-64 processor has SSE2.
    let (low, high) = unsafe { (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)) };
    [bytemuck::cast(low), bytemuck::cast(high)]
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn interleaved(a: [u8; LANES], b: [u8; LANES]) -> [[u8; LANES]; 2] {
    let mut both = [[0; LANES]; 2];
    for (i, pair) in both.as_flattened_mut().chunks_exact_mut(2).enumerate() {
        pair.copy_from_slice(&[a[i], b[i]]);
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let mut found = [[0; LANES]; LANES];
        transpose(&mut found, |y| std::array::from_fn(|x| (y * LANES + x) as u8));
        let expected = std::array::from_fn(|x| std::array::from_fn(|y| (y * LANES + x) as u8));
        assert_eq!(found, expected);
    }
}
