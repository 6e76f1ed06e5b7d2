//! Finding a data set: class folders, or a table of files and classes, in; a sorted list of samples out.
//!
//! Files are listed by extension and read only to be hashed ([`crate::split`]); what their bytes are is found out
//! when they are decoded, where unreadable ones are reported and left out.

use std::path::{Path, PathBuf};

use tintype_core::image::{EXTENSIONS, has_image_extension};
use tintype_core::{Error, ErrorKind, Result};
use walkdir::WalkDir;

use crate::labels_csv;

/// A labelled set of image files.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Class names, sorted; a sample's class is an index into them.
    pub classes: Vec<String>,
    /// The images, by class and path.
    pub samples: Vec<Sample>,
}

/// An image file and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The file.
    pub path: PathBuf,
    /// Index of its class.
    pub class: usize,
}

impl Dataset {
    /// Lists what `root/labels.csv` names (see [`crate::labels_csv`]), or without one what lies in its class folders.
    ///
    /// # Errors
    /// `NotFound` or `Io` when the table or a folder cannot be read; `InvalidArgument` when there is no image, or the table
    /// is not one.
    pub fn open(root: &Path) -> Result<Self> {
        if root.join(labels_csv::FILE).is_file() {
            labels_csv::read(root)
        } else {
            Self::from_class_folders(root, 1)
        }
    }

    /// Lists `root/<class>/…`, where a class's images may lie in folders of their own.
    ///
    /// Hidden files and folders are passed over, as are files that are not named as images.
    ///
    /// # Errors
    /// `NotFound` or `Io` when a folder cannot be read; `InvalidArgument` when there are fewer than `least` class
    /// folders or one of them has no image.
    pub fn from_class_folders(root: &Path, least: usize) -> Result<Self> {
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(root).map_err(|e| Error::io(root, e))? {
            let entry = entry.map_err(|e| Error::io(root, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && entry.path().is_dir() {
                folders.push(name);
            }
        }
        folders.sort();
        if folders.len() < least {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "`{}`: expected at least {least} class folders, found {}",
                    root.display(),
                    folders.len()
                ),
            )
            .with_hint("put the images of each class into a folder named after it"));
        }
        let mut samples = Vec::new();
        for (class, name) in folders.iter().enumerate() {
            let before = samples.len();
            samples.extend(images_under(&root.join(name))?.into_iter().map(|path| Sample { path, class }));
            if samples.len() == before {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("class folder `{}` has no image", root.join(name).display()),
                )
                .with_hint(format!("files that end in {} count", EXTENSIONS.join(", "))));
            }
        }
        Ok(Self { classes: folders, samples })
    }

    /// How many of `samples` (all, or some of them) each class has.
    pub fn class_counts<'a>(&self, samples: impl IntoIterator<Item = &'a Sample>) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for sample in samples {
            counts[sample.class] += 1;
        }
        counts
    }
}

fn images_under(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let visible = |e: &walkdir::DirEntry| e.depth() == 0 || !e.file_name().to_string_lossy().starts_with('.');
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter().filter_entry(visible)
    {
        let entry = entry.map_err(|e| {
            let path = e.path().unwrap_or(folder).to_owned();
            Error::new(ErrorKind::Io, format!("`{}`: {e}", path.display())).with_source(e)
        })?;
        if entry.file_type().is_file() && has_image_extension(entry.path()) {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        dir
    }

    #[test]
    fn folders_are_classes_in_sorted_order() {
        let dir =
            tree(&["dog/1.JPG", "cat/2.png", "cat/more/1.webp", "cat/notes.txt", ".git/x.png", "read.png"]);
        let data = Dataset::from_class_folders(dir.path(), 2).unwrap();
        assert_eq!(data.classes, ["cat", "dog"]);
        let found: Vec<_> = data
            .samples
            .iter()
            .map(|s| (s.path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned(), s.class))
            .collect();
        assert_eq!(found, [("cat/2.png".into(), 0), ("cat/more/1.webp".into(), 0), ("dog/1.JPG".into(), 1)]);
        assert_eq!(data.class_counts(&data.samples), [2, 1]);
    }

    #[test]
    fn a_table_comes_before_folders() {
        let dir = tree(&["dog/1.jpg", "cat/2.png", "3.jpg"]);
        assert_eq!(Dataset::open(dir.path()).unwrap().classes, ["cat", "dog"]);
        std::fs::write(dir.path().join("labels.csv"), "file,label\n3.jpg,owl\ndog/1.jpg,fox\n").unwrap();
        let data = Dataset::open(dir.path()).unwrap();
        assert_eq!(data.classes, ["fox", "owl"]);
        let sample = |file: &str, class| Sample { path: dir.path().join(file), class };
        assert_eq!(data.samples, [sample("dog/1.jpg", 0), sample("3.jpg", 1)]);
    }

    #[test]
    fn too_few_classes_and_empty_ones_are_errors() {
        let one = tree(&["cat/1.png"]);
        let error = Dataset::from_class_folders(one.path(), 2).unwrap_err();
        assert!(error.message().contains("at least 2 class folders, found 1"), "{error}");
        let empty = tree(&["cat/1.png", "dog/notes.txt"]);
        let error = Dataset::from_class_folders(empty.path(), 2).unwrap_err();
        assert!(error.message().contains("has no image"), "{error}");
        let error = Dataset::from_class_folders(&one.path().join("absent"), 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
