//! Parameters: values by name, beside a request, an input or an output.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Visitor};
use tintype_core::Result;

use super::given::Given;
use super::invalid;

/// Parameters by name.
pub type Parameters = BTreeMap<String, Parameter>;

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of at least 0.
    Unsigned(u64),
    /// A whole number below 0.
    Signed(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
}

/// What a request asks for beside its tensors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// 1 is the highest; 0 asks for the model's default.
    pub priority: u64,
    /// How long the request may wait in the model's queue.
    pub timeout: Option<Duration>,
}

/// A stream of a decoupled model would end with an empty response; ours never has one.
const EMPTY_FINAL_RESPONSE: &str = "triton_enable_empty_final_response";

impl Options {
    /// Reads a request's parameters, all but `binary_data_output`. Those of sequences are understood, and have no meaning
    /// for models that keep no state between requests, which is all of them; unknown ones have none either.
    ///
    /// # Errors
    /// `InvalidArgument` for a known one of a wrong type, and for reserved names.
    pub(super) fn from_parameters(parameters: &Given<'_>) -> Result<Self> {
        let mut options = Self::default();
        for (key, value) in parameters.iter() {
            match key {
                "priority" => options.priority = value.unsigned(key)?,
                "timeout" => {
                    let micros = value.unsigned(key)?;
                    options.timeout = (micros > 0).then(|| Duration::from_micros(micros));
                }
                "binary_data_output" | "sequence_start" | "sequence_end" => {
                    value.boolean(key)?;
                }
                "sequence_id" if !matches!(value, Parameter::Unsigned(_) | Parameter::Text(_)) => {
                    return Err(wrong(key, "a whole number or text"));
                }
                "headers" => return Err(invalid("parameter `headers` is reserved")),
                EMPTY_FINAL_RESPONSE => {
                    value.boolean(key)?;
                }
                key if key.starts_with("triton_") => {
                    return Err(invalid(format!(
                        "parameter keys starting with 'triton_' are reserved for Triton usage and should not be \
                         specified, found '{key}'"
                    )));
                }
                _ => {}
            }
        }
        Ok(options)
    }
}

impl Parameter {
    /// A whole number of at least 0.
    ///
    /// # Errors
    /// `InvalidArgument` that names `key`.
    pub fn unsigned(&self, key: &str) -> Result<u64> {
        match self {
            Self::Unsigned(value) => Ok(*value),
            Self::Signed(value) if *value >= 0 => Ok(value.unsigned_abs()),
            _ => Err(wrong(key, "a whole number of at least 0")),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// `InvalidArgument` that names `key`.
    pub fn boolean(&self, key: &str) -> Result<bool> {
        match self {
            Self::Bool(value) => Ok(*value),
            _ => Err(wrong(key, "`true` or `false`")),
        }
    }

    /// Text.
    ///
    /// # Errors
    /// `InvalidArgument` that names `key`.
    pub fn text(&self, key: &str) -> Result<&str> {
        match self {
            Self::Text(value) => Ok(value),
            _ => Err(wrong(key, "text")),
        }
    }
}

/// By hand: what `derive` makes of an enum without tags first builds a tree of whatever it meets, however deep.
impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;

        impl Visitor<'_> for Scalar {
            type Value = Parameter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a boolean, a number or text")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Parameter, E> {
                Ok(Parameter::Bool(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Parameter, E> {
                Ok(Parameter::Unsigned(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Parameter, E> {
                Ok(Parameter::Signed(value))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Parameter, E> {
                Ok(Parameter::Float(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Parameter, E> {
                Ok(Parameter::Text(value.to_owned()))
            }
        }

        deserializer.deserialize_any(Scalar)
    }
}

fn wrong(key: &str, expected: &str) -> tintype_core::Error {
    invalid(format!("parameter `{key}`: expected {expected}"))
}
