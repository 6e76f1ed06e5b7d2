//! The HTTP form of an answer: JSON, with the binary outputs behind it.

use std::io::Write as _;

use serde::Serialize;
use tintype_core::{Error, ErrorKind, Result, TensorData};

use super::binary;
use super::{Content, Reply, ReplyOutput};

/// An answer as an HTTP body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// JSON, then bytes.
    pub body: Vec<u8>,
    /// How many bytes the JSON has; `None` when nothing comes after it.
    pub header_len: Option<usize>,
}

/// Encodes `reply`. Its outputs in shared memory are only spoken of.
///
/// # Errors
/// `InvalidArgument` for an element of BYTES that JSON cannot hold, because it is not UTF-8.
pub fn encode(reply: &Reply) -> Result<Encoded> {
    let mut body = Vec::with_capacity(256 + reply.outputs.iter().map(room).sum::<usize>());
    let mut json = Json(&mut body);
    json.raw("{");
    if !reply.id.is_empty() {
        json.member("id", &reply.id)?;
        json.raw(",");
    }
    json.member("model_name", &*reply.model)?;
    json.version(reply.version)?;
    json.raw(",\"outputs\":[");
    for (index, output) in reply.outputs.iter().enumerate() {
        json.raw(if index == 0 { "{" } else { ",{" });
        json.output(output)?;
        json.raw("}");
    }
    json.raw("]}");
    let header = body.len();
    let mut binary = reply.outputs.iter().filter(|output| output.content == Content::Binary).peekable();
    let header_len = binary.peek().map(|_| header);
    for output in binary {
        body.extend_from_slice(&binary::encode(output.tensor.data())?);
    }
    Ok(Encoded { body, header_len })
}

/// Encodes `reply` with its outputs as members, a bare value where an output has one element.
///
/// # Errors
/// As [`encode`].
pub(super) fn encode_flat(reply: &Reply) -> Result<Vec<u8>> {
    let mut body = Vec::with_capacity(256);
    let mut json = Json(&mut body);
    json.raw("{");
    if !reply.id.is_empty() {
        json.member("id", &reply.id)?;
        json.raw(",");
    }
    json.member("model_name", &*reply.model)?;
    json.version(reply.version)?;
    for output in &reply.outputs {
        json.raw(",");
        json.value(&output.name)?;
        json.raw(":");
        let start = json.0.len();
        json.data(&output.name, output.tensor.data())?;
        if output.tensor.data().len() == 1 {
            json.0.remove(start);
            json.0.pop();
        }
    }
    json.raw("}");
    Ok(body)
}

/// About how many bytes an output takes.
fn room(output: &ReplyOutput) -> usize {
    let size = binary::size(output.tensor.data());
    match output.content {
        Content::Json => 128 + 3 * size,
        Content::Binary => 128 + size,
        Content::Shared(_) => 256,
    }
}

/// Writes JSON, members in the order of the calls.
pub(super) struct Json<'a>(pub(super) &'a mut Vec<u8>);

impl Json<'_> {
    pub(super) fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        sonic_rs::to_writer(&mut *self.0, value)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("writing JSON: {error}")))
    }

    /// `name` needs no escapes.
    pub(super) fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        self.raw("\"");
        self.raw(name);
        self.raw("\":");
        self.value(value)
    }

    /// A string, though it is a number.
    fn version(&mut self, version: u64) -> Result<()> {
        self.raw(",\"model_version\":\"");
        self.value(&version)?;
        self.raw("\"");
        Ok(())
    }

    fn output(&mut self, output: &ReplyOutput) -> Result<()> {
        self.member("name", &output.name)?;
        self.raw(",");
        self.member("datatype", output.tensor.dtype().kserve())?;
        self.raw(",");
        self.member("shape", output.tensor.shape())?;
        match &output.content {
            Content::Binary => {
                self.raw(",\"parameters\":{");
                self.member("binary_data_size", &binary::size(output.tensor.data()))?;
                self.raw("}");
            }
            // Triton's C++ client takes any parameters for those of a binary output.
            Content::Shared(_) => {}
            Content::Json => {
                self.raw(",\"data\":");
                self.data(&output.name, output.tensor.data())?;
            }
        }
        Ok(())
    }

    /// The elements, as an array.
    pub(super) fn data(&mut self, name: &str, data: &TensorData) -> Result<()> {
        match data {
            TensorData::F32(values) if values.iter().all(|value| value.is_finite()) => self.value(values),
            TensorData::F64(values) if values.iter().all(|value| value.is_finite()) => self.value(values),
            TensorData::F32(values) => self.floats(values.iter().map(|&value| value.into())),
            TensorData::F64(values) => self.floats(values.iter().copied()),
            TensorData::F16(values) => self.floats(values.iter().map(|value| value.to_f64())),
            TensorData::BF16(values) => self.floats(values.iter().map(|value| value.to_f64())),
            TensorData::I8(values) => self.value(values),
            TensorData::I16(values) => self.value(values),
            TensorData::I32(values) => self.value(values),
            TensorData::I64(values) => self.value(values),
            TensorData::U8(values) => self.value(values),
            TensorData::U16(values) => self.value(values),
            TensorData::U32(values) => self.value(values),
            TensorData::U64(values) => self.value(values),
            TensorData::Bool(values) => self.value(values),
            TensorData::Bytes(strings) => self.strings(name, strings),
        }
    }

    /// Numbers of which some may be none: JSON has no word for those, so Triton's and Python's are used.
    fn floats(&mut self, values: impl Iterator<Item = f64>) -> Result<()> {
        let mut separator = "[";
        for value in values {
            self.raw(separator);
            separator = ",";
            if value.is_nan() {
                self.raw("NaN");
            } else if value.is_infinite() {
                self.raw(if value > 0.0 { "Infinity" } else { "-Infinity" });
            } else {
                // The fewest digits that read back as the same number.
                write!(self.0, "{value:?}")
                    .map_err(|error| Error::new(ErrorKind::Internal, format!("writing JSON: {error}")))?;
            }
        }
        self.raw(if separator == "[" { "[]" } else { "]" });
        Ok(())
    }

    fn strings(&mut self, name: &str, strings: &[Vec<u8>]) -> Result<()> {
        let mut separator = "[";
        for string in strings {
            self.raw(separator);
            separator = ",";
            let text = std::str::from_utf8(string).map_err(|_| {
                Error::new(
                    ErrorKind::InvalidArgument,
                    format!("output '{name}' has bytes that are not UTF-8, which JSON cannot hold"),
                )
                .with_hint("ask for it with `binary_data`")
            })?;
            self.value(text)?;
        }
        self.raw(if separator == "[" { "[]" } else { "]" });
        Ok(())
    }
}
