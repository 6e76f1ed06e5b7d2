//! From a tree to the typed configuration, with errors in a user's words.

use serde_json::Value;
use tintype_core::Result;

use super::tree::{get, leaves, put, shown};
use super::{invalid, nearest};
use crate::config::TrainConfig;

/// The typed configuration.
///
/// # Errors
/// `InvalidConfig` naming the key, what was expected and what was found; the hint names the nearest key.
pub(super) fn typed(tree: &Value) -> Result<TrainConfig> {
    if let Some(path) =
        leaves(tree).iter().find(|path| get(tree, path).and_then(Value::as_str) == Some("???"))
    {
        return Err(missing(path));
    }
    if let Some(path) = leaves(tree).iter().find(|path| get(tree, path).and_then(Value::as_str) == Some("")) {
        return Err(invalid(format!("`{path}`: expected a value, found nothing"))
            .with_hint(format!("`{path}=null` leaves it out")));
    }
    let mut tree = tree.clone();
    loop {
        let error = match serde_path_to_error::deserialize::<_, TrainConfig>(&tree) {
            Ok(config) => return Ok(config),
            Err(error) => error,
        };
        let path = error.path().to_string();
        let message = error.inner().to_string();
        // A folder that is called `2024` was meant as text: where text is expected, numbers are.
        let wants_text = ["a string", "path string", "string or map"]
            .iter()
            .any(|e| message.ends_with(&format!("expected {e}")));
        match get(&tree, &path) {
            Some(Value::Number(number)) if wants_text => {
                let text = Value::String(number.to_string());
                put(&mut tree, &path, text);
            }
            found => return Err(explain(&path, &message, found)),
        }
    }
}

/// A value that has to be given.
fn missing(path: &str) -> tintype_core::Error {
    let word = match path {
        "data.path" => "data",
        "model.path" => "backbone",
        other => other,
    };
    invalid(format!("`{word}=…` is missing")).with_hint(super::usage())
}

/// serde's message in the words of the command line.
fn explain(path: &str, message: &str, found: Option<&Value>) -> tintype_core::Error {
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let (_, known) = rest.split_once('`').unwrap_or((rest, ""));
        let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
        let known: Vec<String> = known
            .split('`')
            .skip(1)
            .step_by(2)
            .map(|name| if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") })
            .collect();
        let error = invalid(format!("unknown key `{path}`"));
        return match nearest(path, &known) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint(format!("there are {}", known.join(", "))),
        };
    }
    if let Some(name) = message.strip_prefix("missing field `").and_then(|m| m.split('`').next()) {
        let path = if path.is_empty() || path == "." { name.to_owned() } else { format!("{path}.{name}") };
        return missing(&path);
    }
    let expected = message.rsplit_once("expected ").map_or(message, |(_, expected)| expected);
    let expected = match expected {
        "f64" | "f32" => "a number",
        "usize" | "u64" | "u32" => "a whole number of at least 0",
        "i64" | "i32" => "a whole number",
        "a boolean" => "`true` or `false`",
        "a string" | "path string" => "text",
        "an array of length 4" => "four whole numbers as `[64,128,256,512]`",
        other => other,
    };
    let expected = expected.strip_prefix("one of ").unwrap_or(expected).replace("`, `", "` or `");
    match found {
        // A message of our own, as of `device`, has both already.
        Some(_) if !message.contains("expected ") || message.contains(", found ") => {
            invalid(format!("`{path}`: {message}"))
        }
        Some(value) => invalid(format!("`{path}`: expected {expected}, found `{}`", shown(value))),
        None => invalid(format!("`{path}`: {message}")),
    }
}
