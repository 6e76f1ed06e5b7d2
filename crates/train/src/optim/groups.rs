//! Which rate and which weight decay each parameter has: timm's `param_groups_weight_decay` and
//! `param_groups_layer_decay`, by the parameters' names and places alone.

use std::collections::{HashMap, HashSet};

use tintype_graph::{Model, Parameter};

use super::Setting;
use crate::config::OptimConfig;

/// Components of a name that are followed by the number of a block within a numbered stage.
const BLOCKS: [&str; 2] = ["blocks", "layers"];

/// The settings of `parameters` of `model`, in their order.
pub(crate) fn settings(config: &OptimConfig, model: &Model, parameters: &[Parameter]) -> Vec<Setting> {
    let layers = layers(model, parameters);
    let last = layers.iter().copied().max().unwrap_or(0);
    let setting = |(parameter, layer): (&Parameter, usize)| {
        let spared = parameter.shape.len() <= 1 || parameter.name.ends_with(".bias");
        Setting {
            name: parameter.name.clone(),
            size: parameter.values.len(),
            rate: config.layer_decay.powi((last - layer) as i32),
            weight_decay: if config.filter_bias_and_bn && spared { 0.0 } else { config.weight_decay },
        }
    };
    parameters.iter().zip(layers).map(setting).collect()
}

/// The layer of each parameter, counted from the image: 0 is the stem, the largest number the last layer.
///
/// A layer is what a name says up to its first number (`blocks.3` of `blocks.3.attn.qkv.weight`, `layer1.0`), where
/// that is not the number of a parameter's own module. Modules without a number are the stem before the first such
/// layer; behind, they count to the layer before them, but for the last module of all. A name that exporters make up
/// counts to the layer before it, too. Where no name has a number, each module is a layer.
pub(crate) fn layers(model: &Model, parameters: &[Parameter]) -> Vec<usize> {
    let names: HashMap<&str, usize> =
        parameters.iter().enumerate().map(|(i, p)| (p.name.as_str(), i)).collect();
    let mut keys: Vec<Option<Key>> = vec![None; parameters.len()];
    let mut order = Vec::with_capacity(parameters.len());
    for name in model.graph().node.iter().flat_map(|node| &node.input) {
        if let Some(&index) = names.get(name.as_str())
            && keys[index].is_none()
        {
            keys[index] = Some(Key::of(name));
            order.push(index);
        }
    }
    let first_numbered = order.iter().position(|&i| matches!(keys[i], Some(Key::Numbered(_))));
    let stem = first_numbered.unwrap_or(0);
    let last = order.last().and_then(|&i| keys[i].clone());
    let mut numbers: HashMap<Key, usize> = HashMap::new();
    let mut found = vec![0; parameters.len()];
    let mut current = 0;
    // Without numbered layers every module is one, and there is no stem.
    let offset = usize::from(stem > 0);
    for (place, &index) in order.iter().enumerate() {
        let mut key = keys[index].clone().unwrap_or(Key::Unnamed);
        if first_numbered.is_some() && matches!(key, Key::Plain(_)) && Some(&key) != last.as_ref() {
            key = Key::Unnamed;
        }
        if place >= stem && key != Key::Unnamed {
            let next = numbers.len() + offset;
            current = *numbers.entry(key).or_insert(next);
        }
        found[index] = current;
    }
    found
}

/// The names of everything that is stored for the last layer.
pub(crate) fn last_layer(model: &Model) -> HashSet<String> {
    let float = |t: &&tintype_graph::proto::TensorProto| {
        t.data_type == tintype_graph::proto::DataType::Float as i32 && !t.dims.is_empty()
    };
    let stored: Vec<Parameter> = model
        .graph()
        .initializer
        .iter()
        .filter(float)
        .map(|t| Parameter { name: t.name.clone(), shape: Vec::new(), values: Vec::new() })
        .collect();
    let layers = layers(model, &stored);
    let last = layers.iter().copied().max();
    stored.into_iter().zip(layers).filter(|(_, l)| Some(*l) == last).map(|(p, _)| p.name).collect()
}

/// What tells a parameter's layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// A name with a number, up to it.
    Numbered(String),
    /// The first component of a name without.
    Plain(String),
    /// Nothing.
    Unnamed,
}

impl Key {
    fn of(name: &str) -> Self {
        if name.contains("::") || !name.contains('.') {
            return Self::Unnamed;
        }
        let parts: Vec<&str> = name.split('.').collect();
        let is_number = |i: usize| parts.get(i).is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
        // The last component is the parameter's own name.
        let modules = parts.len() - 1;
        let Some(mut end) = (0..modules).find(|&i| is_number(i)) else {
            return Self::Plain(parts[0].to_owned());
        };
        let is_block = |i: usize| parts.get(i).is_some_and(|p| BLOCKS.contains(p));
        if is_number(end + 1) && end + 2 < modules {
            end += 1;
        } else if is_block(end + 1) && is_number(end + 2) {
            end += 2;
        }
        Self::Numbered(parts[..=end].join("."))
    }
}
