//! Dense tensors in row-major order, and the description of a model's inputs and outputs.

mod bytes;

use half::{bf16, f16};

use crate::{Error, ErrorKind, Result};

/// A value that a [`Tensor`] can hold.
pub trait Element: Clone + Default + Send + Sync + 'static {
    /// The dtype of tensors of this element.
    const DTYPE: DType;
    /// Wraps values as tensor data, without a copy.
    fn wrap(values: Vec<Self>) -> TensorData;
    /// The values, if `data` holds this element.
    fn slice(data: &TensorData) -> Option<&[Self]>;
    /// The values, if `data` holds this element.
    fn slice_mut(data: &mut TensorData) -> Option<&mut [Self]>;
}

macro_rules! dtypes {
    ($($variant:ident($element:ty) = $name:literal, $size:expr;)*) => {
        /// The type of a tensor's elements.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum DType { $(#[doc = concat!("`", $name, "`")] $variant,)* }

        /// A tensor's elements, in row-major order.
        #[derive(Debug, Clone, PartialEq)]
        pub enum TensorData { $(#[doc = concat!("`", $name, "`")] $variant(Vec<$element>),)* }

        impl DType {
            /// Every dtype.
            pub const ALL: &[DType] = &[$(DType::$variant),*];

            /// The name as in messages and TOML, e.g. `f32`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Bytes an element takes; `None` for `bytes`, whose elements differ.
            pub fn size(self) -> Option<usize> {
                match self { $(Self::$variant => $size,)* }
            }
        }

        impl TensorData {
            /// The dtype of the elements.
            pub fn dtype(&self) -> DType {
                match self { $(Self::$variant(_) => DType::$variant,)* }
            }

            /// How many elements there are.
            pub fn len(&self) -> usize {
                match self { $(Self::$variant(v) => v.len(),)* }
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// No elements of `dtype`, with room for `capacity`.
            fn with_capacity(dtype: DType, capacity: usize) -> Self {
                match dtype { $(DType::$variant => Self::$variant(Vec::with_capacity(capacity)),)* }
            }

            /// Appends `other[start..end]`; the dtypes must be equal.
            fn extend_from(&mut self, other: &Self, start: usize, end: usize) -> Result<()> {
                match (self, other) {
                    $((Self::$variant(a), Self::$variant(b)) => { a.extend_from_slice(&b[start..end]); Ok(()) })*
                    (a, b) => Err(Error::new(
                        ErrorKind::InvalidArgument,
                        format!("tensors of one batch must share a dtype: expected `{}`, found `{}`",
                            a.dtype().as_str(), b.dtype().as_str()),
                    )),
                }
            }
        }

        $(impl Element for $element {
            const DTYPE: DType = DType::$variant;
            fn wrap(values: Vec<Self>) -> TensorData { TensorData::$variant(values) }
            fn slice(data: &TensorData) -> Option<&[Self]> {
                match data { TensorData::$variant(v) => Some(v), _ => None }
            }
            fn slice_mut(data: &mut TensorData) -> Option<&mut [Self]> {
                match data { TensorData::$variant(v) => Some(v), _ => None }
            }
        })*
    };
}

dtypes! {
    F32(f32) = "f32", Some(4);
    F16(f16) = "f16", Some(2);
    BF16(bf16) = "bf16", Some(2);
    F64(f64) = "f64", Some(8);
    I8(i8) = "i8", Some(1);
    I16(i16) = "i16", Some(2);
    I32(i32) = "i32", Some(4);
    I64(i64) = "i64", Some(8);
    U8(u8) = "u8", Some(1);
    U16(u16) = "u16", Some(2);
    U32(u32) = "u32", Some(4);
    U64(u64) = "u64", Some(8);
    Bool(bool) = "bool", Some(1);
    Bytes(Vec<u8>) = "bytes", None;
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TensorData {
    /// The memory that the elements take, in bytes.
    pub fn memory(&self) -> usize {
        match self {
            Self::Bytes(strings) => strings.iter().map(|string| string.len() + size_of_val(string)).sum(),
            data => data.len() * data.dtype().size().unwrap_or(0),
        }
    }
}

/// A dense tensor: a shape and as many elements as its product, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

impl Tensor {
    /// A tensor of `shape` over `values`.
    ///
    /// # Errors
    /// `InvalidArgument` when the product of `shape` is not the number of values.
    pub fn new<T: Element>(shape: impl Into<Vec<usize>>, values: Vec<T>) -> Result<Self> {
        Self::from_data(shape, T::wrap(values))
    }

    /// A tensor of `shape` over `data`; see [`Tensor::new`].
    pub fn from_data(shape: impl Into<Vec<usize>>, data: TensorData) -> Result<Self> {
        let shape = shape.into();
        let count = shape.iter().try_fold(1usize, |a, &d| a.checked_mul(d));
        if count != Some(data.len()) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("shape {shape:?} does not describe {} elements", data.len()),
            ));
        }
        Ok(Self { shape, data })
    }

    /// The size of every axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// The elements.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The elements as `T`.
    ///
    /// # Errors
    /// `InvalidArgument` when the tensor holds another dtype.
    pub fn values<T: Element>(&self) -> Result<&[T]> {
        T::slice(&self.data).ok_or_else(|| wrong_dtype(T::DTYPE, self.dtype()))
    }

    /// The elements as `T`, to be changed in place; see [`Tensor::values`].
    pub fn values_mut<T: Element>(&mut self) -> Result<&mut [T]> {
        let found = self.dtype();
        T::slice_mut(&mut self.data).ok_or_else(|| wrong_dtype(T::DTYPE, found))
    }

    /// Shape and elements.
    pub fn into_parts(self) -> (Vec<usize>, TensorData) {
        (self.shape, self.data)
    }

    /// The same elements under another shape.
    pub fn reshaped(self, shape: impl Into<Vec<usize>>) -> Result<Self> {
        Self::from_data(shape, self.data)
    }

    /// Joins tensors along their first axis: `[n1, …], [n2, …] → [n1 + n2, …]`.
    ///
    /// # Errors
    /// `InvalidArgument` when there are none, or dtypes or other axes differ.
    pub fn concat(parts: &[&Tensor]) -> Result<Self> {
        let first = parts
            .first()
            .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "a batch needs at least one tensor"))?;
        let total = parts.iter().map(|t| t.data.len()).sum();
        let mut data = TensorData::with_capacity(first.dtype(), total);
        let mut rows = 0;
        for part in parts {
            if part.shape.is_empty() || part.shape[1..] != first.shape[1..] {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "tensors of one batch must agree in all axes but the first: {:?} and {:?}",
                        first.shape, part.shape
                    ),
                ));
            }
            rows += part.shape[0];
            data.extend_from(&part.data, 0, part.data.len())?;
        }
        let mut shape = first.shape.clone();
        shape[0] = rows;
        Self::from_data(shape, data)
    }

    /// Rows `start..start + count` of the first axis.
    ///
    /// # Errors
    /// `InvalidArgument` when the tensor has no such rows.
    pub fn rows(&self, start: usize, count: usize) -> Result<Self> {
        let available = self.shape.first().copied().unwrap_or(0);
        if start + count > available {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("expected rows {start}..{}, found {available}", start + count),
            ));
        }
        let row: usize = self.shape[1..].iter().product();
        let mut data = TensorData::with_capacity(self.dtype(), row * count);
        data.extend_from(&self.data, start * row, (start + count) * row)?;
        let mut shape = self.shape.clone();
        shape[0] = count;
        Self::from_data(shape, data)
    }
}

/// A tensor with the name that it goes by in a request or a response.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The name of the model's input or output.
    pub name: String,
    /// Its value.
    pub tensor: Tensor,
}

fn wrong_dtype(expected: DType, found: DType) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("expected a tensor of `{expected}`, found `{found}`"))
}

/// What a model says of one of its inputs or outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name in the graph.
    pub name: String,
    /// The type of the elements.
    pub dtype: DType,
    /// The size of every axis; `None` where it is dynamic.
    pub shape: Vec<Option<usize>>,
}

impl TensorSpec {
    /// Whether a tensor of `dtype` and `shape` fits.
    pub fn accepts(&self, dtype: DType, shape: &[usize]) -> bool {
        self.dtype == dtype
            && self.shape.len() == shape.len()
            && self.shape.iter().zip(shape).all(|(spec, &found)| spec.is_none_or(|s| s == found))
    }
}

impl std::fmt::Display for TensorSpec {
    /// `input: f32[?,3,224,224]`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}[", self.name, self.dtype)?;
        for (i, axis) in self.shape.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match axis {
                Some(n) => write!(f, "{comma}{n}")?,
                None => write!(f, "{comma}?")?,
            }
        }
        f.write_str("]")
    }
}
