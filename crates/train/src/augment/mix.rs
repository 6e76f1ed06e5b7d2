//! Mixing a batch with itself turned round: mixup (Zhang et al. 2017) and CutMix (Yun et al. 2019) as timm does per batch.

use rand::RngExt;
use rand::rngs::StdRng;
use tintype_core::image::{Region, Size};
use tintype_core::{Layout, Plan, Result};

use super::erase::each_line;
use super::random::{beta, chance};
use crate::config::AugmentConfig;

/// How batches are mixed.
#[derive(Debug, Clone)]
pub(crate) struct Mix {
    config: AugmentConfig,
    layout: Layout,
    size: Size,
}

/// Rows of which each is also partly the row as far from the other end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mixed {
    /// How much of a row is its own, 0..=1; row `i` of `n` is for the rest row `n - 1 - i`.
    pub own: f64,
}

impl Mix {
    /// Mixes as `config` says rows that `plan` makes.
    ///
    /// # Errors
    /// `InvalidArgument` when the plan makes images of no fixed size.
    pub fn new(config: &AugmentConfig, plan: &Plan) -> Result<Self> {
        Ok(Self { config: config.clone(), layout: plan.spec().layout, size: plan.output_size()? })
    }

    /// Mixes a batch of rows of `width` numbers.
    pub fn apply(&self, rows: &mut [f32], width: usize, rng: &mut StdRng) -> Mixed {
        let AugmentConfig { mixup, cutmix, mix_prob, switch_prob, .. } = self.config;
        if !chance(rng, mix_prob) {
            return Mixed { own: 1.0 };
        }
        let cuts = cutmix > 0.0 && (mixup == 0.0 || chance(rng, switch_prob));
        let own = beta(rng, if cuts { cutmix } else { mixup });
        if !cuts {
            blend(rows, width, own as f32);
            return Mixed { own };
        }
        let region = self.region(own, rng);
        let whole = f64::from(self.size.width) * f64::from(self.size.height);
        each_pair(rows, width, |one, other| {
            each_line(self.layout, self.size, region, width, |line| {
                one[line.clone()].swap_with_slice(&mut other[line]);
            });
        });
        Mixed { own: 1.0 - f64::from(region.width) * f64::from(region.height) / whole }
    }

    /// A rectangle of `1 - own` of the area about a random pixel, cut off at the frame: timm's `rand_bbox`.
    fn region(&self, own: f64, rng: &mut StdRng) -> Region {
        let side = (1.0 - own).sqrt();
        let mut span = |length: u32| {
            let cut = (f64::from(length) * side) as u32;
            let centre = rng.random_range(0..length);
            let from = centre.saturating_sub(cut / 2);
            from..(centre + cut.div_ceil(2)).min(length)
        };
        let (y, x) = (span(self.size.height), span(self.size.width));
        Region { x: x.start, y: y.start, width: x.end - x.start, height: y.end - y.start }
    }
}

fn blend(rows: &mut [f32], width: usize, own: f32) {
    let rest = 1.0 - own;
    each_pair(rows, width, |one, other| {
        for (a, b) in one.iter_mut().zip(other) {
            (*a, *b) = (*a * own + *b * rest, *b * own + *a * rest);
        }
    });
}

/// Row 0 with the last, row 1 with the one before, …; the middle one of an odd number stays alone, being its own other.
fn each_pair(rows: &mut [f32], width: usize, mut pair: impl FnMut(&mut [f32], &mut [f32])) {
    let count = rows.len() / width.max(1);
    let (upper, lower) = rows.split_at_mut(count.div_ceil(2) * width);
    let lower_rows = lower.chunks_exact_mut(width).rev();
    upper.chunks_exact_mut(width).zip(lower_rows).for_each(|(one, other)| pair(one, other));
}

#[cfg(test)]
mod tests {
    use tintype_core::image::Limits;
    use tintype_core::{PreprocessSpec, Resize};

    use super::super::random::{Moment, Stream};
    use super::*;

    fn mix(config: AugmentConfig) -> Mix {
        let spec = PreprocessSpec { resize: Some(Resize::Exact([8, 10])), ..PreprocessSpec::default() };
        Mix::new(&config, &Plan::new(spec, Limits::default()).unwrap()).unwrap()
    }

    const WIDTH: usize = 8 * 10 * 3;

    /// Row `i` is full of `i`.
    fn rows(count: usize) -> Vec<f32> {
        (0..count).flat_map(|i| vec![i as f32; WIDTH]).collect()
    }

    #[test]
    fn mixup_blends_each_row_with_its_opposite() {
        let mix = mix(AugmentConfig { mixup: 0.5, ..AugmentConfig::default() });
        for batch in 0..50 {
            let mut found = rows(5);
            let Mixed { own } = mix.apply(
                &mut found,
                WIDTH,
                &mut Moment { seed: 3, epoch: 1 }.generator(Stream::Batch, batch),
            );
            for (i, row) in found.chunks(WIDTH).enumerate() {
                let expected = own * i as f64 + (1.0 - own) * (4 - i) as f64;
                assert!(row.iter().all(|&v| (f64::from(v) - expected).abs() < 1e-5), "{own}: {expected}");
            }
        }
    }

    #[test]
    fn cutmix_exchanges_one_rectangle_and_counts_its_pixels() {
        let mix = mix(AugmentConfig { cutmix: 1.0, ..AugmentConfig::default() });
        let mut shares = Vec::new();
        for batch in 0..400 {
            let mut found = rows(4);
            let Mixed { own } = mix.apply(
                &mut found,
                WIDTH,
                &mut Moment { seed: 3, epoch: 1 }.generator(Stream::Batch, batch),
            );
            for (i, row) in found.chunks(WIDTH).enumerate() {
                let kept = row.iter().filter(|&&v| v == i as f32).count();
                let taken = row.iter().filter(|&&v| v == (3 - i) as f32).count();
                assert_eq!((kept + taken, kept), (WIDTH, (own * WIDTH as f64).round() as usize));
            }
            shares.push(own);
        }
        // Boxes are cut off at the frame, so more is kept than Beta(1, 1)'s half.
        let mean = shares.iter().sum::<f64>() / 400.0;
        assert!((0.55..0.75).contains(&mean), "{mean}");
    }

    #[test]
    fn batches_are_mixed_and_cut_as_often_as_asked() {
        let config = AugmentConfig {
            mixup: 1.0,
            cutmix: 1.0,
            mix_prob: 0.6,
            switch_prob: 0.25,
            ..AugmentConfig::default()
        };
        let mix = mix(config);
        let (mut mixed, mut cut) = (0, 0);
        for batch in 0..1000 {
            let mut found = rows(2);
            let Mixed { own } = mix.apply(
                &mut found,
                WIDTH,
                &mut Moment { seed: 3, epoch: 1 }.generator(Stream::Batch, batch),
            );
            mixed += usize::from(own < 1.0);
            cut += usize::from(own < 1.0 && found.iter().all(|&v| v == 0.0 || v == 1.0));
        }
        assert!((540..660).contains(&mixed), "{mixed} of 1000 are mixed");
        // A quarter of the mixed, less the few whose box is empty.
        assert!((100..190).contains(&cut), "{cut} of 1000 are cut");
    }
}
