//! Turning square blocks, so that what lay below each other lies side by side.

/// A row that fills a vector register of every processor in use.
pub(crate) trait Row: Copy {
    /// The elements of `self` and `other` by turns.
    fn interleaved(self, other: Self) -> [Self; 2];
}

/// The block with rows and columns exchanged: each row is interleaved with the one half the block below it, and again,
/// until every element has come round.
#[inline(always)]
pub(crate) fn transposed<R: Row, const N: usize>(mut block: [R; N]) -> [R; N] {
    for _ in 0..N.ilog2() {
        let mut next = block;
        for i in 0..N / 2 {
            [next[2 * i], next[2 * i + 1]] = block[i].interleaved(block[i + N / 2]);
        }
        block = next;
    }
    block
}

macro_rules! row {
    ($row:ty, $low:ident, $high:ident) => {
        impl Row for $row {
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "the compiler does not find these instructions by itself")]
            #[inline(always)]
            fn interleaved(self, other: Self) -> [Self; 2] {
                use std::arch::x86_64::{$high, $low};
                let (a, b) = (bytemuck::cast(self), bytemuck::cast(other));
                // SAFETY: every x86-64 processor has SSE2.
                let (low, high) = unsafe { ($low(a, b), $high(a, b)) };
                [bytemuck::cast(low), bytemuck::cast(high)]
            }

            #[cfg(not(target_arch = "x86_64"))]
            #[inline(always)]
            fn interleaved(self, other: Self) -> [Self; 2] {
                plain(self, other)
            }
        }
    };
}

#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline(always)]
fn plain<T: Copy, const N: usize>(a: [T; N], b: [T; N]) -> [[T; N]; 2] {
    let mut both = [a; 2];
    let pairs = both.as_flattened_mut().chunks_exact_mut(2);
    for (pair, (a, b)) in pairs.zip(a.into_iter().zip(b)) {
        pair.copy_from_slice(&[a, b]);
    }
    both
}

row!([u8; 16], _mm_unpacklo_epi8, _mm_unpackhi_epi8);
row!([i16; 8], _mm_unpacklo_epi16, _mm_unpackhi_epi16);

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use super::*;

    #[test]
    fn rows_become_columns() {
        let bytes: [[u8; 16]; 16] = from_fn(|y| from_fn(|x| (y * 16 + x) as u8));
        assert_eq!(transposed(bytes), from_fn(|x| from_fn(|y| (y * 16 + x) as u8)));
        let words: [[i16; 8]; 8] = from_fn(|y| from_fn(|x| (y * 8 + x) as i16));
        assert_eq!(transposed(words), from_fn(|x| from_fn(|y| (y * 8 + x) as i16)));
    }

    #[test]
    fn instructions_interleave_as_plain_code_does() {
        let (a, b) = (from_fn(|i| i as u8), from_fn(|i| 100 + i as u8));
        assert_eq!(a.interleaved(b), plain::<u8, 16>(a, b));
        let (a, b) = (from_fn(|i| i as i16), from_fn(|i| -1 - i as i16));
        assert_eq!(a.interleaved(b), plain::<i16, 8>(a, b));
    }
}
