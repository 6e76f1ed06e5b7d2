//! Tensors stored in a model: typed values in, typed values out.
//!
//! ONNX keeps a tensor's elements as `raw_data` (little endian) or in a typed field, and may keep them in another
//! file; [`crate::Model::read`] brings the latter in, so everything here finds the elements in the message.

use half::{bf16, f16};
use tintype_core::{DType, Error, ErrorKind, Result};

use crate::proto::{DataLocation, DataType, TensorProto};

impl TensorProto {
    /// A tensor of `f32` called `name`; `values` in row-major order.
    pub fn from_f32(name: &str, shape: &[usize], values: &[f32]) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        let bytes = if cfg!(target_endian = "little") {
            // Byte by byte, the weights of a large model take seconds.
            bytemuck::cast_slice(values).to_vec()
        } else {
            values.iter().flat_map(|v| v.to_le_bytes()).collect()
        };
        Self::raw(name, DataType::Float, shape, bytes)
    }

    /// A tensor of `i64` called `name`; `values` in row-major order.
    pub fn from_i64(name: &str, shape: &[usize], values: &[i64]) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Self::raw(name, DataType::Int64, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A tensor of `i8` called `name`; `values` in row-major order.
    pub fn from_i8(name: &str, shape: &[usize], values: &[i8]) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Self::raw(name, DataType::Int8, shape, values.iter().map(|v| v.cast_unsigned()).collect())
    }

    /// A tensor of `u8` called `name`; `values` in row-major order.
    pub fn from_u8(name: &str, shape: &[usize], values: &[u8]) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Self::raw(name, DataType::Uint8, shape, values.to_vec())
    }

    /// A tensor of `i32` called `name`; `values` in row-major order.
    pub fn from_i32(name: &str, shape: &[usize], values: &[i32]) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Self::raw(name, DataType::Int32, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn raw(name: &str, dtype: DataType, shape: &[usize], bytes: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            data_type: dtype as i32,
            dims: shape.iter().map(|&d| d as i64).collect(),
            raw_data: Some(bytes),
            ..Self::default()
        }
    }

    /// The size of every axis.
    ///
    /// # Errors
    /// `InvalidModel` when one is negative or their product overflows.
    pub fn shape(&self) -> Result<Vec<usize>> {
        let shape: Option<Vec<usize>> = self.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        shape
            .filter(|s| s.iter().try_fold(1usize, |a, &d| a.checked_mul(d)).is_some())
            .ok_or_else(|| self.invalid(format!("has the impossible shape {:?}", self.dims)))
    }

    /// The type of the elements.
    ///
    /// # Errors
    /// `Unsupported` when tintype has no such dtype.
    pub fn dtype(&self) -> Result<DType> {
        dtype_of(self.data_type).map_err(|e| e.context(format!("tensor `{}`", self.name)))
    }

    /// The elements as `f32`, from `f32`, `f16`, `bf16` or `f64`.
    ///
    /// # Errors
    /// `InvalidModel` when the tensor holds another type or not as many elements as its shape says.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        let values = match DataType::try_from(self.data_type) {
            Ok(DataType::Float) => self.elements(&self.float_data, f32::from_le_bytes)?,
            Ok(DataType::Float16) => self
                .elements(&self.bits16(), u16::from_le_bytes)?
                .into_iter()
                .map(|b| f16::from_bits(b).to_f32())
                .collect(),
            Ok(DataType::Bfloat16) => self
                .elements(&self.bits16(), u16::from_le_bytes)?
                .into_iter()
                .map(|b| bf16::from_bits(b).to_f32())
                .collect(),
            Ok(DataType::Double) => {
                self.elements(&self.double_data, f64::from_le_bytes)?.into_iter().map(|v| v as f32).collect()
            }
            _ => return Err(self.invalid(format!("holds {}, expected floats", self.type_name()))),
        };
        Ok(values)
    }

    /// The elements as `i64`, from `i64` or `i32`.
    ///
    /// # Errors
    /// `InvalidModel` when the tensor holds another type or not as many elements as its shape says.
    pub fn to_i64(&self) -> Result<Vec<i64>> {
        match DataType::try_from(self.data_type) {
            Ok(DataType::Int64) => self.elements(&self.int64_data, i64::from_le_bytes),
            Ok(DataType::Int32) => {
                Ok(self.elements(&self.int32_data, i32::from_le_bytes)?.into_iter().map(i64::from).collect())
            }
            _ => Err(self.invalid(format!("holds {}, expected integers", self.type_name()))),
        }
    }

    /// 16-bit floats in the typed field: each in the low half of an `i32`.
    fn bits16(&self) -> Vec<u16> {
        self.int32_data.iter().map(|&v| v as u16).collect()
    }

    /// The elements out of `raw_data`, or else out of the typed field.
    fn elements<T: Copy, const N: usize>(&self, typed: &[T], read: fn([u8; N]) -> T) -> Result<Vec<T>> {
        if self.data_location == DataLocation::External as i32 {
            return Err(self
                .invalid("keeps its elements in another file".to_owned())
                .with_hint("read the model by its path, so that the file beside it is found"));
        }
        let values = match &self.raw_data {
            Some(bytes) if bytes.len() % N == 0 => {
                bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
            }
            Some(bytes) => {
                return Err(self.invalid(format!("has {} bytes of elements of {N} bytes", bytes.len())));
            }
            None => typed.to_vec(),
        };
        let expected = self.shape()?.iter().product::<usize>();
        if values.len() != expected {
            return Err(self.invalid(format!(
                "has {} elements, expected {expected} for the shape {:?}",
                values.len(),
                self.dims
            )));
        }
        Ok(values)
    }

    fn type_name(&self) -> String {
        DataType::try_from(self.data_type).map_or_else(
            |_| format!("the unknown type {}", self.data_type),
            |t| format!("`{t:?}`").to_lowercase(),
        )
    }

    fn invalid(&self, what: String) -> Error {
        Error::new(ErrorKind::InvalidModel, format!("tensor `{}` {what}", self.name))
    }
}

