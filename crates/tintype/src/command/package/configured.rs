//! What `inspect` prints of a `config.pbtxt`: every field that it sets and what becomes of it.

use serde_json::{Value, json};
use tintype_core::triton::{self, FieldUse, ModelConfig};
use tintype_core::{Error, ErrorKind, Result};

/// A line for each field that is set.
pub fn fields_text(config: &ModelConfig) -> String {
    let line =
        |field: FieldUse| format!("config   {:<9} {}: {}\n", field.how.as_str(), field.path, field.note);
    triton::fields(config).into_iter().map(line).collect()
}

/// The same for programs.
pub fn fields_json(config: &ModelConfig) -> Value {
    let one = |field: FieldUse| json!({"path": field.path, "how": field.how.as_str(), "note": field.note});
    triton::fields(config).into_iter().map(one).collect()
}

/// The configuration as it is written, with defaults.
pub fn config_json(config: &ModelConfig) -> Value {
    serde_json::from_str(&triton::to_json(config)).unwrap_or_default()
}

/// What there is to say of an ensemble: its steps and its fields.
pub fn ensemble(name: &str, config: &ModelConfig, as_json: bool) -> Result<String> {
    if as_json {
        let shown = json!({
            "name": name,
            "format": "ensemble",
            "config": config_json(config),
            "config_fields": fields_json(config),
        });
        let text = serde_json::to_string_pretty(&shown);
        return text.map(|text| text + "\n").map_err(|e| Error::new(ErrorKind::Internal, e.to_string()));
    }
    let steps = config.steps().iter().map(|step| format!("step     {}\n", step.model_name));
    let steps: String = steps.collect();
    Ok(format!("name     {name}\nformat   ensemble\n{steps}{}", fields_text(config)))
}
