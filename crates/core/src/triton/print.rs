//! Writing a configuration: as Triton answers it in JSON, and as protobuf's text format.
//!
//! Both walk the message in the order in which `model_config.proto` declares its fields, with map keys sorted, so that
//! equal configurations give equal text.

use std::cmp::Ordering;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};
use serde_json::Value as Json;

use super::proto::ModelConfig;
use super::text::to_dynamic;

/// The configuration as Triton's `GET …/config` prints it: `snake_case` names, enums by name, defaults printed (fields of
/// their own message and those of a choice only where set), 64-bit integers as numbers, map keys as strings.
pub fn to_json(config: &ModelConfig) -> String {
    json_message(&to_dynamic(config)).to_string()
}

/// The configuration as a `config.pbtxt`, with the fields that are not at their defaults.
pub fn to_text(config: &ModelConfig) -> String {
    let mut text = String::new();
    text_message(&to_dynamic(config), 0, &mut text);
    text
}

/// The fields in the order of their declaration.
fn fields(message: &DynamicMessage) -> impl Iterator<Item = FieldDescriptor> {
    let descriptor = message.descriptor();
    let names: Vec<String> =
        descriptor.descriptor_proto().field.iter().map(|field| field.name().to_owned()).collect();
    names.into_iter().filter_map(move |name| descriptor.get_field_by_name(&name))
}

fn sorted_entries<'a>(
    map: impl IntoIterator<Item = (&'a MapKey, &'a Value)>,
) -> Vec<(&'a MapKey, &'a Value)> {
    let mut entries: Vec<_> = map.into_iter().collect();
    entries.sort_by(|(a, _), (b, _)| match (a, b) {
        (MapKey::U64(a), MapKey::U64(b)) => a.cmp(b),
        (MapKey::String(a), MapKey::String(b)) => a.cmp(b),
        _ => Ordering::Equal,
    });
    entries
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

/// The kind of a map's values.
fn value_kind(kind: &Kind) -> Kind {
    kind.as_message().map_or_else(|| kind.clone(), |entry| entry.map_entry_value_field().kind())
}

fn enum_name(kind: &Kind, number: i32) -> Option<String> {
    kind.as_enum().and_then(|e| e.get_value(number)).map(|value| value.name().to_owned())
}

fn json_message(message: &DynamicMessage) -> Json {
    let shown = fields(message).filter(|field| !field.supports_presence() || message.has_field(field));
    Json::Object(
        shown
            .map(|field| (field.name().to_owned(), json_value(&message.get_field(&field), &field.kind())))
            .collect(),
    )
}

fn json_value(value: &Value, kind: &Kind) -> Json {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::I32(value) => (*value).into(),
        Value::I64(value) => (*value).into(),
        Value::U32(value) => (*value).into(),
        Value::U64(value) => (*value).into(),
        // Through the shortest decimal, so that 0.1 stays 0.1.
        Value::F32(value) => value.to_string().parse::<f64>().map_or(Json::Null, Json::from),
        Value::F64(value) => (*value).into(),
        Value::String(value) => value.as_str().into(),
        Value::Bytes(value) => String::from_utf8_lossy(value).into(),
        Value::EnumNumber(number) => enum_name(kind, *number).map_or(Json::from(*number), Json::from),
        Value::Message(message) => json_message(message),
        Value::List(values) => values.iter().map(|value| json_value(value, kind)).collect(),
        Value::Map(map) => {
            let kind = value_kind(kind);
            let entries = sorted_entries(map).into_iter();
            Json::Object(entries.map(|(key, value)| (key_text(key), json_value(value, &kind))).collect())
        }
    }
}

