//! The JSON `data` of a tensor: arrays, flat or nested, parsed straight into a typed vector.

use std::fmt;

use half::{bf16, f16};
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use tintype_core::{DType, Element, Error, Result, TensorData};

use super::invalid;

/// Arrays may nest as deep as any shape that anybody uses.
const MAX_DEPTH: u8 = 32;

/// The `count` elements of `dtype` in `json`.
///
/// # Errors
/// `InvalidArgument` when there are more or fewer, for elements of another type or out of its range, and for arrays that
/// nest too deep.
pub(super) fn parse(input: &str, dtype: DType, count: usize, json: &str) -> Result<TensorData> {
    let text = Text { input, json, count };
    match dtype {
        DType::F32 => text.parse::<f32>(),
        DType::F16 => text.parse::<f16>(),
        DType::BF16 => text.parse::<bf16>(),
        DType::F64 => text.parse::<f64>(),
        DType::I8 => text.parse::<i8>(),
        DType::I16 => text.parse::<i16>(),
        DType::I32 => text.parse::<i32>(),
        DType::I64 => text.parse::<i64>(),
        DType::U8 => text.parse::<u8>(),
        DType::U16 => text.parse::<u16>(),
        DType::U32 => text.parse::<u32>(),
        DType::U64 => text.parse::<u64>(),
        DType::Bool => text.parse::<bool>(),
        DType::Bytes => text.parse::<Vec<u8>>(),
    }
}

struct Text<'a> {
    input: &'a str,
    json: &'a str,
    count: usize,
}

impl Text<'_> {
    fn parse<T: FromJson>(&self) -> Result<TensorData> {
        if !self.json.trim_ascii_start().starts_with('[') {
            return Err(self.wrong("expected an array"));
        }
        // An element takes a character and a comma: a short text cannot reserve much.
        let capacity = self.count.min(self.json.len() / 2 + 1);
        let mut values = Vec::<T>::with_capacity(capacity);
        let sink = Sink { values: &mut values, count: self.count, depth: 0 };
        let mut json = sonic_rs::Deserializer::from_str(self.json);
        sink.deserialize(&mut json).map_err(|error| {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            // The parser adds a position in this excerpt, which the caller cannot place.
            self.wrong(line.split(" at line ").next().unwrap_or(line))
        })?;
        if values.len() != self.count {
            return Err(self.wrong(OTHER_SHAPE));
        }
        Ok(T::wrap(values))
    }

    fn wrong(&self, reason: &str) -> Error {
        invalid(format!("Unable to parse 'data': {reason} for input '{}'", self.input))
    }
}

const OTHER_SHAPE: &str = "Shape does not match true shape of 'data' field";

/// An element as JSON has it: each kind of value that the dtype does not take is `None`.
trait FromJson: Element {
    const EXPECTED: &str;

    fn from_bool(_: bool) -> Option<Self> {
        None
    }
    fn from_unsigned(_: u64) -> Option<Self> {
        None
    }
    fn from_signed(_: i64) -> Option<Self> {
        None
    }
    fn from_float(_: f64) -> Option<Self> {
        None
    }
    fn from_text(_: &str) -> Option<Self> {
        None
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {
        $(impl FromJson for $integer {
            const EXPECTED: &str = concat!("a whole number within ", stringify!($integer));

            fn from_unsigned(value: u64) -> Option<Self> {
                value.try_into().ok()
            }
            fn from_signed(value: i64) -> Option<Self> {
                value.try_into().ok()
            }
        })*
    };
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! floats {
    ($($float:ty => $convert:expr),*) => {
        $(impl FromJson for $float {
            const EXPECTED: &str = concat!("a number within ", stringify!($float));

            fn from_unsigned(value: u64) -> Option<Self> {
                Self::from_float(value as f64)
            }
            fn from_signed(value: i64) -> Option<Self> {
                Self::from_float(value as f64)
            }
            fn from_float(value: f64) -> Option<Self> {
                let converted: $float = $convert(value);
                converted.is_finite().then_some(converted)
            }
        })*
    };
}

floats!(f32 => |value| value as f32, f64 => |value| value, f16 => f16::from_f64, bf16 => bf16::from_f64);

impl FromJson for bool {
    const EXPECTED: &str = "`true` or `false`";

    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl FromJson for Vec<u8> {
    const EXPECTED: &str = "text";

    fn from_text(value: &str) -> Option<Self> {
        Some(value.as_bytes().to_vec())
    }
}

/// Appends what it meets to `values`.
struct Sink<'a, T> {
    values: &'a mut Vec<T>,
    count: usize,
    depth: u8,
}

impl<T: FromJson> Sink<'_, T> {
    fn push<E: serde::de::Error>(self, value: Option<T>) -> Result<(), E> {
        match value {
            Some(value) if self.values.len() < self.count => {
                self.values.push(value);
                Ok(())
            }
            Some(_) => Err(E::custom(OTHER_SHAPE)),
            None => Err(E::custom(format_args!("expected {} at element {}", T::EXPECTED, self.values.len()))),
        }
    }
}

impl<'de, T: FromJson> DeserializeSeed<'de> for Sink<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: FromJson> Visitor<'de> for Sink<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.push(T::from_bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.push(T::from_unsigned(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.push(T::from_signed(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.push(T::from_float(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.push(T::from_text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        if self.depth == MAX_DEPTH {
            return Err(A::Error::custom(format_args!("arrays nest more than {MAX_DEPTH} deep")));
        }
        let depth = self.depth + 1;
        let (values, count) = (self.values, self.count);
        while array.next_element_seed(Sink { values: &mut *values, count, depth })?.is_some() {}
        Ok(())
    }
}
