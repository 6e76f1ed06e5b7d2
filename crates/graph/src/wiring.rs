//! Who makes each value of a graph.

use std::collections::{HashMap, HashSet};

use tintype_core::{Error, ErrorKind, Result};

use crate::proto::{GraphProto, NodeProto, TensorProto};

/// The edges of a graph, by the names of its values.
pub(crate) struct Wiring<'a> {
    graph: &'a GraphProto,
    makers: HashMap<&'a str, usize>,
    initializers: HashMap<&'a str, &'a TensorProto>,
}

impl<'a> Wiring<'a> {
    /// The edges of `graph`.
    ///
    /// # Errors
    /// `InvalidModel` when a node reads a value that nothing before it makes: also what a cycle looks like.
    pub(crate) fn new(graph: &'a GraphProto) -> Result<Self> {
        let mut makers = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            makers.extend(node.output.iter().map(|name| (name.as_str(), index)));
        }
        let initializers = graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
        let wiring = Self { graph, makers, initializers };
        wiring.check_order()?;
        Ok(wiring)
    }

    fn check_order(&self) -> Result<()> {
        let sparse =
            self.graph.sparse_initializer.iter().filter_map(|s| Some(s.values.as_ref()?.name.as_str()));
        let mut known: HashSet<&str> = self.initializers.keys().copied().chain(sparse).collect();
        known.extend(self.graph.input.iter().map(|v| v.name.as_str()));
        for node in &self.graph.node {
            if let Some(missing) = node.input.iter().find(|s| !s.is_empty() && !known.contains(s.as_str())) {
                return Err(node.error(
                    ErrorKind::InvalidModel,
                    format!("reads `{missing}`, which nothing before it makes"),
                ));
            }
            known.extend(node.output.iter().map(String::as_str));
        }
        match self.graph.output.iter().find(|v| !known.contains(v.name.as_str())) {
            Some(v) => {
                Err(Error::new(ErrorKind::InvalidModel, format!("nothing makes the output `{}`", v.name)))
            }
            None => Ok(()),
        }
    }

    /// The node that makes a value; `None` for inputs and initializers.
    pub(crate) fn maker(&self, name: &str) -> Option<&'a NodeProto> {
        self.makers.get(name).map(|&i| &self.graph.node[i])
    }

    /// The tensor that a value always is, where it is stored in the model: an initializer, a `Constant` node, or
    /// either behind `Identity`.
    pub(crate) fn constant(&self, name: &str) -> Option<&'a TensorProto> {
        let mut name = name;
        loop {
            if let Some(tensor) = self.initializers.get(name) {
                return Some(tensor);
            }
            let maker = self.maker(name)?;
            match maker.standard_op()? {
                "Constant" => return maker.attribute("value")?.t.as_ref(),
                "Identity" => name = maker.input_name(0)?,
                _ => return None,
            }
        }
    }

    /// The values that depend on an input of the graph.
    pub(crate) fn dependent(&self) -> HashSet<&'a str> {
        let inputs = self.graph.input.iter().map(|v| v.name.as_str());
        let mut dependent: HashSet<&str> =
            inputs.filter(|name| !self.initializers.contains_key(name)).collect();
        for node in &self.graph.node {
            if node.reads().iter().any(|name| dependent.contains(name)) {
                dependent.extend(node.output.iter().map(String::as_str).filter(|s| !s.is_empty()));
            }
        }
        dependent
    }
}
