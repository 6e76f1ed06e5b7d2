//! The protocol's names of dtypes.

use tintype_core::DType;

/// The name of `dtype` on the wire, e.g. `FP32`.
pub fn datatype(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "FP32",
        DType::F16 => "FP16",
        DType::BF16 => "BF16",
        DType::F64 => "FP64",
        DType::I8 => "INT8",
        DType::I16 => "INT16",
        DType::I32 => "INT32",
        DType::I64 => "INT64",
        DType::U8 => "UINT8",
        DType::U16 => "UINT16",
        DType::U32 => "UINT32",
        DType::U64 => "UINT64",
        DType::Bool => "BOOL",
        DType::Bytes => "BYTES",
    }
}

/// The dtype whose name is `name`; `None` where there is no such.
pub fn parse_datatype(name: &str) -> Option<DType> {
    DType::ALL.iter().copied().find(|&dtype| datatype(dtype) == name)
}
