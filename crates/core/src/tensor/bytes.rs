//! Numbers as bytes: little-endian, row-major, without padding; a `bool` takes a byte.
//!
//! Strings are elsewhere: every wire says in its own words what is wrong with one.

use std::borrow::Cow;

use half::{bf16, f16};

use super::{DType, Element, TensorData};

impl TensorData {
    /// The numbers of `dtype` that are `bytes`, copied once; any byte but 0 is `true`.
    ///
    /// `None` for `bytes` that are not a whole number of them, and for strings.
    pub fn from_le_bytes(dtype: DType, bytes: &[u8]) -> Option<Self> {
        macro_rules! numbers {
            ($number:ty) => {{
                let (chunks, []) = bytes.as_chunks() else { return None };
                let values = chunks.iter().map(|chunk| <$number>::from_le_bytes(*chunk));
                <$number as Element>::wrap(values.collect())
            }};
        }
        Some(match dtype {
            DType::F32 => numbers!(f32),
            DType::F16 => numbers!(f16),
            DType::BF16 => numbers!(bf16),
            DType::F64 => numbers!(f64),
            DType::I8 => numbers!(i8),
            DType::I16 => numbers!(i16),
            DType::I32 => numbers!(i32),
            DType::I64 => numbers!(i64),
            DType::U8 => Self::U8(bytes.to_vec()),
            DType::U16 => numbers!(u16),
            DType::U32 => numbers!(u32),
            DType::U64 => numbers!(u64),
            DType::Bool => Self::Bool(bytes.iter().map(|&byte| byte != 0).collect()),
            DType::Bytes => return None,
        })
    }

    /// The numbers as bytes, borrowed where the machine keeps them so; `None` for strings.
    pub fn to_le_bytes(&self) -> Option<Cow<'_, [u8]>> {
        macro_rules! numbers {
            ($values:expr) => {
                if cfg!(target_endian = "little") {
                    Cow::Borrowed(bytemuck::cast_slice($values))
                } else {
                    Cow::Owned($values.iter().flat_map(|value| value.to_le_bytes()).collect())
                }
            };
        }
        Some(match self {
            Self::F32(values) => numbers!(values),
            Self::F16(values) => numbers!(values),
            Self::BF16(values) => numbers!(values),
            Self::F64(values) => numbers!(values),
            Self::I8(values) => numbers!(values),
            Self::I16(values) => numbers!(values),
            Self::I32(values) => numbers!(values),
            Self::I64(values) => numbers!(values),
            Self::U8(values) => Cow::Borrowed(values),
            Self::U16(values) => numbers!(values),
            Self::U32(values) => numbers!(values),
            Self::U64(values) => numbers!(values),
            Self::Bool(values) => Cow::Borrowed(bytemuck::cast_slice(values)),
            Self::Bytes(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_little_endian_there_and_back() {
        let data = TensorData::I16(vec![1, -2]);
        assert_eq!(data.to_le_bytes().unwrap()[..], [1, 0, 0xfe, 0xff]);
        for dtype in DType::ALL {
            let bytes = [0, 1, 0, 1, 1, 0, 1, 0];
            let data = TensorData::from_le_bytes(*dtype, &bytes);
            match dtype.size() {
                Some(size) => {
                    let data = data.unwrap();
                    assert_eq!((data.dtype(), data.len()), (*dtype, bytes.len() / size));
                    assert_eq!(data.to_le_bytes().unwrap()[..], bytes, "{dtype}");
                    let odd = TensorData::from_le_bytes(*dtype, &bytes[..7]);
                    assert_eq!(odd.is_some(), size == 1, "{dtype}");
                }
                None => assert_eq!(data, None),
            }
        }
        assert_eq!(TensorData::from_le_bytes(DType::Bool, &[7]), Some(TensorData::Bool(vec![true])));
        assert_eq!(TensorData::Bytes(vec![]).to_le_bytes(), None);
    }
}
