//! `model_warmup`: inputs that a model is run on before it serves.

use std::path::{Path, PathBuf};

use tintype_core::triton::proto::ModelWarmup;
use tintype_core::triton::proto::model_warmup::Input;
use tintype_core::triton::proto::model_warmup::input::InputDataType;
use tintype_core::{
    Bound, DType, Error, ErrorKind, ModelSource, NamedTensor, Package, Result, Scratch, Signature, Tensor,
    TensorData,
};

use crate::instance::WarmUp;

/// The samples that the configuration asks for, as tensors for the session.
///
/// # Errors
/// `InvalidConfig` for a sample that does not fit the model, naming it; what is wrong with its file.
pub(crate) fn samples(signature: &Signature, package: &Package) -> Result<Vec<WarmUp>> {
    let samples = signature.config().model_warmup.iter();
    samples.map(|sample| one(signature, package, sample).map_err(|e| wrong(sample, &e))).collect()
}

fn one(signature: &Signature, package: &Package, sample: &ModelWarmup) -> Result<WarmUp> {
    let batch = (signature.max_batch_size() > 0).then_some(sample.batch_size.max(1) as usize);
    let tensors = sample.inputs.iter().map(|(name, input)| {
        let tensor = tensor(package, input, batch).map_err(|e| e.context(format!("input `{name}`")))?;
        Ok(NamedTensor { name: name.clone(), tensor })
    });
    let inputs = match signature.bind(tensors.collect::<Result<_>>()?)? {
        Bound::Tensors { inputs, .. } => inputs,
        Bound::Images { images, .. } => {
            let classifier = signature.classifier().ok_or_else(|| {
                Error::new(ErrorKind::Internal, "images were bound by a model without preprocessing")
            })?;
            let mut scratch = Scratch::default();
            let rows: Vec<Tensor> =
                images.iter().map(|image| classifier.prepare(image, &mut scratch)).collect::<Result<_>>()?;
            vec![Tensor::concat(&rows.iter().collect::<Vec<_>>())?]
        }
    };
    Ok(WarmUp { name: sample.name.clone(), inputs, times: sample.count.max(1) as usize })
}

/// One input, `[batch, dims…]` where the model takes batches: the same value in every row.
fn tensor(package: &Package, input: &Input, batch: Option<usize>) -> Result<Tensor> {
    let dtype = input
        .data_type()
        .dtype()
        .ok_or_else(|| Error::new(ErrorKind::InvalidConfig, "`data_type` is not set"))?;
    let dims = input.dims.iter().map(|&dim| {
        usize::try_from(dim).map_err(|_| {
            Error::new(ErrorKind::InvalidConfig, format!("`dims`: expected fixed sizes, found {dim}"))
        })
    });
    let dims: Vec<usize> = dims.collect::<Result<_>>()?;
    let count: usize = dims.iter().product();
    let row = match &input.input_data_type {
        Some(InputDataType::InputDataFile(file)) => {
            let path = folder(package)?.join(plain_name(file)?);
            std::fs::read(&path).map_err(|e| Error::io(&path, e))?
        }
        // Strings cannot be random: Triton takes empty ones too.
        Some(InputDataType::RandomData(true)) if dtype != DType::Bytes => noise(dtype, count),
        _ => vec![0; count * dtype.size().unwrap_or(4)],
    };
    let rows = batch.unwrap_or(1);
    let shape: Vec<usize> = batch.into_iter().chain(dims).collect();
    Tensor::from_data(shape, values(dtype, count * rows, &row.repeat(rows))?)
}

/// Little-endian numbers, as files have them; strings with their lengths before them.
fn values(dtype: DType, count: usize, bytes: &[u8]) -> Result<TensorData> {
    let Some(size) = dtype.size() else { return strings(bytes).map(TensorData::Bytes) };
    let expected = size * count;
    let numbers = TensorData::from_le_bytes(dtype, bytes).filter(|_| expected == bytes.len());
    numbers.ok_or_else(|| {
        let message = format!("expected {expected} bytes, found {}", bytes.len());
        Error::new(ErrorKind::InvalidConfig, message)
    })
}

fn strings(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (string, rest) =
            rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(|| {
                Error::new(ErrorKind::InvalidConfig, "a string's length is beyond the end of the file")
            })?;
        strings.push(string.to_vec());
        bytes = rest;
    }
    Ok(strings)
}

/// The bytes of `count` values that differ: small numbers for floats, so that nothing overflows.
fn noise(dtype: DType, count: usize) -> Vec<u8> {
    let values = (0..count).map(|index| (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
    let unit = |value: u64| (value & 0xffff) as f32 / 65536.0;
    match dtype {
        DType::F32 => values.flat_map(|v| unit(v).to_le_bytes()).collect(),
        DType::F64 => values.flat_map(|v| f64::from(unit(v)).to_le_bytes()).collect(),
        DType::F16 => values.flat_map(|v| half::f16::from_f32(unit(v)).to_le_bytes()).collect(),
        DType::BF16 => values.flat_map(|v| half::bf16::from_f32(unit(v)).to_le_bytes()).collect(),
        DType::Bool => values.map(|v| (v & 1) as u8).collect(),
        other => {
            let size = other.size().unwrap_or(1);
            values.flat_map(|v| (v & 0x7f).to_le_bytes().into_iter().take(size)).collect()
        }
    }
}

/// `<model>/warmup`, beside the versions.
fn folder(package: &Package) -> Result<PathBuf> {
    let ModelSource::Path(model) = &package.model else {
        return Err(Error::new(ErrorKind::Unsupported, "files to warm up with need a model directory"));
    };
    let directory = model.ancestors().find(|folder| folder.join("warmup").is_dir());
    directory
        .map(|folder| folder.join("warmup"))
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "the model's directory has no folder `warmup`"))
}

/// A file's name, which must not lead out of its folder.
fn plain_name(name: &str) -> Result<&Path> {
    let path = Path::new(name);
    let plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if plain && !name.is_empty() {
        return Ok(path);
    }
    Err(Error::new(ErrorKind::InvalidConfig, format!("expected a file in `warmup`, found `{name}`")))
}

fn wrong(sample: &ModelWarmup, error: &Error) -> Error {
    let message = format!("`model_warmup` `{}`: {}", sample.name, error.message());
    Error::new(ErrorKind::InvalidConfig, message)
}
