//! The parser of `config.pbtxt` and its JSON against Google's protobuf (`data/triton/reference.py`), and the page about it.

use serde_json::Value;
use tintype_core::triton;

/// Texts that protobuf refuses and this parser takes: a blank after a minus, a list of numbers without a colon.
const LENIENT: &[&str] = &["max_batch_size: - 3", "input { dims [1, 2] }"];

#[test]
fn texts_are_read_as_protobuf_reads_them() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("data/triton/reference.json")).unwrap();
    assert!(rows.len() > 50);
    let mut problems = Vec::new();
    for row in &rows {
        let text = row["text"].as_str().unwrap();
        match (triton::parse(text), &row["json"]) {
            (found, Value::Null) if found.is_ok() != LENIENT.contains(&text) => {
                problems.push(format!("{text}: {found:?}"));
            }
            (Err(e), Value::Object(_)) => problems.push(format!("refused: {text}: {e}")),
            (Ok(config), expected @ Value::Object(_)) => {
                let found: Value = serde_json::from_str(&triton::to_json(&config)).unwrap();
                if found != *expected {
                    problems.push(format!("{text}\n  found    {found}\n  expected {expected}"));
                }
            }
            _ => {}
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// The table of `docs/model-repository.md`; run with `UPDATE_DOCS=1` to write it.
#[test]
fn the_documented_fields_are_these() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/model-repository.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once("<!-- fields -->\n").unwrap();
    let (found, after) = rest.split_once("<!-- end of fields -->").unwrap();
    let rows = triton::FIELDS.iter().map(|f| format!("| `{}` | {} | {} |\n", f.path, f.how.as_str(), f.note));
    let expected = format!("\n| field | here | which means |\n|---|---|---|\n{}\n", rows.collect::<String>());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let text = format!("{before}<!-- fields -->\n{expected}<!-- end of fields -->{after}");
        std::fs::write(path, text).unwrap();
    } else {
        assert!(found == expected, "the table is stale; expected:\n{expected}");
    }
}
