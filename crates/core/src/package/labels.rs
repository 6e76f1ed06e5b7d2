//! Class names: `labels.txt` of a model directory, `index_to_name.json` of a `.mar`.

use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Result};

/// Parses a `labels.txt`: one label a line, by class index. A byte order mark and CRLF line ends are tolerated, labels
/// may repeat.
///
/// # Errors
/// `InvalidPackage` naming the line that is empty.
pub fn parse(text: &str) -> Result<Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines()
        .enumerate()
        .map(|(i, line)| match line.trim() {
            "" => Err(invalid(format!("line {} is empty: expected one label a line", i + 1))),
            label => Ok(label.to_owned()),
        })
        .collect()
}

/// The labels as a `labels.txt`.
pub(super) fn to_text(labels: &[String]) -> String {
    labels.iter().map(|label| format!("{label}\n")).collect()
}

/// Checks that each label survives being written to a line and read back.
pub(super) fn check(labels: &[String]) -> Result<()> {
    for (i, label) in labels.iter().enumerate() {
        if label.is_empty() || label.trim() != label || label.contains(['\n', '\r', '\u{feff}']) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("label {i} is {label:?}: expected one line of text without blanks around it"),
            ));
        }
    }
    Ok(())
}

/// Parses an `index_to_name.json` in the forms that TorchServe takes: `{"0": "cat"}`, `{"0": ["n02123045", "cat"]}` (the
/// last element counts) and `{"object_type_names": ["cat"]}`.
pub(super) fn parse_index_to_name(text: &str) -> Result<Vec<String>> {
    let map: Map<String, Value> = serde_json::from_str(text).map_err(|e| invalid(e.to_string()))?;
    if let Some(Value::Array(names)) = map.get("object_type_names") {
        return names.iter().enumerate().map(|(i, value)| name(value, i)).collect();
    }
    if let Some(key) = map.keys().find(|key| !is_index(key)) {
        return Err(invalid(format!("key `{key}`: expected a class index, as in `{{\"0\": \"cat\"}}`")));
    }
    (0..map.len())
        .map(|i| match map.get(&i.to_string()) {
            Some(value) => name(value, i),
            None => Err(invalid(format!("class {i} of {} has no name", map.len()))),
        })
        .collect()
}

fn is_index(key: &str) -> bool {
    key.parse::<usize>().is_ok_and(|i| i.to_string() == key)
}

fn name(value: &Value, index: usize) -> Result<String> {
    let text = match value {
        Value::String(text) => Some(text.as_str()),
        Value::Array(parts) => parts.last().and_then(Value::as_str),
        _ => None,
    };
    match text.map(str::trim) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(invalid(format!("class {index} is {value}: expected a name or a list that ends in one"))),
    }
}

/// The labels as an `index_to_name.json`.
pub(super) fn to_index_to_name(labels: &[String]) -> String {
    let map: Map<String, Value> =
        labels.iter().enumerate().map(|(i, label)| (i.to_string(), Value::from(label.as_str()))).collect();
    format!("{:#}\n", Value::Object(map))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidPackage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_editor() {
        for text in ["cat\ndog\n", "cat\ndog", "\u{feff}cat\r\ndog\r\n", "cat \n\tdog\n"] {
            assert_eq!(parse(text).unwrap(), ["cat", "dog"], "{text:?}");
        }
        assert_eq!(parse("crane\ncrane\n").unwrap(), ["crane", "crane"]);
        assert_eq!(parse("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn an_empty_line_would_shift_the_classes() {
        for (text, line) in
            [("\ncat\n", "line 1"), ("cat\n\ndog\n", "line 2"), ("cat\n\n", "line 2"), ("a\n \n", "line 2")]
        {
            let error = parse(text).expect_err(text);
            assert!(error.message().contains(line), "{text:?}: {error}");
        }
    }

    #[test]
    fn torchserve_forms() {
        for text in [
            r#"{"1": "dog", "0": "cat"}"#,
            r#"{"0": ["n1", "cat"], "1": ["n2", "dog"]}"#,
            r#"{"object_type_names": ["cat", "dog"]}"#,
        ] {
            assert_eq!(parse_index_to_name(text).unwrap(), ["cat", "dog"], "{text}");
        }
    }

    #[test]
    fn index_to_name_must_name_every_class() {
        for (text, says) in [
            (r#"{"0": "cat", "2": "dog"}"#, "class 1 of 2 has no name"),
            (r#"{"cat": 0}"#, "key `cat`"),
            (r#"{"00": "cat"}"#, "key `00`"),
            (r#"{"0": 1}"#, "class 0 is 1"),
            (r#"{"0": []}"#, "class 0 is []"),
            (r#"{"0": ""}"#, "class 0 is \"\""),
            ("[1]", "expected a map"),
        ] {
            let error = parse_index_to_name(text).expect_err(text);
            assert!(error.message().contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let labels: Vec<String> = ["tench", "n01440764, \"quoted\"", "grün\\"].map(str::to_owned).into();
        assert_eq!(parse(&to_text(&labels)).unwrap(), labels);
        assert_eq!(parse_index_to_name(&to_index_to_name(&labels)).unwrap(), labels);
        for bad in ["", " a", "a\nb", "a\r", "\u{feff}a"] {
            assert!(check(&[bad.to_owned()]).is_err(), "{bad:?}");
        }
    }
}
