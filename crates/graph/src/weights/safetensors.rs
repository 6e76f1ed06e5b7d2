//! safetensors files: a length, a JSON header, the elements.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use tintype_core::{DType, Error, ErrorKind, Result};

use super::Stored;

/// Bytes of the header, as the format's own library has it.
const MAX_HEADER: u64 = 100_000_000;

/// The tensors of the file.
///
/// # Errors
/// `InvalidModel` for a damaged file; `Unsupported` for elements of fewer than 8 bits; `PayloadTooLarge`.
pub(super) fn tensors(file: &mut File) -> Result<BTreeMap<String, Stored>> {
    let damaged =
        |what: String| Error::new(ErrorKind::InvalidModel, format!("is no whole safetensors file: {what}"));
    let length = file.seek(SeekFrom::End(0)).map_err(|e| damaged(e.to_string()))?;
    file.seek(SeekFrom::Start(0)).map_err(|e| damaged(e.to_string()))?;
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|e| damaged(e.to_string()))?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER.min(length) {
        return Err(damaged(format!("its header is said to have {size} bytes, it has {length} in all")));
    }
    let mut header = Vec::new();
    file.take(size).read_to_end(&mut header).map_err(|e| damaged(e.to_string()))?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| damaged(e.to_string()))?;
    let expected = (8 + size).checked_add(metadata.data_len() as u64);
    if expected != Some(length) {
        return Err(damaged("it has another length than its header says".to_owned()));
    }
    let mut tensors = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        let dtype = dtype(info.dtype).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, format!("tensor `{name}` has elements of {:?}", info.dtype))
        })?;
        let (begin, end) = info.data_offsets;
        let elements = end.saturating_sub(begin) / dtype.size().unwrap_or(1);
        let mut strides = vec![1; info.shape.len()];
        for axis in (1..strides.len()).rev() {
            strides[axis - 1] = info.shape[axis].saturating_mul(strides[axis]);
        }
        let start = 8 + size + begin as u64;
        let stored = Stored { dtype, shape: info.shape.clone(), strides, start, available: elements };
        tensors.insert(name, stored);
    }
    Ok(tensors)
}

fn dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::BOOL => DType::Bool,
        Dtype::U8 => DType::U8,
        Dtype::I8 => DType::I8,
        Dtype::I16 => DType::I16,
        Dtype::U16 => DType::U16,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I32 => DType::I32,
        Dtype::U32 => DType::U32,
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        Dtype::I64 => DType::I64,
        Dtype::U64 => DType::U64,
        _ => return None,
    })
}
