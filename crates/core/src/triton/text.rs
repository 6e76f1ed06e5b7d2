//! Reading a configuration: protobuf's text format, as in `config.pbtxt`, and its JSON, as in a load request.

use std::sync::LazyLock;

use miette::Diagnostic;
use prost_reflect::text_format::ParseError;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use super::proto::{DESCRIPTORS, ModelConfig};
use crate::{Error, ErrorKind, Result};

static DESCRIPTOR: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    DescriptorPool::decode(DESCRIPTORS)
        .expect("the build script wrote descriptors")
        .get_message_by_name("inference.ModelConfig")
        .expect("model_config.proto has the message")
});

/// The descriptor of `ModelConfig`.
pub(super) fn descriptor() -> MessageDescriptor {
    DESCRIPTOR.clone()
}

/// The message with its descriptor, so that its fields can be walked.
pub(super) fn to_dynamic(config: &ModelConfig) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor());
    message.transcode_from(config).expect("both come from model_config.proto");
    message
}

/// Parses a `config.pbtxt`.
///
/// # Errors
/// `InvalidConfig` with line and column for bad syntax, and for unknown fields and enum values, which are named.
pub fn parse(text: &str) -> Result<ModelConfig> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (complete, colons) = add_colons(text);
    let original = |offset: usize| offset - colons.partition_point(|&colon| colon < offset);
    let message =
        DynamicMessage::parse_text_format(descriptor(), &complete).map_err(|e| syntax(text, &e, original))?;
    typed(&message)
}

/// Puts a colon between a field and a list, and says at which offsets of the result: protobuf lets it be left out, as
/// in `input [ { … } ]`, and Triton's files do so, but the parser insists on it.
fn add_colons(text: &str) -> (String, Vec<usize>) {
    let (mut complete, mut colons) = (String::with_capacity(text.len() + 16), Vec::new());
    // The delimiter of the string that the scan is in, `#` in a comment.
    let (mut within, mut escaped, mut after_name) = (None, false, false);
    for c in text.chars() {
        match within {
            Some('#') => within = within.filter(|_| c != '\n'),
            Some(quote) => {
                within = within.filter(|_| c != quote || escaped);
                escaped = c == '\\' && !escaped;
            }
            None if matches!(c, '#' | '"' | '\'') => {
                within = Some(c);
                after_name &= c == '#';
            }
            None if c == '[' && after_name => {
                colons.push(complete.len());
                complete.push(':');
                after_name = false;
            }
            None if !c.is_whitespace() => after_name = c.is_ascii_alphanumeric() || c == '_',
            None => {}
        }
        complete.push(c);
    }
    (complete, colons)
}

/// Parses the JSON of a configuration: Triton's own, with `snake_case` names, or protobuf's, with `camelCase`; 64-bit
/// numbers may be strings.
///
/// # Errors
/// `InvalidConfig` with line and column for bad syntax, unknown fields and wrong types.
pub fn from_json(text: &str) -> Result<ModelConfig> {
    let invalid = |e: serde_json::Error| Error::new(ErrorKind::InvalidConfig, e.to_string());
    let mut json = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(descriptor(), &mut json).map_err(invalid)?;
    json.end().map_err(invalid)?;
    typed(&message)
}

fn typed(message: &DynamicMessage) -> Result<ModelConfig> {
    message.transcode_to().map_err(|e| Error::new(ErrorKind::InvalidConfig, e.to_string()))
}

/// The parser's message in the house's words, after the place.
fn syntax(text: &str, error: &ParseError, original: impl Fn(usize) -> usize) -> Error {
    // Only the end of the text and a wrong type of map key come without a place.
    let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    let message = error.to_string().replace('\'', "`").replace("inference.", "");
    let place = match offset {
        Some(offset) => Some(position(text, original(offset))),
        None if message.contains("end of input") => Some(position(text, text.len())),
        None => None,
    };
    let message = match place {
        Some((line, column)) => format!("line {line}, column {column}: {message}"),
        None => message,
    };
    Error::new(ErrorKind::InvalidConfig, message)
}

