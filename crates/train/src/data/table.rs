//! A table of files and their classes: for images that do not lie in one folder a class.
//!
//! CSV, whose first line names the columns, or JSON Lines, an object a line. The file's name, from the table's folder, is
//! under `file`, `path`, `filename`, `file_name` or `image`, the class under `label`, `name` or `class`, or else its index
//! under `index` or `class_index`. `split` or `part`, where it is there, says what the image is for. Other columns do not
//! count.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tintype_core::{Error, ErrorKind, Result};

use super::{Dataset, Part};

/// What a table is called where it is looked for.
const TABLES: [&str; 3] = ["labels.csv", "metadata.csv", "metadata.jsonl"];

const FILES: [&str; 5] = ["file", "path", "filename", "file_name", "image"];
const CLASSES: [&str; 5] = ["label", "name", "class", "index", "class_index"];
const PARTS: [&str; 2] = ["split", "part"];

/// A line of a table.
#[derive(Debug, PartialEq)]
struct Row {
    file: String,
    class: String,
    part: Option<Part>,
}

/// The table that says what lies in `root`.
pub(super) fn within(root: &Path) -> Option<PathBuf> {
    TABLES.iter().map(|name| root.join(name)).find(|table| table.is_file())
}

/// The samples of a table; class names are sorted, indices are names in decimal.
///
/// # Errors
/// `NotFound` or `Io` when the table cannot be read; `InvalidArgument` when it is neither CSV nor JSON Lines, lacks a
/// column, a line has too few values, a file leads out of the table's folder, or there is no sample.
pub(super) fn read(table: &Path) -> Result<Dataset> {
    let text = std::fs::read_to_string(table).map_err(|e| Error::io(table, e))?;
    let text = text.trim_start_matches('\u{feff}');
    let rows = match table.extension().and_then(|e| e.to_str()) {
        Some("csv") => csv(text),
        Some("jsonl" | "ndjson") => jsonl(text),
        _ => Err(invalid(
            "expected a folder, a table that ends in .csv or .jsonl, or a .parquet file".to_owned(),
        )),
    };
    let rows = rows.map_err(|e| e.context(format!("`{}`", table.display())))?;
    let root = table.parent().unwrap_or(Path::new(""));
    Ok(Dataset::new(rows.into_iter().map(|row| (root.join(row.file).into(), row.class, row.part)).collect()))
}

fn csv(text: &str) -> Result<Vec<Row>> {
    let mut lines = text.lines().enumerate();
    let header = lines.next().map(|(_, line)| values(line)).unwrap_or_default();
    let column = |names: &[&str]| {
        names.iter().find_map(|name| header.iter().position(|h| h.trim().eq_ignore_ascii_case(name)))
    };
    let needed = |names: &[&str]| {
        column(names).ok_or_else(|| {
            let found = header.join(", ");
            invalid(format!("expected a column called one of {}, found {found}", names.join(", ")))
        })
    };
    let (file, class, part) = (needed(&FILES)?, needed(&CLASSES)?, column(&PARTS));
    let mut rows = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let values = values(line);
        let value = |column: usize| {
            let (expected, found) = (column + 1, values.len());
            values.get(column).map(String::as_str).ok_or_else(|| {
                invalid(format!("line {}: expected at least {expected} values, found {found}", number + 1))
            })
        };
        rows.push(row(number + 1, value(file)?, value(class)?, part.map(value).transpose()?)?);
    }
    some(rows)
}

fn jsonl(text: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let object: serde_json::Map<String, Value> = serde_json::from_str(line)
            .map_err(|e| invalid(format!("line {number}: expected a JSON object: {e}")))?;
        let member = |names: &[&str]| {
            names.iter().find_map(|name| match object.get(*name)? {
                Value::String(text) => Some(text.clone()),
                Value::Number(index) => Some(index.to_string()),
                _ => None,
            })
        };
        let needed = |names: &[&str]| {
            member(names).ok_or_else(|| {
                invalid(format!("line {number}: expected text or a number under one of {}", names.join(", ")))
            })
        };
        let part = member(&PARTS);
        rows.push(row(number, &needed(&FILES)?, &needed(&CLASSES)?, part.as_deref())?);
    }
    some(rows)
}

/// A checked row.
fn row(line: usize, file: &str, class: &str, part: Option<&str>) -> Result<Row> {
    // As little as with class folders, a data set reaches beyond its own folder.
    let inside = Path::new(file).components().all(|c| matches!(c, std::path::Component::Normal(_)));
    if file.is_empty() || !inside {
        return Err(invalid(format!("line {line}: expected a file inside the folder, found `{file}`")));
    }
    let part = match part {
        None => None,
        Some(name) => Some(Part::named(name.trim()).ok_or_else(|| {
            invalid(format!("line {line}: expected `train`, `val` or `test`, found `{name}`"))
        })?),
    };
    Ok(Row { file: file.to_owned(), class: class.to_owned(), part })
}

fn some(rows: Vec<Row>) -> Result<Vec<Row>> {
    if rows.is_empty() {
        return Err(invalid("expected at least one image, found none".to_owned()));
    }
    Ok(rows)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// The values of a line, which may be quoted (RFC 4180, but for line breaks in quotes).
fn values(line: &str) -> Vec<String> {
    let (mut values, mut value, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            // A doubled quote in quotes is one.
            '"' if quoted && letters.next_if_eq(&'"').is_some() => value.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(std::mem::take(&mut value)),
            _ => value.push(letter),
        }
    }
    values.push(value);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(file: &str, class: &str) -> Row {
        Row { file: file.to_owned(), class: class.to_owned(), part: None }
    }

    #[test]
    fn columns_are_found_by_name_and_values_may_be_quoted() {
        let rows = csv("wnid,File,Name\r\nn1,a.jpg,\"a \"\"b\"\", c\"\r\n\r\nn2,x/b.jpg,d\r\n").unwrap();
        assert_eq!(rows, [plain("a.jpg", "a \"b\", c"), plain("x/b.jpg", "d")]);
        assert_eq!(csv("class_index,image\n7,a.png").unwrap()[0].class, "7");
        let divided = csv("file,label,Split\na.png,x,validation\n").unwrap();
        assert_eq!(divided[0].part, Some(Part::Val));
    }

    #[test]
    fn tables_that_do_not_fit_are_errors() {
        for (text, expected) in [
            ("", "expected a column called one of file, path"),
            ("file,wnid\na.jpg,n1", "expected a column called one of label, name"),
            ("file,label\n", "expected at least one image"),
            ("file,label\na.jpg", "line 2: expected at least 2 values, found 1"),
            ("file,label\n../a.jpg,x", "line 2: expected a file inside the folder, found `../a.jpg`"),
            ("file,label\n/a.jpg,x", "line 2: expected a file inside the folder, found `/a.jpg`"),
            ("file,label,split\na.jpg,x,half", "line 2: expected `train`, `val` or `test`, found `half`"),
        ] {
            let error = csv(text).unwrap_err();
            assert!(error.message().contains(expected), "{text:?}: {error}");
        }
        for (text, expected) in [
            ("[1]", "line 1: expected a JSON object"),
            ("{\"file\": \"a.jpg\"}", "line 1: expected text or a number under one of label, name"),
            ("{\"file\": [], \"label\": 1}", "line 1: expected text or a number under one of file, path"),
            ("", "expected at least one image"),
        ] {
            let error = jsonl(text).unwrap_err();
            assert!(error.message().contains(expected), "{text:?}: {error}");
        }
    }
}
