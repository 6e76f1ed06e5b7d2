//! Which layers lose most by being quantised: each alone, the others float, over a few images.

use std::collections::HashSet;
use std::ops::Range as Span;

use tintype_core::{Result, Tensor};
use tintype_engine::{Session, SessionOptions};

use super::{FloatLayer, Search, Work, source};
use crate::data::Dataset;
use crate::evaluate::Scorer;
use crate::event::ImagesPass;
use crate::pass::{self, Watch, over_files};

/// Images that a layer is tried on: the order of layers settles with few.
const IMAGES: usize = 16;

/// The layers that are not excluded, the noisiest first.
pub(super) fn by_noise(work: &mut Work, search: &Search, data: &Dataset) -> Result<Vec<FloatLayer>> {
    let scorer = Scorer::open(work.package, work.backend, 1)?;
    let inputs = scorer.prepared(&data.samples, IMAGES)?;
    let output = scorer.classifier.output();
    let options = SessionOptions::default();
    let mut float = work.backend.load(&work.package.model, &options)?;
    let expected = answers(float.as_mut(), &inputs, output)?;

    let all: Vec<String> = search.quantizer.layers().into_iter().map(|layer| layer.name).collect();
    let tried: Vec<&String> = all.iter().filter(|name| !work.options.exclude.contains(name)).collect();
    let (backend, names) = (work.backend, &tried);
    let noise = |name: &String| -> Result<f64> {
        let others: HashSet<String> = all.iter().filter(|other| *other != name).cloned().collect();
        let mut session = backend.load(&source(&search.model(others)?), &options)?;
        Ok(noise(&expected, &answers(session.as_mut(), &inputs, output)?))
    };
    let noise = &noise;
    let threads = pass::threads(work.options.threads);
    let workers =
        (0..threads).map(|_| move |span: Span<usize>| span.map(|i| Ok(Ok(noise(names[i])?))).collect());
    let stop = &work.options.stop;
    let mut watch = Watch { what: ImagesPass::Layers, subscriber: work.subscriber, stop };
    let found = over_files(tried.len(), 1, workers.collect(), &mut watch)?;

    let mut layers = Vec::new();
    for (name, noise) in tried.iter().zip(found) {
        layers.push(FloatLayer { name: (*name).clone(), noise: Some(noise?) });
    }
    layers.sort_by(|a, b| b.noise.unwrap_or(0.0).total_cmp(&a.noise.unwrap_or(0.0)));
    Ok(layers)
}

/// The scores of every input, one after the other.
fn answers(session: &mut dyn Session, inputs: &[Tensor], output: usize) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    for input in inputs {
        if let Some(scores) = session.run(&[input])?.get(output) {
            all.extend_from_slice(scores.values::<f32>()?);
        }
    }
    Ok(all)
}

/// The power of the difference as a share of the signal's.
fn noise(expected: &[f32], found: &[f32]) -> f64 {
    let power = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let difference = power(&mut expected.iter().zip(found).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / power(&mut expected.iter().map(|&v| f64::from(v))).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_a_share_of_the_power() {
        assert_eq!(noise(&[3.0, 4.0], &[3.0, 4.0]), 0.0);
        assert_eq!(noise(&[3.0, 4.0], &[3.0, 3.0]), 1.0 / 25.0);
    }
}
