//! Dropout whose mask is a function of seed and position, so that nothing has to be kept for the gradient.

use ort::value::TensorElementType::{Float32, Int64};
use tintype_core::Result;

use super::kernel::{Attributes, Call, Kernel, Like, Type};
use super::threads::{Threads, chunks, misfit, require_len};
use super::wide::wide;

/// `Dropout(x, seed: i64[1]; ratio: float, salt: int = 0) → y`
///
/// Element `i` is kept with probability `1 - ratio` and then divided by it, else 0. Which are kept depends on
/// `seed` (another for each step), `salt` (another for each layer) and `i` alone, and not on threads. The gradient
/// is the same operator on `dy`.
pub(super) struct Dropout {
    ratio: f32,
    salt: i64,
}

impl Kernel for Dropout {
    const NAME: &'static str = "Dropout";
    const INPUTS: &'static [Type] = &[Float32, Int64];
    const OUTPUTS: usize = 1;

    fn new(attributes: &Attributes) -> Result<Self> {
        let ratio = attributes.float("ratio", 0.5);
        if !(0.0..1.0).contains(&ratio) {
            return Err(misfit(format!(
                "attribute `ratio`: expected 0 or more and less than 1, found {ratio}"
            )));
        }
        Ok(Self { ratio, salt: attributes.int("salt") })
    }

    fn output_like(_: usize) -> Like {
        Like::Input(0)
    }

    fn compute(&self, call: &Call) -> Result<()> {
        let (x, seed) = (call.input(0)?, call.input(1)?);
        let mut y = call.output(0, &x.shape())?;
        let seed = *seed.i64s()?.first().ok_or_else(|| misfit("expected a seed, found none"))?;
        self.apply(call.threads(), seed, x.f32s()?, y.f32s()?)
    }
}

/// Elements a thread does at a time.
const CHUNK: usize = 16 << 10;

impl Dropout {
    fn apply(&self, threads: &dyn Threads, seed: i64, x: &[f32], y: &mut [f32]) -> Result<()> {
        require_len("`x`", x.len(), y.len())?;
        let key = splitmix(splitmix(seed as u64) ^ self.salt as u64);
        // Below 2³², because the ratio is below 1.
        let threshold = (f64::from(self.ratio) * 4_294_967_296.0) as u32;
        let scale = 1.0 / (1.0 - self.ratio);
        chunks(threads, y, CHUNK, |index, y| {
            let start = index * CHUNK;
            // Positions wrap after 2³² elements, with another key.
            let key = Key { low: key as u32, high: ((key >> 32) as u32) ^ ((start as u64 >> 32) as u32) };
            let x = &x[start..][..y.len()];
            drop_out(y, x, Mask { key, start: start as u32, threshold, scale });
        })
    }
}

#[derive(Clone, Copy)]
struct Key {
    low: u32,
    high: u32,
}

#[derive(Clone, Copy)]
struct Mask {
    key: Key,
    start: u32,
    threshold: u32,
    scale: f32,
}

wide! {
    fn drop_out(y: &mut [f32], x: &[f32], mask: Mask) {
        for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
            let hash = mix(mix(mask.start.wrapping_add(i as u32) ^ mask.key.low) ^ mask.key.high);
            *y = if hash >= mask.threshold { x * mask.scale } else { 0.0 };
        }
    }
}

/// A 32-bit mixer with little bias, by Chris Wellons (`lowbias32`); 32-bit products vectorise.
#[inline(always)]
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x21f0_aaad);
    x ^= x >> 15;
    x = x.wrapping_mul(0xd35a_2d97);
    x ^ (x >> 15)
}

/// The 64-bit mixer of Steele, Lea and Flood (`SplitMix64`).
fn splitmix(x: u64) -> u64 {
    let mut x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::threads::TestThreads;
    use super::*;

    const COUNT: usize = 5 * CHUNK + 3;

    fn kept(ratio: f32, salt: i64, seed: i64) -> Vec<bool> {
        let mut y = vec![f32::NAN; COUNT];
        Dropout { ratio, salt }.apply(&TestThreads, seed, &[2.0; COUNT], &mut y).unwrap();
        let scaled = 2.0 / (1.0 - ratio);
        assert!(y.iter().all(|&v| v == 0.0 || (v - scaled).abs() < 1e-5));
        y.iter().map(|&v| v != 0.0).collect()
    }

    fn share(kept: impl Iterator<Item = bool>) -> f64 {
        kept.filter(|&k| k).count() as f64 / COUNT as f64
    }

    #[test]
    fn the_share_that_is_kept_is_as_asked() {
        for ratio in [0.0, 0.1, 0.5, 0.9] {
            let found = share(kept(ratio, 1, 7).into_iter());
            // Five standard deviations of a binomial share at most.
            assert!((found - (1.0 - f64::from(ratio))).abs() < 0.009, "{ratio}: {found}");
        }
    }

    #[test]
    fn masks_of_other_seeds_salts_and_places_are_independent() {
        let mask = kept(0.5, 3, 42);
        assert_eq!(mask, kept(0.5, 3, 42));
        let mut shifted = mask.clone();
        shifted.rotate_left(1);
        for (name, other) in [("seed", kept(0.5, 3, 43)), ("salt", kept(0.5, 4, 42)), ("place", shifted)] {
            let agree = share(mask.iter().zip(&other).map(|(a, b)| a == b));
            assert!((agree - 0.5).abs() < 0.009, "{name}: {agree}");
        }
    }

    #[test]
    fn the_mask_is_that_of_the_first_release() {
        // A resumed training must see the masks it would have seen. Computed by a few lines of Python.
        let bits = kept(0.5, 3, 42)[..32].iter().fold(0u32, |bits, &k| bits << 1 | u32::from(k));
        assert_eq!(bits, 0xbeb0_99ef);
    }
}
