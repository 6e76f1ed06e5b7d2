//! The values of a pickle.

use std::collections::HashMap;

use super::calls::{Storage, TensorRef};

/// Where a value is in the heap.
pub(in crate::weights) type Id = usize;

/// A value.
#[derive(Debug, Clone)]
pub(in crate::weights) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 8 bytes, little endian.
    Long(Vec<u8>),
    Text(String),
    /// A list or a set.
    List(Vec<Id>),
    Tuple(Vec<Id>),
    /// In the order of writing; a later pair overrules an earlier one of the same key.
    Dict(Vec<(Id, Id)>),
    /// A class or function, by name alone.
    Global {
        module: String,
        name: String,
    },
    /// What a call would have made, of whatever arguments.
    Object {
        class: Id,
        /// The attributes, where the pickle gave some.
        state: Option<Id>,
        /// What it holds as a dictionary.
        items: Vec<(Id, Id)>,
    },
    Storage(Storage),
    Tensor(TensorRef),
    /// Something that a checkpoint's structure never depends on: a float, bytes.
    Other,
}

/// All values of a pickle.
#[derive(Debug, Default)]
pub(in crate::weights) struct Heap {
    nodes: Vec<Node>,
}

impl Heap {
    pub(in crate::weights) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The value; `Other` for an id of another heap.
    pub(in crate::weights) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id).unwrap_or(&Node::Other)
    }

    pub(in crate::weights) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(in crate::weights) fn int(&self, id: Id) -> Option<i64> {
        match self.node(id) {
            Node::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The members of a tuple or list; none of anything else.
    pub(in crate::weights) fn members(&self, id: Id) -> &[Id] {
        match self.node(id) {
            Node::List(members) | Node::Tuple(members) => members,
            _ => &[],
        }
    }

    /// The members of a list, which is empty from then on.
    pub(super) fn take_members(&mut self, id: Id) -> Vec<Id> {
        match self.nodes.get_mut(id) {
            Some(Node::List(members)) => std::mem::take(members),
            _ => Vec::new(),
        }
    }

    /// The pairs of a dictionary, or of an object that holds some; none of anything else.
    pub(in crate::weights) fn pairs(&self, id: Id) -> &[(Id, Id)] {
        match self.node(id) {
            Node::Dict(pairs) | Node::Object { items: pairs, .. } => pairs,
            _ => &[],
        }
    }

    /// The value of a text key.
    pub(in crate::weights) fn entry(&self, id: Id, key: &str) -> Option<Id> {
        self.pairs(id).iter().rev().find(|(k, _)| self.text(*k) == Some(key)).map(|(_, value)| *value)
    }

    /// Bytes of an element of each storage.
    pub(in crate::weights) fn element_sizes(&self) -> HashMap<&str, usize> {
        let storages = self.nodes.iter().filter_map(|node| match node {
            Node::Storage(storage) => Some((storage.key.as_str(), storage.dtype?.size()?)),
            _ => None,
        });
        storages.collect()
    }

    /// Adds to a list; an object's lists are of no use.
    pub(super) fn append(&mut self, id: Id, added: &[Id]) {
        if let Some(Node::List(members)) = self.nodes.get_mut(id) {
            members.extend(added);
        }
    }

    pub(super) fn set_items(&mut self, id: Id, added: Vec<(Id, Id)>) {
        if let Some(Node::Dict(pairs) | Node::Object { items: pairs, .. }) = self.nodes.get_mut(id) {
            pairs.extend(added);
        }
    }

    /// Gives an object its attributes; a dictionary's or a tensor's own are of no use.
    pub(super) fn set_state(&mut self, id: Id, new: Id) {
        if let Some(Node::Object { state, .. }) = self.nodes.get_mut(id) {
            *state = Some(new);
        }
    }
}
