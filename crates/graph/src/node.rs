//! Nodes and their attributes, typed.

use tintype_core::{Error, ErrorKind};

use crate::proto::{AttributeProto, AttributeType, NodeProto};

impl NodeProto {
    /// A node of the default domain, named after its first output.
    pub fn new(op_type: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        Self {
            op_type: op_type.to_owned(),
            name: format!("{op_type}:{}", outputs.first().copied().unwrap_or_default()),
            input: inputs.iter().map(|&s| s.to_owned()).collect(),
            output: outputs.iter().map(|&s| s.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// The node in another domain than ONNX's own.
    #[must_use]
    pub fn of_domain(mut self, domain: &str) -> Self {
        domain.clone_into(&mut self.domain);
        self
    }

    /// The node with another attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Attribute>) -> Self {
        let mut attribute = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
        match value.into() {
            Attribute::Int(v) => {
                attribute.r#type = AttributeType::Int as i32;
                attribute.i = Some(v);
            }
            Attribute::Float(v) => {
                attribute.r#type = AttributeType::Float as i32;
                attribute.f = Some(v);
            }
            Attribute::Ints(v) => {
                attribute.r#type = AttributeType::Ints as i32;
                attribute.ints = v;
            }
            Attribute::String(v) => {
                attribute.r#type = AttributeType::String as i32;
                attribute.s = Some(v.into_bytes());
            }
        }
        self.attribute.push(attribute);
        self
    }

    /// An integer attribute.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.i
    }

    /// A float attribute.
    pub fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name)?.f
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    /// A string attribute; `None` also where it is not UTF-8.
    pub fn string(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.attribute(name)?.s.as_deref()?).ok()
    }

    /// The attribute called `name`.
    pub fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|a| a.name == name)
    }

    /// The name of input `index`; `None` where it is left out.
    pub fn input_name(&self, index: usize) -> Option<&str> {
        self.input.get(index).map(String::as_str).filter(|s| !s.is_empty())
    }

    /// The name of output `index`; `None` where it is left out.
    pub fn output_name(&self, index: usize) -> Option<&str> {
        self.output.get(index).map(String::as_str).filter(|s| !s.is_empty())
    }

    /// The operator, `None` where it is not one of ONNX's own.
    pub fn standard_op(&self) -> Option<&str> {
        matches!(self.domain.as_str(), "" | "ai.onnx").then_some(self.op_type.as_str())
    }

    /// An error that begins with the node: ``node `/layer/Foo_3` (`Foo`) …``.
    pub(crate) fn error(&self, kind: ErrorKind, what: impl std::fmt::Display) -> Error {
        let name = if self.name.is_empty() { self.output.first().unwrap_or(&self.name) } else { &self.name };
        Error::new(kind, format!("node `{name}` (`{}`) {what}", self.op_type))
    }

    /// Every value the node reads: its inputs, and what its subgraphs take from outside.
    pub(crate) fn reads(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.input.iter().map(String::as_str).filter(|s| !s.is_empty()).collect();
        for graph in self.attribute.iter().flat_map(|a| a.g.as_deref().into_iter().chain(&a.graphs)) {
            // A name that the subgraph makes itself may be listed too: it keeps an outer value alive at worst.
            names.extend(graph.node.iter().flat_map(NodeProto::reads));
            names.extend(graph.output.iter().map(|v| v.name.as_str()));
        }
        names
    }
}

/// The value of an attribute that tintype writes.
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A string.
    String(String),
}

impl From<i64> for Attribute {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f32> for Attribute {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<Vec<i64>> for Attribute {
    fn from(value: Vec<i64>) -> Self {
        Self::Ints(value)
    }
}

impl From<&str> for Attribute {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}
