//! Tensors of random numbers, or of zeros.

use half::{bf16, f16};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tintype_api::kserve::Request;
use tintype_core::{DType, Result, Tensor, TensorData};

use super::{Expected, TensorOptions, expected, request};
use crate::control::ModelFacts;

/// What tensors are filled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fill {
    /// Zeros, and empty texts.
    Zero,
    /// Fractions of 0 to 1, whole numbers of 0 to 127, and texts of so many letters.
    Random {
        /// What they follow from.
        seed: u64,
        /// The length of texts.
        string_length: usize,
    },
    /// The same text everywhere; numbers as in `Random` with seed 0.
    Text(String),
}

/// A request with tensors that fit the model.
///
/// # Errors
/// `InvalidArgument` where the model leaves sizes open and `options` do not say them.
pub fn drawn(facts: &ModelFacts, fill: &Fill, options: &TensorOptions) -> Result<Request> {
    let seed = if let Fill::Random { seed, .. } = fill { *seed } else { 0 };
    let mut random = StdRng::seed_from_u64(seed);
    let inputs = expected(facts, options)?;
    let rows = inputs.iter().map(|input| Ok((input.name.to_owned(), row(input, fill, &mut random)?)));
    request(facts, rows.collect::<Result<_>>()?, options)
}

fn row(input: &Expected<'_>, fill: &Fill, random: &mut StdRng) -> Result<Tensor> {
    let dims: Option<Vec<usize>> = input.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    let shape = input.shape(dims.ok_or_else(|| input.dims_left_open())?);
    let count = shape.iter().product();
    let mut fraction = || if *fill == Fill::Zero { 0.0 } else { random.random::<f32>() };
    let data = match input.dtype {
        DType::F32 => TensorData::F32((0..count).map(|_| fraction()).collect()),
        DType::F64 => TensorData::F64((0..count).map(|_| fraction().into()).collect()),
        DType::F16 => TensorData::F16((0..count).map(|_| f16::from_f32(fraction())).collect()),
        DType::BF16 => TensorData::BF16((0..count).map(|_| bf16::from_f32(fraction())).collect()),
        DType::Bool => TensorData::Bool((0..count).map(|_| fraction() >= 0.5).collect()),
        DType::Bytes => TensorData::Bytes((0..count).map(|_| text(fill, &mut fraction)).collect()),
        whole => {
            let size = whole.size().unwrap_or(1);
            let number = |_| {
                let mut bytes = vec![0; size];
                bytes[0] = (128.0 * fraction()) as u8;
                bytes
            };
            let bytes: Vec<u8> = (0..count).flat_map(number).collect();
            TensorData::from_le_bytes(whole, &bytes).unwrap_or(TensorData::U8(bytes))
        }
    };
    Tensor::from_data(shape, data)
}

fn text(fill: &Fill, fraction: &mut impl FnMut() -> f32) -> Vec<u8> {
    match fill {
        Fill::Zero => Vec::new(),
        Fill::Text(text) => text.clone().into_bytes(),
        Fill::Random { string_length, .. } => {
            (0..*string_length).map(|_| b'a' + (26.0 * fraction()) as u8).collect()
        }
    }
}
