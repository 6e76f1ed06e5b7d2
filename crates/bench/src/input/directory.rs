//! perf_analyzer's directory: a file for each input, of its name. Numbers as the machine has them, texts a line each.

use std::path::Path;

use tintype_api::kserve::{Request, binary};
use tintype_core::{Error, ErrorKind, Result, Tensor};

use super::json::shape;
use super::{Expected, TensorOptions, expected, request};
use crate::control::ModelFacts;

/// The request that `directory` describes; `None` where no file there has an input's name.
///
/// # Errors
/// `NotFound` when a file is missing; `InvalidArgument` when one does not fit the model.
pub fn directory(directory: &Path, facts: &ModelFacts, options: &TensorOptions) -> Result<Option<Request>> {
    let inputs = expected(facts, options)?;
    // Names of models may be anything, and paths must not lead out.
    let plain = |name: &str| Path::new(name).file_name().is_some_and(|file| file == name);
    if !inputs.iter().any(|input| plain(input.name) && directory.join(input.name).is_file()) {
        return Ok(None);
    }
    let rows = inputs.iter().map(|input| {
        let path = directory.join(input.name);
        let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        let row = row(input, &bytes).map_err(|e| e.context(format!("`{}`", path.display())))?;
        Ok((input.name.to_owned(), row))
    });
    request(facts, rows.collect::<Result<_>>()?, options).map(Some)
}

fn row(input: &Expected<'_>, bytes: &[u8]) -> Result<Tensor> {
    let Some(size) = input.dtype.size() else {
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|_| Error::new(ErrorKind::InvalidArgument, "expected lines of UTF-8"))?;
        let lines: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
        return Tensor::new(shape(input, &input.dims, lines.len())?, lines);
    };
    let origin = binary::Origin { id: "", model: "", input: input.name };
    binary::decode(origin, input.dtype, shape(input, &input.dims, bytes.len() / size)?, bytes)
}
