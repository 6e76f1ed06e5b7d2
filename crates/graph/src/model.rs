//! A model as a value: read, asked about its interface, written.
//!
//! Shapes and dtypes of inputs and outputs are what the file declares; nothing is inferred here (that is
//! [`crate::shape`]). Elements that a file keeps beside itself are brought in while reading ([`external`]), so a
//! [`Model`] is always whole.

mod external;

use std::path::Path;

use prost::Message;
use tintype_core::{Error, ErrorKind, Result, TensorSpec};

use crate::proto::{
    DataType, Dimension, DimensionValue, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, TypeProtoValue, TypeTensor, ValueInfoProto,
};
use crate::tensor::dtype_of;

/// IR version 4 is the first whose initializers need not be inputs.
const FREE_INITIALIZERS: i64 = 4;

/// An ONNX model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Invariant: `graph` is present.
    proto: ModelProto,
}

impl Model {
    /// A model of a graph, of the default operator set in version `opset`.
    pub fn new(graph: GraphProto, opset: i64) -> Self {
        Self {
            proto: ModelProto {
                ir_version: 8,
                producer_name: "tintype".to_owned(),
                producer_version: env!("CARGO_PKG_VERSION").to_owned(),
                opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
                graph: Some(graph),
                ..ModelProto::default()
            },
        }
    }

    /// A model out of the bytes of an `.onnx` file.
    ///
    /// # Errors
    /// `InvalidModel` when they are not one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let proto = ModelProto::decode(bytes)
            .map_err(|e| Error::new(ErrorKind::InvalidModel, "not an onnx model").with_source(e))?;
        if proto.graph.is_none() {
            return Err(Error::new(ErrorKind::InvalidModel, "not an onnx model: it has no graph"));
        }
        Ok(Self { proto })
    }

    /// The bytes of an `.onnx` file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// Reads a file, and the files beside it that hold elements of its tensors.
    ///
    /// # Errors
    /// `NotFound` or `Io` when a file cannot be read, `InvalidModel` when it is not a model or names a file outside
    /// its own directory.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let mut model = Self::from_bytes(&bytes).map_err(|e| e.context(format!("`{}`", path.display())))?;
        external::bring_in(model.graph_mut(), path.parent().unwrap_or(Path::new("")))?;
        Ok(model)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// `Io`, and `Unsupported` when the model is larger than the 2 GiB that one protobuf message may have.
    pub fn write(&self, path: &Path) -> Result<()> {
        let bytes = self.to_bytes();
        if i32::try_from(bytes.len()).is_err() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("a model of {} bytes does not fit one file, at most 2 GiB do", bytes.len()),
            ));
        }
        std::fs::write(path, bytes).map_err(|e| Error::io(path, e))
    }

    /// The message.
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The graph.
    pub fn graph(&self) -> &GraphProto {
        self.proto.graph.as_ref().expect("a model is made with a graph")
    }

    /// The graph, to be changed.
    pub fn graph_mut(&mut self) -> &mut GraphProto {
        self.proto.graph.get_or_insert_default()
    }

    /// The version of the default operator set; 1 where the file names none.
    pub fn opset(&self) -> i64 {
        let default = |o: &&OperatorSetIdProto| matches!(o.domain.as_str(), "" | "ai.onnx");
        self.proto.opset_import.iter().find(default).map_or(1, |o| o.version)
    }

    /// Says of which version of the default operator set the nodes are.
    pub(crate) fn set_opset(&mut self, version: i64) {
        self.proto.opset_import.retain(|o| !matches!(o.domain.as_str(), "" | "ai.onnx"));
        self.import_opset("", version);
        // The first that goes with operator set 17.
        self.proto.ir_version = self.proto.ir_version.max(8);
    }

    /// Says that nodes of `domain` in `version` may occur; a version that is there already stays.
    pub fn import_opset(&mut self, domain: &str, version: i64) {
        if !self.proto.opset_import.iter().any(|o| o.domain == domain) {
            self.proto.opset_import.push(OperatorSetIdProto { domain: domain.to_owned(), version });
        }
    }

    /// The inputs a caller must feed: what older files list as input though it is an initializer is not one.
    ///
    /// # Errors
    /// `Unsupported` for an input that is not a tensor of known rank and dtype.
    pub fn inputs(&self) -> Result<Vec<TensorSpec>> {
        let graph = self.graph();
        graph.input.iter().filter(|v| self.initializer(&v.name).is_none()).map(spec).collect()
    }

    /// The outputs.
    ///
    /// # Errors
    /// `Unsupported` for an output that is not a tensor of declared rank and dtype.
    pub fn outputs(&self) -> Result<Vec<TensorSpec>> {
        self.graph().output.iter().map(spec).collect()
    }

    /// The initializer called `name`.
    pub fn initializer(&self, name: &str) -> Option<&TensorProto> {
        self.graph().initializer.iter().find(|t| t.name == name)
    }

    /// The elements of an initializer as `f32`; see [`TensorProto::to_f32`].
    ///
    /// # Errors
    /// `NotFound` when there is no such initializer.
    pub fn f32s(&self, name: &str) -> Result<Vec<f32>> {
        self.expect_initializer(name)?.to_f32()
    }

    /// The elements of an initializer as `i64`; see [`TensorProto::to_i64`].
    ///
    /// # Errors
    /// `NotFound` when there is no such initializer.
    pub fn i64s(&self, name: &str) -> Result<Vec<i64>> {
        self.expect_initializer(name)?.to_i64()
    }

    fn expect_initializer(&self, name: &str) -> Result<&TensorProto> {
        self.initializer(name)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no initializer is called `{name}`")))
    }

    /// The model with other values for some initializers, which become `f32`; shapes stay.
    ///
    /// # Errors
    /// `NotFound` when there is no such initializer, `InvalidArgument` when the number of values does not fit it.
    pub fn with_parameters(&self, values: &[(&str, &[f32])]) -> Result<Model> {
        let mut model = self.clone();
        for (name, values) in values {
            let shape = self.expect_initializer(name)?.shape()?;
            let expected = shape.iter().product::<usize>();
            if expected != values.len() {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("initializer `{name}` has {expected} elements, found {}", values.len()),
                ));
            }
            let slot = model.graph_mut().initializer.iter_mut().find(|t| t.name == *name);
            if let Some(slot) = slot {
                *slot = TensorProto::from_f32(name, &shape, values);
            }
        }
        Ok(model)
    }

    /// The value of a metadata property.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.proto.metadata_props.iter().find(|p| p.key == key).map(|p| p.value.as_str())
    }

    /// Sets a metadata property.
    pub fn set_metadata(&mut self, key: &str, value: &str) {
        let props = &mut self.proto.metadata_props;
        match props.iter_mut().find(|p| p.key == key) {
            Some(prop) => prop.value = value.to_owned(),
            None => props.push(StringStringEntryProto { key: key.to_owned(), value: value.to_owned() }),
        }
    }

    /// Removes initializers from the inputs, which needs IR version 4.
    pub(crate) fn free_initializers(&mut self) {
        self.proto.ir_version = self.proto.ir_version.max(FREE_INITIALIZERS);
        let graph = self.graph_mut();
        let initializers = &graph.initializer;
        graph.input.retain(|v| !initializers.iter().any(|t| t.name == v.name));
    }
}

