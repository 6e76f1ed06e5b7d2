//! The epochs of a run as they stand in `metrics.jsonl`: columns of numbers, whatever the trainer reports.

use std::path::Path;

use serde_json::{Map, Value};
use tintype_core::{Error, Result};

/// One epoch's fields.
pub(crate) type Epoch = Map<String, Value>;

/// The epochs in `metrics.jsonl`; lines of other events and broken ones are passed over.
///
/// # Errors
/// `Io`.
pub(crate) fn read(path: &Path) -> Result<Vec<Epoch>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Epoch>(line).ok());
    Ok(lines.filter(|fields| fields.get("event").is_some_and(|event| event == "epoch")).collect())
}

/// A column over the epochs; none where an epoch lacks it.
pub(crate) fn column(history: &[Epoch], name: &str) -> Option<Vec<f64>> {
    let values: Option<Vec<f64>> = history.iter().map(|epoch| epoch.get(name)?.as_f64()).collect();
    values.filter(|values| !values.is_empty())
}

/// Every number of every epoch: a line an epoch, columns in the order in which they first occur.
pub(crate) fn to_csv(history: &[Epoch]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, value) in history.iter().flatten() {
        if (value.is_number() || value.is_boolean()) && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut text = names.join(",") + "\n";
    for epoch in history {
        let cells: Vec<String> =
            names.iter().map(|name| epoch.get(*name).map(Value::to_string).unwrap_or_default()).collect();
        text += &(cells.join(",") + "\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_become_columns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let text = "{\"event\":\"epoch\",\"epoch\":1,\"loss\":0.5,\"best\":true}\n{\"event\":\"summary\"}\n\
                    {\"event\":\"epoch\",\"epoch\":2,\"loss\":0.25,\"best\":false,\"ema\":1}\n{\"ev";
        std::fs::write(&path, text).unwrap();
        let history = read(&path).unwrap();
        assert_eq!(to_csv(&history), "epoch,loss,best,ema\n1,0.5,true,\n2,0.25,false,1\n");
        assert_eq!(column(&history, "loss"), Some(vec![0.5, 0.25]));
        assert_eq!(column(&history, "ema"), None);
    }
}
