//! Changes of a graph that keep it meaning the same.

use std::collections::{HashMap, HashSet};

use tintype_core::Result;

use crate::proto::{GraphProto, NodeProto};
use crate::wiring::Wiring;

/// Removes what no output needs: nodes, initializers, recorded shapes of values. Inputs stay.
pub(crate) fn prune(graph: &mut GraphProto) -> Result<()> {
    let wiring = Wiring::new(graph)?;
    let mut needed: HashSet<String> = HashSet::new();
    let mut open: Vec<&str> = graph.output.iter().map(|v| v.name.as_str()).collect();
    while let Some(name) = open.pop() {
        if needed.insert(name.to_owned()) {
            open.extend(wiring.maker(name).into_iter().flat_map(NodeProto::reads));
        }
    }
    graph.node.retain(|n| n.output.iter().any(|name| needed.contains(name)));
    graph.initializer.retain(|t| needed.contains(&t.name));
    graph.sparse_initializer.retain(|s| s.values.as_ref().is_some_and(|v| needed.contains(&v.name)));
    graph.value_info.retain(|v| needed.contains(&v.name));
    graph.quantization_annotation.retain(|a| needed.contains(&a.tensor_name));
    Ok(())
}

/// The names of a graph's values, each with the last number that was tried behind it: a name is wanted thousands of times.
pub(crate) struct Names(HashMap<String, u64>);

impl Names {
    /// Those of `graph`.
    pub(crate) fn of(graph: &GraphProto) -> Self {
        let mut names = Self(HashMap::new());
        graph
            .node
            .iter()
            .flat_map(|n| n.output.iter().map(String::as_str).chain(n.reads()))
            .chain(graph.initializer.iter().map(|t| t.name.as_str()))
            .chain(graph.input.iter().map(|v| v.name.as_str()))
            .for_each(|name| names.take(name));
        names
    }

    /// Says that a value has this name.
    pub(crate) fn take(&mut self, name: &str) {
        self.0.entry(name.to_owned()).or_default();
    }

    /// A name that no value has yet, for a new one: `wanted`, or `wanted_1`, `wanted_2`, ….
    pub(crate) fn fresh(&mut self, wanted: &str) -> String {
        let Some(&last) = self.0.get(wanted) else {
            self.take(wanted);
            return wanted.to_owned();
        };
        let mut number = last + 1;
        while self.0.contains_key(&format!("{wanted}_{number}")) {
            number += 1;
        }
        self.0.insert(wanted.to_owned(), number);
        let name = format!("{wanted}_{number}");
        self.take(&name);
        name
    }
}

/// A name that no value of the graph has: `wanted`, or `wanted_1`, `wanted_2`, ….
pub(crate) fn free_name(graph: &GraphProto, wanted: &str) -> String {
    Names::of(graph).fresh(wanted)
}

/// Frees `name` for a new value; returns what the value that had it is called now.
pub(crate) fn clear_name(graph: &mut GraphProto, name: &str) -> String {
    let other = free_name(graph, name);
    if other != name {
        rename(graph, name, &other);
    }
    other
}

/// Gives a value another name wherever the graph and its subgraphs use it.
pub(crate) fn rename(graph: &mut GraphProto, from: &str, to: &str) {
    let swap = |name: &mut String| {
        if name == from {
            to.clone_into(name);
        }
    };
    graph
        .input
        .iter_mut()
        .chain(&mut graph.output)
        .chain(&mut graph.value_info)
        .for_each(|v| swap(&mut v.name));
    graph.initializer.iter_mut().for_each(|t| swap(&mut t.name));
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(swap);
        for attribute in &mut node.attribute {
            attribute
                .g
                .as_deref_mut()
                .into_iter()
                .chain(&mut attribute.graphs)
                .for_each(|g| rename(g, from, to));
        }
    }
}