/// What a graph declares of one of its values.
pub(crate) fn spec(value: &ValueInfoProto) -> Result<TensorSpec> {
    let unsupported = |what: &str| {
        Error::new(ErrorKind::Unsupported, format!("`{}` is not a tensor of declared {what}", value.name))
    };
    let Some(TypeProtoValue::Tensor(tensor)) = value.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Err(unsupported("type"));
    };
    let shape = tensor.shape.as_ref().ok_or_else(|| unsupported("rank"))?;
    Ok(TensorSpec {
        name: value.name.clone(),
        dtype: dtype_of(tensor.elem_type).map_err(|e| e.context(format!("`{}`", value.name)))?,
        shape: shape
            .dim
            .iter()
            .map(|d| match d.value {
                Some(DimensionValue::Size(n)) => usize::try_from(n).ok(),
                _ => None,
            })
            .collect(),
    })
}

impl ValueInfoProto {
    /// The declaration of a tensor whose axes all have a known size.
    pub fn fixed(name: &str, dtype: DataType, shape: &[usize]) -> Self {
        Self::tensor(name, dtype, shape.iter().map(|&size| Dimension::of(size)).collect())
    }

    /// The declaration of a tensor.
    pub fn tensor(name: &str, dtype: DataType, axes: Vec<Dimension>) -> Self {
        let tensor = TypeTensor { elem_type: dtype as i32, shape: Some(TensorShapeProto { dim: axes }) };
        let kind = TypeProto { value: Some(TypeProtoValue::Tensor(tensor)), ..TypeProto::default() };
        Self { name: name.to_owned(), r#type: Some(Box::new(kind)), ..Self::default() }
    }
}

impl Dimension {
    /// An axis of a known size.
    pub fn of(size: usize) -> Self {
        Self { value: Some(DimensionValue::Size(size as i64)), ..Self::default() }
    }

    /// An axis of any size, by the name under which sizes must agree.
    pub fn named(name: &str) -> Self {
        Self { value: Some(DimensionValue::Name(name.to_owned())), ..Self::default() }
    }
}

/// The first axis of an input as declared; dynamic where it is not.
pub(crate) fn first_axis(graph: &GraphProto, input: &str) -> Dimension {
    let value = graph.input.iter().find(|v| v.name == input);
    let shape = value.and_then(|v| match v.r#type.as_ref()?.value.as_ref()? {
        TypeProtoValue::Tensor(tensor) => tensor.shape.as_ref(),
        _ => None,
    });
    shape.and_then(|s| s.dim.first()).cloned().unwrap_or_else(|| Dimension::named("N"))
}
