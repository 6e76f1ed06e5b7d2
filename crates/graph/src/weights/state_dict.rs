//! Where the weights are in what a pickle holds: a state dict, a checkpoint around one, or a whole network.

use tintype_core::{Error, ErrorKind, Result};

use super::pickle::{Heap, Id, Node, TensorRef};

/// Under which keys trainings keep the weights, in the order of preference: Lightning and timm, plain PyTorch loops, DeiT
/// and fastai, others.
const WRAPPERS: &[&str] = &[
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "state_dict_ema",
    "model_ema",
];
/// How deep wrappers, and modules within modules, may lie.
const MAX_DEPTH: usize = 64;
/// Modules of a network.
const MAX_MODULES: usize = 1 << 17;

/// The tensors of the state dict, by name.
///
/// # Errors
/// `InvalidModel`, naming what was found, when there are no weights.
pub(super) fn find(heap: &Heap, root: Id) -> Result<Vec<(String, TensorRef)>> {
    let mut at = root;
    for _ in 0..MAX_DEPTH {
        let tensors = match heap.node(at) {
            Node::Object { state: Some(_), .. } => of_module(heap, at)?,
            _ => of_dictionary(heap, at),
        };
        if !tensors.is_empty() {
            return Ok(tensors);
        }
        let inside = WRAPPERS.iter().find_map(|key| {
            heap.entry(at, key).filter(|&id| matches!(heap.node(id), Node::Dict(_) | Node::Object { .. }))
        });
        match inside {
            Some(inside) => at = inside,
            None => break,
        }
    }
    Err(without_weights(heap, at))
}

fn of_dictionary(heap: &Heap, id: Id) -> Vec<(String, TensorRef)> {
    let named = heap.pairs(id).iter().filter_map(|&(key, value)| match heap.node(value) {
        Node::Tensor(tensor) => Some((heap.text(key)?.to_owned(), tensor.clone())),
        _ => None,
    });
    named.collect()
}

/// What `module.state_dict()` would give: the parameters and buffers of a module and, under their names, of the modules
/// within. In TorchScript they are attributes.
fn of_module(heap: &Heap, id: Id) -> Result<Vec<(String, TensorRef)>> {
    let mut tensors = Vec::new();
    let mut open = vec![(String::new(), id, 0)];
    let mut modules = 0;
    while let Some((prefix, id, depth)) = open.pop() {
        modules += 1;
        if depth > MAX_DEPTH || modules > MAX_MODULES {
            return Err(Error::new(ErrorKind::InvalidModel, "the pickled network has no end"));
        }
        let Node::Object { state: Some(state), .. } = heap.node(id) else { continue };
        let state = *state;
        let transient = heap.entry(state, "_non_persistent_buffers_set");
        let transient: Vec<&str> =
            transient.map_or(&[][..], |t| heap.members(t)).iter().filter_map(|&id| heap.text(id)).collect();
        let own: Vec<Id> =
            ["_parameters", "_buffers", "_modules"].iter().filter_map(|k| heap.entry(state, k)).collect();
        let lists = if own.is_empty() { vec![state] } else { own };
        for (key, value) in lists.iter().flat_map(|&list| heap.pairs(list)) {
            let Some(key) = heap.text(*key).filter(|key| !transient.contains(key)) else { continue };
            match heap.node(*value) {
                Node::Tensor(tensor) => tensors.push((format!("{prefix}{key}"), tensor.clone())),
                Node::Object { .. } => open.push((format!("{prefix}{key}."), *value, depth + 1)),
                _ => {}
            }
        }
    }
    Ok(tensors)
}

fn without_weights(heap: &Heap, id: Id) -> Error {
    let keys: Vec<&str> = heap.pairs(id).iter().filter_map(|&(key, _)| heap.text(key)).take(8).collect();
    let what = match heap.node(id) {
        Node::Object { class, .. } => match heap.node(*class) {
            Node::Global { module, name } => format!("found an object of `{module}.{name}`"),
            _ => "found an object".to_owned(),
        },
        _ if keys.is_empty() => "found something else".to_owned(),
        _ => format!("found a dictionary with `{}`", keys.join("`, `")),
    };
    Error::new(ErrorKind::InvalidModel, format!("expected a state dict or a network, {what}"))
        .with_hint("save the weights with `torch.save(model.state_dict(), path)`")
}
