//! Images in one folder whose names begin with their class: `dog.12.jpg`, `Egyptian_cat_9.jpg`.

use std::path::Path;

use tintype_core::{Error, ErrorKind, Result};

use super::{Dataset, folders};

/// Lists the images in `root`.
///
/// # Errors
/// `InvalidArgument` when there is none, or a name says no class.
pub(super) fn read(root: &Path) -> Result<Dataset> {
    let mut named = Vec::new();
    for path in folders::under(root, 1)? {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let Some(class) = class_of(&stem).map(str::to_owned) else {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let message = format!("`{}`: the name `{name}` says no class", root.display());
            return Err(Error::new(ErrorKind::InvalidArgument, message).with_hint(
                "make a folder for each class, call the images `<class>.<number>`, or write a `labels.csv`",
            ));
        };
        named.push((path.into(), class, None));
    }
    if named.is_empty() {
        return Err(folders::no_image("folder", root));
    }
    Ok(Dataset::new(named))
}

/// What stands before a separator and the number at the end.
fn class_of(stem: &str) -> Option<&str> {
    let class = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    if class.len() == stem.len() {
        return None;
    }
    class.strip_suffix(['.', '_', '-']).filter(|class| !class.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_stands_before_the_number() {
        for (stem, class) in [
            ("dog.12", Some("dog")),
            ("red_fox_007", Some("red_fox")),
            ("a-b-1", Some("a-b")),
            ("dog12", None),
            ("dog", None),
            ("12", None),
            ("_12", None),
            ("dog.x1", None),
        ] {
            assert_eq!(class_of(stem), class, "{stem}");
        }
    }
}