/// tintype's dtype of ONNX's element type.
///
/// # Errors
/// `Unsupported` when there is none.
pub(crate) fn dtype_of(data_type: i32) -> Result<DType> {
    Ok(match DataType::try_from(data_type) {
        Ok(DataType::Float) => DType::F32,
        Ok(DataType::Float16) => DType::F16,
        Ok(DataType::Bfloat16) => DType::BF16,
        Ok(DataType::Double) => DType::F64,
        Ok(DataType::Int8) => DType::I8,
        Ok(DataType::Int16) => DType::I16,
        Ok(DataType::Int32) => DType::I32,
        Ok(DataType::Int64) => DType::I64,
        Ok(DataType::Uint8) => DType::U8,
        Ok(DataType::Uint16) => DType::U16,
        Ok(DataType::Uint32) => DType::U32,
        Ok(DataType::Uint64) => DType::U64,
        Ok(DataType::Bool) => DType::Bool,
        Ok(DataType::String) => DType::Bytes,
        _ => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the element type {data_type} of onnx is not supported"),
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_from_every_place_and_width() {
        let f = [1.5f32, -2.0];
        let mut typed = TensorProto::from_f32("t", &[2], &f);
        typed.raw_data = None;
        typed.float_data = f.to_vec();
        let halves = TensorProto {
            dims: vec![2],
            data_type: DataType::Float16 as i32,
            int32_data: f.iter().map(|&v| i32::from(f16::from_f32(v).to_bits())).collect(),
            ..TensorProto::default()
        };
        let brain = TensorProto {
            dims: vec![2],
            data_type: DataType::Bfloat16 as i32,
            raw_data: Some(f.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect()),
            ..TensorProto::default()
        };
        for (place, tensor) in [
            ("raw", TensorProto::from_f32("t", &[2], &f)),
            ("typed", typed),
            ("f16 in int32_data", halves),
            ("bf16 raw", brain),
        ] {
            assert_eq!(tensor.to_f32().unwrap(), f, "{place}");
        }
    }

    #[test]
    fn too_few_elements_are_an_error() {
        let mut tensor = TensorProto::from_i64("axes", &[2], &[1, 2]);
        tensor.dims = vec![3];
        let error = tensor.to_i64().unwrap_err();
        assert_eq!(error.message(), "tensor `axes` has 2 elements, expected 3 for the shape [3]");
        tensor.dims = vec![i64::MAX, i64::MAX];
        assert_eq!(tensor.to_i64().unwrap_err().kind(), ErrorKind::InvalidModel);
    }

    #[test]
    fn elements_elsewhere_are_an_error() {
        let mut tensor = TensorProto::from_f32("w", &[1], &[0.0]);
        tensor.data_location = DataLocation::External as i32;
        assert_eq!(tensor.to_f32().unwrap_err().kind(), ErrorKind::InvalidModel);
    }
}