fn text_message(message: &DynamicMessage, depth: usize, text: &mut String) {
    for field in fields(message).filter(|field| message.has_field(field)) {
        let (name, kind) = (field.name().to_owned(), field.kind());
        match message.get_field(&field).as_ref() {
            Value::List(values) if values.iter().all(|value| value.as_message().is_none()) => {
                let values: Vec<String> = values.iter().map(|value| text_scalar(value, &kind)).collect();
                line(depth, &format!("{name}: [{}]", values.join(", ")), text);
            }
            Value::List(values) => {
                for value in values {
                    text_field(&name, value, &kind, depth, text);
                }
            }
            Value::Map(map) => {
                let kind = value_kind(&kind);
                for (key, value) in sorted_entries(map) {
                    let key = match key {
                        MapKey::String(key) => quoted(key),
                        key => key_text(key),
                    };
                    line(depth, &format!("{name} {{"), text);
                    line(depth + 1, &format!("key: {key}"), text);
                    text_field("value", value, &kind, depth + 1, text);
                    line(depth, "}", text);
                }
            }
            value => text_field(&name, value, &kind, depth, text),
        }
    }
}

fn text_field(name: &str, value: &Value, kind: &Kind, depth: usize, text: &mut String) {
    match value {
        Value::Message(message) => {
            line(depth, &format!("{name} {{"), text);
            text_message(message, depth + 1, text);
            line(depth, "}", text);
        }
        scalar => line(depth, &format!("{name}: {}", text_scalar(scalar, kind)), text),
    }
}

fn text_scalar(value: &Value, kind: &Kind) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::String(value) => quoted(value),
        Value::EnumNumber(number) => enum_name(kind, *number).unwrap_or_else(|| number.to_string()),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        value => match json_value(value, kind) {
            Json::Number(number) => number.to_string(),
            other => other.to_string(),
        },
    }
}

fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if u32::from(c) < 32 || c == '\u{7f}' => text.push_str(&format!("\\{:03o}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

fn line(depth: usize, content: &str, text: &mut String) {
    text.push_str(&"  ".repeat(depth));
    text.push_str(content);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::text::parse;
    use super::*;

    #[test]
    fn json_is_tritons() {
        let config = parse(
            "name: 'm' max_batch_size: 4 input { name: 'x' data_type: TYPE_FP32 format: FORMAT_NCHW dims: [3, -1] } \
             dynamic_batching { max_queue_delay_microseconds: 9007199254740993 priority_levels: 2 \
             priority_queue_policy { key: 2 value { max_queue_size: 3 } } \
             priority_queue_policy { key: 1 value { timeout_action: DELAY } } }",
        )
        .unwrap();
        let found = to_json(&config);
        assert!(found.contains("9007199254740993"), "{found}");
        let found: Json = serde_json::from_str(&found).unwrap();
        let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            [
                "name",
                "platform",
                "backend",
                "runtime",
                "max_batch_size",
                "input",
                "output",
                "batch_input",
                "batch_output",
                "dynamic_batching",
                "instance_group",
                "default_model_filename",
                "cc_model_filenames",
                "metric_tags",
                "parameters",
                "model_warmup"
            ]
        );
        assert_eq!(
            found["input"],
            json!([{"name": "x", "data_type": "TYPE_FP32", "format": "FORMAT_NCHW", "dims": [3, -1],
                    "is_shape_tensor": false, "allow_ragged_batch": false, "optional": false,
                    "is_non_linear_format_io": false}])
        );
        let policy = |action: &str, size: u32| {
            json!({"timeout_action": action, "default_timeout_microseconds": 0, "allow_timeout_override": false,
                   "max_queue_size": size})
        };
        let expected = json!({"1": policy("DELAY", 0), "2": policy("REJECT", 3)});
        assert_eq!(found["dynamic_batching"]["priority_queue_policy"], expected);
    }

    #[test]
    fn text_has_what_is_set() {
        let text = "name: \"a \\\"b\\\"\\n\\001\"\nversion_policy {\n  all {\n  }\n}\nmax_batch_size: 4\ninput {\n  name: \"x\"\n  \
                    data_type: TYPE_FP32\n  dims: [3, -1]\n}\nmetric_tags {\n  key: \"k\"\n  value: \"v\"\n}\n";
        assert_eq!(to_text(&parse(text).unwrap()), text);
    }
}
