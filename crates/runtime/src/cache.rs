//! Answers kept for requests that come again: `response_cache { enable: true }` and a size.
//!
//! The key is a digest of the model's name, version and loading, of all inputs and of the outputs asked for: inputs of
//! strangers decide it, so it is one that cannot be forged.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use tintype_core::{NamedTensor, TensorData};

/// Identifies a request.
pub(crate) type Key = [u8; 32];

/// The cache of all models, bounded in bytes.
#[derive(Debug)]
pub(crate) struct ResponseCache {
    entries: Cache<Key, Arc<[NamedTensor]>, Bytes>,
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Key, Arc<[NamedTensor]>> for Bytes {
    fn weight(&self, _key: &Key, outputs: &Arc<[NamedTensor]>) -> u64 {
        let outputs = outputs.iter().map(|output| output.name.len() + output.tensor.data().memory() + 128);
        (size_of::<Key>() + outputs.sum::<usize>()) as u64
    }
}

impl ResponseCache {
    /// A cache of at most `size` bytes of answers.
    pub(crate) fn new(size: usize) -> Self {
        // An answer of a classifier has some kilobytes; an estimate only sizes the first table.
        let entries = (size / 4096).clamp(16, 1 << 20);
        Self { entries: Cache::with_weighter(entries, size as u64, Bytes) }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<[NamedTensor]>> {
        self.entries.get(key)
    }

    pub(crate) fn insert(&self, key: Key, outputs: &[NamedTensor]) {
        self.entries.insert(key, outputs.into());
    }
}

/// The key of a request to one loading of a model.
pub(crate) fn key(model: (&str, u64, u64), inputs: &[NamedTensor], outputs: &[String]) -> Key {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        // Lengths first, so that no two requests read the same.
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(model.0.as_bytes());
    part(&model.1.to_le_bytes());
    part(&model.2.to_le_bytes());
    let mut sorted: Vec<&NamedTensor> = inputs.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    for NamedTensor { name, tensor } in sorted {
        part(name.as_bytes());
        part(tensor.dtype().as_str().as_bytes());
        let shape: Vec<u64> = tensor.shape().iter().map(|&axis| axis as u64).collect();
        part(bytemuck::cast_slice(&shape));
        match tensor.data() {
            TensorData::Bytes(values) => values.iter().for_each(|value| part(value)),
            data => part(&data.to_le_bytes().unwrap_or_default()),
        }
    }
    outputs.iter().for_each(|name| part(name.as_bytes()));
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use tintype_core::Tensor;

    use super::*;

    fn input(name: &str, values: &[f32]) -> NamedTensor {
        NamedTensor { name: name.into(), tensor: Tensor::new([values.len()], values.to_vec()).unwrap() }
    }

    fn text(parts: &[&str]) -> NamedTensor {
        let values: Vec<Vec<u8>> = parts.iter().map(|part| part.as_bytes().to_vec()).collect();
        NamedTensor { name: "x".into(), tensor: Tensor::new([values.len()], values).unwrap() }
    }

    #[test]
    fn a_key_tells_apart_whatever_may_change_the_answer() {
        let (a, b) = (input("a", &[1.0, 2.0]), input("b", &[3.0]));
        let model = ("m", 1, 0);
        let key_of = |inputs: &[NamedTensor]| key(model, inputs, &[]);
        let reference = key_of(&[a.clone(), b.clone()]);
        assert_eq!(reference, key_of(&[b.clone(), a.clone()]), "the order of inputs says nothing");
        let reshaped = NamedTensor { tensor: a.tensor.clone().reshaped([1, 2]).unwrap(), ..a.clone() };
        let others = [
            key(("n", 1, 0), &[a.clone(), b.clone()], &[]),
            key(("m", 2, 0), &[a.clone(), b.clone()], &[]),
            key(("m", 1, 1), &[a.clone(), b.clone()], &[]),
            key(model, &[a.clone(), b.clone()], &["out".into()]),
            key_of(&[a.clone(), input("b", &[4.0])]),
            key_of(&[a, input("c", &[3.0])]),
            key_of(&[reshaped, b]),
        ];
        assert!(others.iter().all(|other| *other != reference));
        assert_ne!(key_of(&[text(&["ab", "c"])]), key_of(&[text(&["a", "bc"])]));
    }

    #[test]
    fn the_cache_is_bounded_in_bytes() {
        let cache = ResponseCache::new(64 << 10);
        for index in 0..1000u64 {
            cache.insert(key(("m", index, 0), &[], &[]), &[input("y", &[index as f32; 256])]);
        }
        let kept = (0..1000).filter(|&index| cache.get(&key(("m", index, 0), &[], &[])).is_some()).count();
        assert!((20..=60).contains(&kept), "{kept} of about 1.2 KiB in 64 KiB");
    }
}
