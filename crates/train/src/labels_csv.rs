//! A table of files and their classes, `labels.csv`: for images that do not lie in one folder a class.
//!
//! The first line names the columns. The file's name, from the table's folder, is under `file`, `path`, `filename` or `image`,
//! the class under `label`, `name` or `class`, or else its index under `index` or `class_index`. Other columns do not count.

use std::path::Path;

use tintype_core::{Error, ErrorKind, Result};

use crate::data::{Dataset, Sample};

/// What the table is called.
pub(crate) const FILE: &str = "labels.csv";

const FILES: [&str; 4] = ["file", "path", "filename", "image"];
const CLASSES: [&str; 5] = ["label", "name", "class", "index", "class_index"];

/// The samples of `root/labels.csv`; class names are sorted, indices are names in decimal.
///
/// # Errors
/// `NotFound` or `Io` when the table cannot be read; `InvalidArgument` when it lacks a column, a line has too few
/// values, a file leads out of `root`, or there is no sample.
pub(crate) fn read(root: &Path) -> Result<Dataset> {
    let table = root.join(FILE);
    let text = std::fs::read_to_string(&table).map_err(|e| Error::io(&table, e))?;
    let rows = rows(&text).map_err(|e| e.context(format!("`{}`", table.display())))?;
    let mut classes: Vec<String> = rows.iter().map(|(_, class)| class.clone()).collect();
    classes.sort();
    classes.dedup();
    let class_of = |class: &String| classes.binary_search(class).unwrap_or_default();
    let mut samples: Vec<Sample> =
        rows.iter().map(|(file, class)| Sample { path: root.join(file), class: class_of(class) }).collect();
    samples.sort_by(|a, b| (a.class, &a.path).cmp(&(b.class, &b.path)));
    Ok(Dataset { classes, samples })
}

/// File and class of each line.
fn rows(text: &str) -> Result<Vec<(String, String)>> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let header = lines.next().map(|(_, line)| values(line)).unwrap_or_default();
    let column = |names: &[&str]| {
        let found =
            names.iter().find_map(|name| header.iter().position(|h| h.trim().eq_ignore_ascii_case(name)));
        found.ok_or_else(|| {
            let found = header.join(", ");
            invalid(format!("expected a column called one of {}, found {found}", names.join(", ")))
        })
    };
    let (file, class) = (column(&FILES)?, column(&CLASSES)?);
    let mut rows = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let values = values(line);
        let (Some(file), Some(class)) = (values.get(file), values.get(class)) else {
            let (expected, found) = (file.max(class) + 1, values.len());
            return Err(invalid(format!(
                "line {}: expected at least {expected} values, found {found}",
                number + 1
            )));
        };
        // As little as with class folders, a data set reaches beyond its own folder.
        let inside = Path::new(file).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if file.is_empty() || !inside {
            return Err(invalid(format!(
                "line {}: expected a file inside the folder, found `{file}`",
                number + 1
            )));
        }
        rows.push((file.clone(), class.clone()));
    }
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

    #[test]
    fn columns_are_found_by_name_and_values_may_be_quoted() {
        let rows =
            rows("\u{feff}wnid,File,Name\r\nn1,a.jpg,\"a \"\"b\"\", c\"\r\n\r\nn2,x/b.jpg,d\r\n").unwrap();
        let expected = [("a.jpg", "a \"b\", c"), ("x/b.jpg", "d")];
        assert_eq!(rows, expected.map(|(file, class)| (file.to_owned(), class.to_owned())));
        assert_eq!(super::rows("class_index,image\n7,a.png").unwrap()[0].1, "7");
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
        ] {
            let error = rows(text).unwrap_err();
            assert!(error.message().contains(expected), "{text:?}: {error}");
        }
    }
}
