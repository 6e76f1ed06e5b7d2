//! Which files a model keeps its weights in, apart from the ONNX file itself.
//!
//! A large model's tensors may lie in "external data" files: `TensorProto.external_data` (field 13 of `onnx.proto`) holds
//! key-value pairs, one with the key `location`. This module finds those pairs by their bytes; the graph crate, which
//! reads ONNX in full, sits above this one.

use std::collections::BTreeSet;

use crate::{Error, ErrorKind, Result};

/// `StringStringEntryProto.key = "location"`: field 1, 8 bytes.
const KEY: &[u8] = b"\x0a\x08location";
/// The tags of `TensorProto.external_data` and `StringStringEntryProto.value`, both length-delimited.
const EXTERNAL_DATA: u8 = 13 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;

/// The locations of a model's external data, relative to the ONNX file, sorted.
///
/// # Errors
/// `InvalidPackage` for a location that is not a plain file name below the model's folder.
pub fn locations(onnx: &[u8]) -> Result<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut start = 0;
    while let Some(offset) = find(&onnx[start..], KEY) {
        let at = start + offset;
        start = at + KEY.len();
        if let Some(location) = location(onnx, at) {
            if !is_below(location) {
                return Err(Error::new(
                    ErrorKind::InvalidPackage,
                    format!(
                        "the model keeps weights in `{location}`: expected a path below the model's folder"
                    ),
                ));
            }
            found.insert(location.to_owned());
        }
    }
    Ok(found.into_iter().collect())
}

/// The value beside the key at `at`, where the two are a whole entry of `external_data`.
fn location(onnx: &[u8], at: usize) -> Option<&str> {
    let value = at + KEY.len();
    let (length, text) = length(onnx, value.checked_add(1)?).filter(|_| onnx.get(value) == Some(&VALUE))?;
    let end = text.checked_add(length)?;
    // The entry's own length stands before the key, after the tag: one byte, or two from 128 on.
    [2, 3].into_iter().find(|before| {
        at.checked_sub(*before).is_some_and(|tag| {
            onnx[tag] == EXTERNAL_DATA && self::length(onnx, tag + 1) == Some((end - at, at))
        })
    })?;
    std::str::from_utf8(onnx.get(text..end)?).ok()
}

/// A varint of one or two bytes at `at` and where the bytes after it begin: enough for a path.
fn length(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let low = *bytes.get(at)?;
    if low < 0x80 {
        return Some((usize::from(low), at + 1));
    }
    let high = *bytes.get(at + 1)?;
    (high < 0x80).then(|| (usize::from(low & 0x7f) | usize::from(high) << 7, at + 2))
}

fn is_below(location: &str) -> bool {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0', ':']);
    location.split('/').all(plain)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `TensorProto.external_data` with the given key and value, between other bytes.
    fn tensor(key: &str, value: &str) -> Vec<u8> {
        let mut entry = vec![0x0a, u8::try_from(key.len()).unwrap()];
        entry.extend(key.as_bytes());
        entry.push(VALUE);
        entry.extend(varint(value.len()));
        entry.extend(value.as_bytes());
        let mut tensor = vec![0x08, 0x01, EXTERNAL_DATA];
        tensor.extend(varint(entry.len()));
        tensor.extend(entry);
        tensor.extend([0x70, 0x01]);
        tensor
    }

    fn varint(n: usize) -> Vec<u8> {
        if n < 0x80 { vec![n as u8] } else { vec![(n & 0x7f | 0x80) as u8, (n >> 7) as u8] }
    }

    #[test]
    fn finds_each_file_once() {
        let long = format!("{}.data", "w".repeat(200));
        let onnx = [
            tensor("location", "b.data"),
            tensor("offset", "4096"),
            tensor("location", "w/a.data"),
            tensor("location", "b.data"),
            tensor("location", &long),
        ]
        .concat();
        assert_eq!(locations(&onnx).unwrap(), ["b.data", "w/a.data", &long]);
    }

    #[test]
    fn the_word_alone_is_no_external_data() {
        let mut metadata = tensor("location", "Lisbon");
        metadata[2] = 14 << 3 | 2;
        for bytes in
            [metadata, KEY.to_vec(), b"location".to_vec(), tensor("location", "x")[..14].to_vec(), vec![]]
        {
            assert_eq!(locations(&bytes).unwrap(), Vec::<String>::new(), "{bytes:?}");
        }
    }

    #[test]
    fn a_location_cannot_leave_the_folder() {
        for bad in ["../x", "/etc/passwd", "a/../../x", "a\\b", "C:x", ""] {
            assert!(locations(&tensor("location", bad)).is_err(), "{bad}");
        }
    }
}
