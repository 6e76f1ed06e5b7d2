//! The rules for names and versions: TorchServe's archiver's for names, Triton's for version directories.

use std::path::Path;

use crate::{Error, ErrorKind, Result};

/// The longest model name, in bytes.
const MAX_NAME_BYTES: usize = 128;

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Checks a model name: `^[A-Za-z0-9][A-Za-z0-9_\-.]*$`, at most 128 bytes.
///
/// # Errors
/// `InvalidArgument` with the name and the rule.
pub fn check_name(name: &str) -> Result<()> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && name.chars().all(allowed) && name.len() <= MAX_NAME_BYTES {
        return Ok(());
    }
    let shown: String = name.chars().take(MAX_NAME_BYTES).collect();
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!(
            "model name `{shown}`: expected a letter or digit, then letters, digits, `_`, `-` or `.`, at most \
             {MAX_NAME_BYTES} in all"
        ),
    ))
}

/// Checks a version that names a directory and returns its number. As Triton, without sign and leading zeros, and
/// within an `i64`.
///
/// # Errors
/// `InvalidArgument` with what was expected.
pub fn check_version(version: &str) -> Result<u64> {
    version_number(version).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArgument,
            format!("version `{version}`: expected a positive whole number, as in `1`"),
        )
    })
}

/// The number of a version directory, or `None` for a directory that Triton would not take for one.
pub(super) fn version_number(name: &str) -> Option<u64> {
    let digits = name.bytes().all(|b| b.is_ascii_digit()) && !name.starts_with('0');
    name.parse().ok().filter(|&n: &u64| digits && i64::try_from(n).is_ok())
}

/// A lawful name made of a file's stem: other characters become `_`, a bad beginning is cut, nothing left is `model`.
pub(super) fn from_file_stem(path: &Path) -> String {
    let stem = path.file_stem().map(|s| s.to_string_lossy()).unwrap_or_default();
    let name: String = stem
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(MAX_NAME_BYTES)
        .collect();
    if name.is_empty() { "model".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_archiver_rule() {
        for good in ["a", "0", "resnet-50_v1.5", &"x".repeat(128)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "_a", "a b", "a/b", "ä", "a\n", &"x".repeat(129)] {
            let error = check_name(bad).expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn versions_are_tritons() {
        assert_eq!(check_version("12").ok(), Some(12));
        assert_eq!(check_version("9223372036854775807").ok(), Some(i64::MAX as u64));
        for bad in
            ["", "0", "01", "+1", "-1", "1.0", "v1", " 1", "9223372036854775808", "99999999999999999999"]
        {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn any_file_stem_becomes_a_lawful_name() {
        for (path, name) in [
            ("m/mobilenet_v2 (1).onnx", "mobilenet_v2__1_"),
            ("_x.onnx", "x"),
            ("日本.onnx", "model"),
            ("model.tar.onnx", "model.tar"),
            ("..onnx", "model"),
        ] {
            let found = from_file_stem(Path::new(path));
            assert_eq!(found, name, "{path}");
            assert!(check_name(&found).is_ok(), "{path}");
        }
    }
}