/// Line and column of a byte, both from 1; columns count characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost_reflect::{Kind, Value};

    use super::super::print::{to_json, to_text};
    use super::super::proto::{DataType, model_config, model_ensembling, model_version_policy};
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        let config = parse(
            "\u{feff}# a comment\n\
             name: 'single' backend: \"python\"; max_batch_size: 0x10\n\
             input [ { name: \"A\" data_type: TYPE_STRING dims: [ 1 ] }, { name: \"B\", data_type: TYPE_FP32\n\
             dims: [ -1, 3 ] } ]\n\
             input: { name: \"C\" data_type: 11 dims: 1 dims: 2 }\n\
             output { name: \"two\" \" parts\" data_type: TYPE_FP32 dims: -1 }\n\
             version_policy: { all: {} }\n\
             dynamic_batching { max_queue_delay_microseconds: 100, preferred_batch_size: [4, 8] }\n\
             parameters { key: \"a\" value: { string_value: \"1\" } }\n\
             parameters: { key: \"b\" value { string_value: '2' } }\n",
        )
        .unwrap();
        assert_eq!(
            (config.name.as_str(), config.backend.as_str(), config.max_batch_size),
            ("single", "python", 16)
        );
        let names: Vec<&str> = config.input.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["A", "B", "C"]);
        assert_eq!(config.input[1].dims, [-1, 3]);
        assert_eq!(config.input[2].data_type(), DataType::TypeFp32);
        assert_eq!(config.output[0].name, "two parts");
        let policy = config.version_policy.unwrap().policy_choice;
        assert_eq!(policy, Some(model_version_policy::PolicyChoice::All(model_version_policy::All {})));
        assert_eq!(config.parameters["b"].string_value, "2");
    }

    #[test]
    fn an_ensemble_is_read_with_repeated_maps() {
        let config = parse(
            "platform: \"ensemble\" ensemble_scheduling { step [ { model_name: \"a\" model_version: -1\n\
             input_map { key: \"X\" value: \"IN\" } input_map { key: \"Y\" value: \"IN2\" }\n\
             output_map { key: \"Z\" value: \"OUT\" } } ] }",
        )
        .unwrap();
        let Some(model_config::SchedulingChoice::EnsembleScheduling(ensemble)) = config.scheduling_choice
        else {
            panic!("no ensemble");
        };
        let model_ensembling::Step { input_map, output_map, model_version, .. } = &ensemble.step[0];
        assert_eq!((input_map["Y"].as_str(), output_map["Z"].as_str(), *model_version), ("IN2", "OUT", -1));
    }

    #[test]
    fn mistakes_name_the_place_and_the_field() {
        for (text, place, says) in [
            ("name: \"m\"\nmax_batch_sise: 4\n", "line 2, column 1: ", "`max_batch_sise`"),
            (
                "input {\n  name: \"x\"\n  shape: [1]\n}",
                "line 3, column 3: ",
                "`shape` not found for message `ModelInput`",
            ),
            ("input { data_type: TYPE_FP31 }", "line 1, column 20: ", "`TYPE_FP31`"),
            ("name: \"é\" nam: 1", "line 1, column 11: ", "`nam`"),
            ("max_batch_size: 3000000000", "line 1, column 17: ", "out of range"),
            ("max_batch_size: \"four\"", "line 1, column 17: ", "expected"),
            ("name: \"a\"\nname: \"b\"", "line 2, column 7: ", "`name` is already set"),
            ("dynamic_batching {} sequence_batching {}", "line 1, column 39: ", "scheduling_choice"),
            ("input [{nam: 1}]", "line 1, column 9: ", "`nam`"),
            ("input[{name:'['}] output [ {nam: 1}]", "line 1, column 29: ", "`nam`"),
            ("input [ {\n  name: \"x\"\n", "line 3, column 1: ", "end of input"),
            ("name: \"m", "line 1, column ", ""),
            ("{}", "line 1, column 1: ", ""),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
            assert!(error.message().starts_with(place), "{text}: {error}");
            assert!(error.message().contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn json_of_either_manner_is_read() {
        for text in [
            r#"{"max_batch_size": 8, "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": ["-1", 3]}]}"#,
            r#"{"maxBatchSize": 8, "input": [{"name": "x", "dataType": 11, "dims": [-1, "3"]}]}"#,
        ] {
            let config = from_json(text).unwrap();
            assert_eq!((config.max_batch_size, config.input[0].dims.as_slice()), (8, [-1, 3].as_slice()));
            assert_eq!(config.input[0].data_type(), DataType::TypeFp32);
        }
        for (text, says) in [
            (r#"{"max_batch_sise": 8}"#, "max_batch_sise"),
            (r#"{"max_batch_size": "x"}"#, "line 1"),
            ("[]", "line 1"),
            ("{} {}", "trailing"),
        ] {
            let error = from_json(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.message().contains(says), "{text}: {error}");
        }
    }

    /// A message with about half of its fields set, by a seed (splitmix64).
    fn random(message: MessageDescriptor, seed: &mut u64) -> DynamicMessage {
        let mut found = DynamicMessage::new(message.clone());
        for field in message.fields() {
            if next(seed).is_multiple_of(2) {
                continue;
            }
            let count = if field.is_list() || field.is_map() { next(seed) % 3 } else { 1 };
            let value = if field.is_map() {
                let entry = field.kind();
                let entry = entry.as_message().unwrap();
                let pair = |seed: &mut u64| {
                    let key = random_value(&entry.map_entry_key_field().kind(), seed).into_map_key().unwrap();
                    (key, random_value(&entry.map_entry_value_field().kind(), seed))
                };
                Value::Map((0..count).map(|_| pair(seed)).collect())
            } else if field.is_list() {
                Value::List((0..count).map(|_| random_value(&field.kind(), seed)).collect())
            } else {
                random_value(&field.kind(), seed)
            };
            found.set_field(&field, value);
        }
        found
    }

    fn next(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn random_value(kind: &Kind, seed: &mut u64) -> Value {
        const TEXTS: [&str; 8] =
            ["", "x", "it's", "\"q\"", "back\\slash", "two\nlines\t\u{1}7", "é 日本", "# [ { : }"];
        let bits = next(seed);
        match kind {
            Kind::Message(message) => Value::Message(random(message.clone(), seed)),
            Kind::Enum(values) => {
                let all: Vec<i32> = values.values().map(|value| value.number()).collect();
                Value::EnumNumber(all[bits as usize % all.len()])
            }
            Kind::String => Value::String(TEXTS[bits as usize % TEXTS.len()].to_owned()),
            Kind::Bool => Value::Bool(bits.is_multiple_of(2)),
            Kind::Int32 => Value::I32(bits as i32),
            Kind::Int64 => Value::I64(bits as i64),
            Kind::Uint32 => Value::U32(bits as u32),
            Kind::Uint64 => Value::U64(bits),
            Kind::Float => Value::F32(f32::from(bits as i16) / 8.0),
            Kind::Double => Value::F64(f64::from(bits as i32) / 8.0),
            other => unreachable!("{other:?} is not in the message"),
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(mut seed in any::<u64>()) {
            let config: ModelConfig = random(descriptor(), &mut seed).transcode_to().unwrap();
            let text = to_text(&config);
            prop_assert_eq!(&parse(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?, &config);
            prop_assert_eq!(to_text(&parse(&text).unwrap()), text);
            let json = to_json(&config);
            prop_assert_eq!(&from_json(&json).map_err(|e| TestCaseError::fail(format!("{e}\n{json}")))?, &config);
        }

        #[test]
        fn damaged_text_is_an_error_and_no_panic(mut seed in any::<u64>(), at in any::<prop::sample::Index>(), junk in "\\PC{0,3}|[\\[\\]{}<>:;,'\"#\\-0-9a-z \n\\\\]{0,6}") {
            let config: ModelConfig = random(descriptor(), &mut seed).transcode_to().unwrap();
            let mut text: Vec<char> = to_text(&config).chars().collect();
            let place = at.index(text.len() + 1);
            let end = (place + junk.len() % 3).min(text.len());
            text.splice(place..end, junk.chars());
            let text: String = text.into_iter().collect();
            if let Err(error) = parse(&text) {
                prop_assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            }
            let _ = from_json(&text);
        }

        #[test]
        fn any_text_is_an_error_and_no_panic(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
