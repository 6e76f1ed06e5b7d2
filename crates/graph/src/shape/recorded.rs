//! The shapes that a file itself says its values have. Exporters record them with the batch axis by its name.

use std::collections::HashMap;

use crate::proto::{DimensionValue, GraphProto, TypeProtoValue, ValueInfoProto};

/// What a graph records.
pub(super) struct Recorded<'a> {
    values: HashMap<&'a str, &'a ValueInfoProto>,
    /// The name of the first axis of the inputs.
    batch_name: Option<&'a str>,
    batch: usize,
}

impl<'a> Recorded<'a> {
    pub(super) fn new(graph: &'a GraphProto, batch: usize) -> Self {
        let batch_name = graph.input.iter().find_map(|input| match dimensions(input)?.first()? {
            Some(DimensionValue::Name(name)) => Some(name.as_str()),
            _ => None,
        });
        Self { values: graph.value_info.iter().map(|v| (v.name.as_str(), v)).collect(), batch_name, batch }
    }

    /// The shape of a value; `None` unless all of its axes are recorded as numbers or as the batch.
    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        // With a fixed batch there is no telling which axes grow with it.
        let batch_name = self.batch_name?;
        let size = |axis: &Option<&DimensionValue>| match axis {
            Some(DimensionValue::Size(size)) => usize::try_from(*size).ok(),
            Some(DimensionValue::Name(name)) if name == batch_name => Some(self.batch),
            _ => None,
        };
        dimensions(self.values.get(name)?)?.iter().map(size).collect()
    }
}

fn dimensions(value: &ValueInfoProto) -> Option<Vec<Option<&DimensionValue>>> {
    match value.r#type.as_ref()?.value.as_ref()? {
        TypeProtoValue::Tensor(tensor) => {
            Some(tensor.shape.as_ref()?.dim.iter().map(|d| d.value.as_ref()).collect())
        }
        _ => None,
    }
}
