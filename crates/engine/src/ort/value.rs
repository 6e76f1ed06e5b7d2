//! Tensors as ONNX Runtime's values and back: inputs are lent, outputs are copied once.

use ort::AsPointer;
use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor as OrtTensor, TensorElementType, TensorRef, Utf8Data};
use tintype_core::{DType, Error, ErrorKind, Result, Tensor, TensorData};

use super::error;

/// The dtype of ONNX Runtime's element type, where there is one.
pub(super) fn dtype(element: TensorElementType) -> Option<DType> {
    Some(match element {
        TensorElementType::Float32 => DType::F32,
        TensorElementType::Float16 => DType::F16,
        TensorElementType::Bfloat16 => DType::BF16,
        TensorElementType::Float64 => DType::F64,
        TensorElementType::Int8 => DType::I8,
        TensorElementType::Int16 => DType::I16,
        TensorElementType::Int32 => DType::I32,
        TensorElementType::Int64 => DType::I64,
        TensorElementType::Uint8 => DType::U8,
        TensorElementType::Uint16 => DType::U16,
        TensorElementType::Uint32 => DType::U32,
        TensorElementType::Uint64 => DType::U64,
        TensorElementType::Bool => DType::Bool,
        TensorElementType::String => DType::Bytes,
        _ => return None,
    })
}

/// One arm for each dtype whose elements lie in memory as they are.
macro_rules! each_plain {
    ($data:expr, $values:ident => $body:expr, bytes $strings:ident => $text:expr) => {
        match $data {
            TensorData::F32($values) => $body,
            TensorData::F16($values) => $body,
            TensorData::BF16($values) => $body,
            TensorData::F64($values) => $body,
            TensorData::I8($values) => $body,
            TensorData::I16($values) => $body,
            TensorData::I32($values) => $body,
            TensorData::I64($values) => $body,
            TensorData::U8($values) => $body,
            TensorData::U16($values) => $body,
            TensorData::U32($values) => $body,
            TensorData::U64($values) => $body,
            TensorData::Bool($values) => $body,
            TensorData::Bytes($strings) => $text,
        }
    };
}

/// `tensor` as an input that borrows its elements; strings are copied.
///
/// # Errors
/// `InvalidArgument` for a string with a NUL byte, which ONNX Runtime would cut.
pub(super) fn borrow(tensor: &Tensor) -> Result<SessionInputValue<'_>> {
    let shape = tensor.shape();
    each_plain!(
        tensor.data(),
        values => Ok(TensorRef::from_array_view((shape, &values[..])).map_err(error::engine)?.into()),
        bytes strings => {
            let strings: Vec<Text> = strings.iter().map(|s| Text(s.clone())).collect();
            if strings.iter().any(|s| s.0.contains(&0)) {
                let message = "expected strings without NUL bytes, found one";
                return Err(Error::new(ErrorKind::InvalidArgument, message));
            }
            Ok(OrtTensor::from_string_array((shape, &strings[..])).map_err(error::engine)?.into())
        }
    )
}

/// A string of bytes as the binding wants it.
#[derive(Clone)]
struct Text(Vec<u8>);

impl Utf8Data for Text {
    fn as_utf8_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A copy of the `count` strings of `value`: bytes, of which nothing says that they are UTF-8, as the binding wants it.
#[expect(unsafe_code, reason = "the safe binding refuses what is not UTF-8")]
fn strings(value: &DynValue, count: usize) -> ort::Result<Vec<Vec<u8>>> {
    let (api, value) = (ort::api(), value.ptr());
    let mut length = 0;
    // SAFETY: `value` is a tensor of strings that is borrowed for as long as this takes.
    unsafe { ort::Error::result_from_status((api.GetStringTensorDataLength)(value, &mut length)) }?;
    let (mut bytes, mut starts) = (vec![0u8; length], vec![0; count]);
    // SAFETY: as above; both buffers are as long as is said.
    unsafe {
        let (bytes, starts) = (bytes.as_mut_ptr().cast(), starts.as_mut_ptr());
        ort::Error::result_from_status((api.GetStringTensorContent)(value, bytes, length, starts, count))
    }?;
    starts.push(length);
    Ok(starts.windows(2).map(|ends| bytes.get(ends[0]..ends[1]).unwrap_or_default().to_vec()).collect())
}

/// A copy of an output.
pub(super) fn copy(value: &DynValue) -> Result<Tensor> {
    let found = value.dtype();
    let dtype = found.tensor_type().and_then(dtype);
    let dtype = dtype.ok_or_else(|| Error::new(ErrorKind::Unsupported, format!("an output is `{found}`")))?;
    macro_rules! copy {
        ($($variant:ident),*) => {
            match dtype {
                $(DType::$variant => {
                    let (shape, values) = value.try_extract_tensor().map_err(error::engine)?;
                    (shape, TensorData::$variant(values.to_vec()))
                })*
                DType::Bytes => {
                    let shape = found.tensor_shape();
                    let shape = shape.ok_or_else(|| Error::new(ErrorKind::Engine, "strings without a shape"))?;
                    (shape, TensorData::Bytes(strings(value, shape.num_elements()).map_err(error::engine)?))
                }
            }
        };
    }
    let (shape, data) = copy!(F32, F16, BF16, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool);
    let shape: Vec<usize> = shape.iter().map(|&axis| usize::try_from(axis).unwrap_or(0)).collect();
    Tensor::from_data(shape, data)
}
