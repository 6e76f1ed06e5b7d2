//! Element types under Triton's names.

use super::proto::DataType;
use crate::DType;

impl DType {
    /// The name in KServe v2, e.g. `FP32`; `BYTES` for strings.
    pub fn kserve(self) -> &'static str {
        match self {
            Self::F32 => "FP32",
            Self::F16 => "FP16",
            Self::BF16 => "BF16",
            Self::F64 => "FP64",
            Self::I8 => "INT8",
            Self::I16 => "INT16",
            Self::I32 => "INT32",
            Self::I64 => "INT64",
            Self::U8 => "UINT8",
            Self::U16 => "UINT16",
            Self::U32 => "UINT32",
            Self::U64 => "UINT64",
            Self::Bool => "BOOL",
            Self::Bytes => "BYTES",
        }
    }

    /// The dtype of a KServe v2 name.
    pub fn from_kserve(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|dtype| dtype.kserve() == name)
    }
}

impl DataType {
    /// The dtype of tensors of this type; `None` for `TYPE_INVALID`.
    pub fn dtype(self) -> Option<DType> {
        DType::ALL.iter().copied().find(|&dtype| Self::from(dtype) == self)
    }
}

impl From<DType> for DataType {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::F32 => Self::TypeFp32,
            DType::F16 => Self::TypeFp16,
            DType::BF16 => Self::TypeBf16,
            DType::F64 => Self::TypeFp64,
            DType::I8 => Self::TypeInt8,
            DType::I16 => Self::TypeInt16,
            DType::I32 => Self::TypeInt32,
            DType::I64 => Self::TypeInt64,
            DType::U8 => Self::TypeUint8,
            DType::U16 => Self::TypeUint16,
            DType::U32 => Self::TypeUint32,
            DType::U64 => Self::TypeUint64,
            DType::Bool => Self::TypeBool,
            DType::Bytes => Self::TypeString,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_configurations_without_the_prefix() {
        for &dtype in DType::ALL {
            let name = DataType::from(dtype).as_str_name().trim_start_matches("TYPE_");
            let expected = if dtype == DType::Bytes { "STRING" } else { dtype.kserve() };
            assert_eq!(name, expected);
            assert_eq!(DataType::from(dtype).dtype(), Some(dtype));
            assert_eq!(DType::from_kserve(dtype.kserve()), Some(dtype));
        }
        assert_eq!(DataType::TypeInvalid.dtype(), None);
        assert_eq!(DType::from_kserve("f32"), None);
    }
}
