//! The parser of `config.pbtxt` and its JSON against Google's protobuf (`data/triton/reference.py`).
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

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
