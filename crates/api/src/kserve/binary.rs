//! Tensors as bytes: little-endian, row-major, without padding.
//!
//! BOOL takes a byte. An element of BYTES is its length as an unsigned 32-bit number, then that many bytes.

use std::borrow::Cow;

use tintype_core::triton::request_prefix;
use tintype_core::{DType, Error, Result, Tensor, TensorData};

use super::invalid;

/// Where bytes come from, for the words of an error.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The request's id, empty where it has none.
    pub id: &'a str,
    /// The model that is asked.
    pub model: &'a str,
    /// The input.
    pub input: &'a str,
}

/// The tensor of `dtype` and `shape` that is `bytes`, copied once.
///
/// # Errors
/// `InvalidArgument` when there are more or fewer bytes than that takes, and for elements of BYTES that end early.
pub fn decode(origin: Origin<'_>, dtype: DType, shape: Vec<usize>, bytes: &[u8]) -> Result<Tensor> {
    let count = elements(origin.input, &shape)?;
    let Some(size) = dtype.size() else {
        return Tensor::new(shape, strings(origin, count, bytes)?);
    };
    let expected = count.checked_mul(size).ok_or_else(|| too_large(origin.input))?;
    let numbers = TensorData::from_le_bytes(dtype, bytes).filter(|_| expected == bytes.len());
    Tensor::from_data(shape, numbers.ok_or_else(|| size_mismatch(origin, expected, bytes.len()))?)
}

/// How many elements `shape` has.
///
/// # Errors
/// `InvalidArgument` when that is more than can be counted.
pub(super) fn elements(input: &str, shape: &[usize]) -> Result<usize> {
    shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size)).ok_or_else(|| too_large(input))
}

fn strings(origin: Origin<'_>, count: usize, mut bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let (prefix, input) = (request_prefix(origin.id), origin.input);
    // Every element takes at least its length's four bytes.
    let mut strings = Vec::with_capacity(count.min(bytes.len() / 4));
    while !bytes.is_empty() {
        if strings.len() == count {
            let more = count + 1;
            return Err(invalid(format!(
                "{prefix}unexpected number of string elements {more} for inference input '{input}', expecting {count}"
            )));
        }
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
            return Err(invalid(format!(
                "{prefix}incomplete string length indicator for inference input '{input}', expecting 4 bytes but \
                 only {} bytes available. Please make sure the string length indicator is in one contiguous buffer.",
                bytes.len()
            )));
        };
        let length = u32::from_le_bytes(*length);
        let Some((string, rest)) = usize::try_from(length).ok().and_then(|n| rest.split_at_checked(n)) else {
            return Err(invalid(format!(
                "{prefix}incomplete string data for inference input '{input}', expecting string of length {length} \
                 but only {} bytes available.",
                rest.len()
            )));
        };
        strings.push(string.to_vec());
        bytes = rest;
    }
    if strings.len() != count {
        return Err(invalid(format!(
            "{prefix}expected {count} string elements for inference input '{input}', got {}",
            strings.len()
        )));
    }
    Ok(strings)
}

/// How many bytes `data` takes.
pub fn size(data: &TensorData) -> usize {
    match data {
        TensorData::Bytes(strings) => strings.iter().map(|string| 4 + string.len()).sum(),
        data => data.len() * data.dtype().size().unwrap_or(0),
    }
}

/// `data` as bytes; borrowed where the machine keeps numbers as the wire does.
///
/// # Errors
/// `InvalidArgument` for an element of BYTES of 4 GiB or more.
pub fn encode(data: &TensorData) -> Result<Cow<'_, [u8]>> {
    let strings = match data {
        TensorData::Bytes(strings) => strings.as_slice(),
        numbers => return Ok(numbers.to_le_bytes().unwrap_or_default()),
    };
    let mut bytes = Vec::with_capacity(size(data));
    for string in strings {
        let length = u32::try_from(string.len());
        let length = length.map_err(|_| invalid("an element of BYTES has 4 GiB or more"))?;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(string);
    }
    Ok(Cow::Owned(bytes))
}

fn size_mismatch(origin: Origin<'_>, expected: usize, found: usize) -> Error {
    let Origin { id, model, input } = origin;
    invalid(format!(
        "{}input byte size mismatch for input '{input}' for model '{model}'. Expected {expected}, got {found}",
        request_prefix(id)
    ))
}

fn too_large(input: &str) -> Error {
    invalid(format!("the shape of input '{input}' has more elements than can be counted"))
}
