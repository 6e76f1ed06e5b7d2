//! What every session does with inputs before running: checking them, and making zeros to warm up with.

use half::{bf16, f16};
use tintype_core::{DType, Error, ErrorKind, Result, Tensor, TensorData, TensorSpec};

/// Checks number, dtypes and shapes of `inputs`.
///
/// A spec without axes accepts any shape: ONNX Runtime reports a scalar and an unknown rank alike.
///
/// # Errors
/// `InvalidArgument`, naming the input, what was expected and what was found.
pub(crate) fn check(specs: &[TensorSpec], inputs: &[&Tensor]) -> Result<()> {
    if specs.len() != inputs.len() {
        let names: Vec<_> = specs.iter().map(|spec| format!("`{}`", spec.name)).collect();
        let (expected, found) = (specs.len(), inputs.len());
        let message = format!("expected {expected} inputs ({}), found {found}", names.join(", "));
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    for (spec, tensor) in specs.iter().zip(inputs) {
        let fits = if spec.shape.is_empty() {
            spec.dtype == tensor.dtype()
        } else {
            spec.accepts(tensor.dtype(), tensor.shape())
        };
        if !fits {
            let shape = tensor.shape().iter().map(|&axis| Some(axis)).collect();
            let found = TensorSpec { name: spec.name.clone(), dtype: tensor.dtype(), shape };
            let message = format!("expected input `{spec}`, found `{found}`");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
    }
    Ok(())
}

/// Zeros that fit `specs`, with `batch` rows where the first axis is dynamic.
///
/// # Errors
/// `Unsupported` when an axis other than the first is dynamic: no size would be the right one.
pub(crate) fn zeros(specs: &[TensorSpec], batch: usize) -> Result<Vec<Tensor>> {
    specs.iter().map(|spec| zero(spec, batch)).collect()
}

fn zero(spec: &TensorSpec, batch: usize) -> Result<Tensor> {
    let mut shape = Vec::with_capacity(spec.shape.len());
    for (index, axis) in spec.shape.iter().enumerate() {
        shape.push(match axis {
            Some(size) => *size,
            None if index == 0 => batch,
            None => {
                let message = format!("cannot warm up: axis {index} of input `{spec}` is dynamic");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        });
    }
    let count = shape.iter().product();
    let data = match spec.dtype {
        DType::F32 => TensorData::F32(vec![0.0; count]),
        DType::F16 => TensorData::F16(vec![f16::ZERO; count]),
        DType::BF16 => TensorData::BF16(vec![bf16::ZERO; count]),
        DType::F64 => TensorData::F64(vec![0.0; count]),
        DType::I8 => TensorData::I8(vec![0; count]),
        DType::I16 => TensorData::I16(vec![0; count]),
        DType::I32 => TensorData::I32(vec![0; count]),
        DType::I64 => TensorData::I64(vec![0; count]),
        DType::U8 => TensorData::U8(vec![0; count]),
        DType::U16 => TensorData::U16(vec![0; count]),
        DType::U32 => TensorData::U32(vec![0; count]),
        DType::U64 => TensorData::U64(vec![0; count]),
        DType::Bool => TensorData::Bool(vec![false; count]),
        DType::Bytes => TensorData::Bytes(vec![Vec::new(); count]),
    };
    Tensor::from_data(shape, data)
}
