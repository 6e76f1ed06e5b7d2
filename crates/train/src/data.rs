//! Finding a data set: folders or a list in, a sorted list of samples out.
//!
//! ```text
//! <root>/<class>/…                      class folders
//! <root>/{train,val,test}/<class>/…     divided by whoever made it
//! <root>/dog.12.jpg, cat_7.png          the class in the name
//! <root>/labels.csv, <list>.csv|.jsonl  a table, perhaps with a column that divides
//! <root>/data/train-….parquet           images in rows, as Hugging Face's `datasets` writes them
//! ```
//!
//! Where an image's bytes are is its [`Origin`]. Files are listed by extension and read only to be hashed
//! ([`crate::split`]) and examined ([`crate::doctor`]); what their bytes are is found out when they are decoded, where
//! unreadable ones are reported and left out.

mod folders;
mod names;
mod origin;
mod parquet;
mod table;

use std::path::Path;

use tintype_core::{Error, ErrorKind, Result};

pub use origin::{Origin, Row};

/// A labelled set of images.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Class names, sorted; a sample's class is an index into them.
    pub classes: Vec<String>,
    /// The images, by class and origin.
    pub samples: Vec<Sample>,
}

/// An image and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Where its bytes are.
    pub origin: Origin,
    /// Index of its class.
    pub class: usize,
    /// What it is for, where the data set says that.
    pub part: Option<Part>,
}

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// To learn from.
    Train,
    /// To choose by: epochs, settings, thresholds.
    Val,
    /// Left alone until the end.
    Test,
}

impl Part {
    /// The part that a folder or a table calls so: `train`, `val` and `test`, and what else is usual for them.
    fn named(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" => Some(Self::Val),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}

impl Dataset {
    /// Lists what lies at `root`, a folder, a table or a Parquet file.
    ///
    /// # Errors
    /// `NotFound` or `Io` when a table, a folder or a Parquet file cannot be read; `InvalidArgument` when there is no
    /// image, a class has none, or a table or Parquet file is not one.
    pub fn open(root: &Path) -> Result<Self> {
        if !root.is_dir() {
            let is_parquet = parquet::is_one(root);
            return if is_parquet { parquet::read(&[root.to_owned()]) } else { table::read(root) };
        }
        if let Some(table) = table::within(root) {
            return table::read(&table);
        }
        let shards = parquet::within(root)?;
        if !shards.is_empty() {
            parquet::check_complete(&shards)?;
            return parquet::read(&shards);
        }
        let folders = folders::visible(root)?;
        if folders.is_empty() {
            return names::read(root);
        }
        match folders::parts(root, &folders) {
            Some(parts) => folders::divided(&parts),
            None => folders::classes(root, &folders),
        }
    }

    /// As [`Dataset::open`], for learning: with two classes at least.
    ///
    /// # Errors
    /// As there.
    pub fn to_learn_from(root: &Path) -> Result<Self> {
        let data = Self::open(root)?;
        if data.classes.len() < 2 {
            let found = data.classes.join("`, `");
            let message = format!("`{}`: expected at least 2 classes, found `{found}`", root.display());
            return Err(Error::new(ErrorKind::InvalidArgument, message)
                .with_hint("put the images of each class into a folder named after it"));
        }
        Ok(data)
    }

    /// Images without classes: [`Dataset::classes`] is empty, every sample's class is 0.
    pub fn unlabelled(images: Vec<Origin>) -> Self {
        let samples = images.into_iter().map(|origin| Sample { origin, class: 0, part: None }).collect();
        Self { classes: Vec::new(), samples }
    }

    /// Samples by the names of their classes, which need not be in order.
    fn new(named: Vec<(Origin, String, Option<Part>)>) -> Self {
        let mut classes: Vec<String> = named.iter().map(|(_, class, _)| class.clone()).collect();
        classes.sort();
        classes.dedup();
        let class_of = |class: &String| classes.binary_search(class).unwrap_or_default();
        let mut samples: Vec<Sample> = named
            .into_iter()
            .map(|(origin, class, part)| Sample { origin, class: class_of(&class), part })
            .collect();
        samples.sort_by(|a, b| (a.class, &a.origin).cmp(&(b.class, &b.origin)));
        Self { classes, samples }
    }

    /// Checks that there is something to learn each class from, where a data set divides itself.
    fn learnable(self) -> Result<Self> {
        let learned = self.samples.iter().filter(|sample| sample.part == Some(Part::Train));
        if learned.clone().next().is_none() {
            return Ok(self);
        }
        match self.class_counts(learned).iter().position(|&count| count == 0) {
            None => Ok(self),
            Some(class) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("class `{}` has no image to learn from", self.classes[class]),
            )),
        }
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

    /// Path, class and part of each sample.
    fn found(dir: &Path, data: &Dataset) -> Vec<(String, usize, Option<Part>)> {
        let path = |s: &Sample| {
            let Origin::File(path) = &s.origin else { panic!("{} is no file", s.origin) };
            path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned()
        };
        data.samples.iter().map(|s| (path(s), s.class, s.part)).collect()
    }

    #[test]
    fn folders_are_classes_in_sorted_order() {
        let dir =
            tree(&["dog/1.JPG", "cat/2.png", "cat/more/1.webp", "cat/notes.txt", ".git/x.png", "read.png"]);
        let data = Dataset::to_learn_from(dir.path()).unwrap();
        assert_eq!(data.classes, ["cat", "dog"]);
        let expected = [("cat/2.png", 0), ("cat/more/1.webp", 0), ("dog/1.JPG", 1)];
        assert_eq!(found(dir.path(), &data), expected.map(|(file, class)| (file.into(), class, None)));
        assert_eq!(data.class_counts(&data.samples), [2, 1]);
    }

    #[test]
    fn folders_of_parts_divide_the_data() {
        let dir =
            tree(&["train/dog/1.png", "train/cat/1.png", "valid/dog/2.png", "test/cat/3.png", "notes.txt"]);
        let data = Dataset::open(dir.path()).unwrap();
        assert_eq!(data.classes, ["cat", "dog"]);
        let expected = [
            ("test/cat/3.png", 0, Part::Test),
            ("train/cat/1.png", 0, Part::Train),
            ("train/dog/1.png", 1, Part::Train),
            ("valid/dog/2.png", 1, Part::Val),
        ];
        assert_eq!(
            found(dir.path(), &data),
            expected.map(|(file, class, part)| (file.into(), class, Some(part)))
        );
        let mixed = tree(&["train/1.png", "freight/2.png"]);
        assert_eq!(Dataset::open(mixed.path()).unwrap().classes, ["freight", "train"], "classes, both");
    }

    #[test]
    fn without_folders_the_names_say_the_class() {
        let dir = tree(&["dog.12.jpg", "cat.7.jpg", "cat-8.jpg", "Egyptian_cat_9.png"]);
        let data = Dataset::open(dir.path()).unwrap();
        assert_eq!(data.classes, ["Egyptian_cat", "cat", "dog"]);
        let expected = [("Egyptian_cat_9.png", 0), ("cat-8.jpg", 1), ("cat.7.jpg", 1), ("dog.12.jpg", 2)];
        assert_eq!(found(dir.path(), &data), expected.map(|(file, class)| (file.into(), class, None)));
        let odd = tree(&["dog.12.jpg", "holiday.jpg"]);
        let error = Dataset::open(odd.path()).unwrap_err();
        assert!(error.message().contains("the name `holiday.jpg` says no class"), "{error}");
    }

    #[test]
    fn a_table_comes_before_folders_and_may_divide() {
        let dir = tree(&["dog/1.jpg", "cat/2.png", "3.jpg"]);
        assert_eq!(Dataset::open(dir.path()).unwrap().classes, ["cat", "dog"]);
        std::fs::write(dir.path().join("labels.csv"), "file,label\n3.jpg,owl\ndog/1.jpg,fox\n").unwrap();
        let data = Dataset::open(dir.path()).unwrap();
        assert_eq!(data.classes, ["fox", "owl"]);
        let expected = [("dog/1.jpg", 0, None), ("3.jpg", 1, None)];
        assert_eq!(found(dir.path(), &data), expected.map(|(file, class, part)| (file.into(), class, part)));
        let list = dir.path().join("list.jsonl");
        let lines = "{\"image\": \"3.jpg\", \"label\": 1, \"split\": \"val\"}\n\n{\"image\": \"dog/1.jpg\", \"label\": 0, \"split\": \"train\"}\n";
        std::fs::write(&list, lines).unwrap();
        let data = Dataset::open(&list).unwrap();
        let expected = [("dog/1.jpg", 0, Part::Train), ("3.jpg", 1, Part::Val)];
        assert_eq!(
            found(dir.path(), &data),
            expected.map(|(file, class, part)| (file.into(), class, Some(part)))
        );
    }

    #[test]
    fn too_few_classes_and_empty_ones_are_errors() {
        let one = tree(&["cat/1.png"]);
        let error = Dataset::to_learn_from(one.path()).unwrap_err();
        assert!(error.message().contains("at least 2 classes, found `cat`"), "{error}");
        let empty = tree(&["cat/1.png", "dog/notes.txt"]);
        let error = Dataset::open(empty.path()).unwrap_err();
        assert!(error.message().contains("has no image"), "{error}");
        let nothing = tree(&["notes.txt"]);
        let error = Dataset::open(nothing.path()).unwrap_err();
        assert!(error.message().contains("has no image"), "{error}");
        let error = Dataset::open(&one.path().join("absent")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let part = tree(&["train/cat/1.png", "train/dog/1.png", "val/bird/1.png"]);
        let error = Dataset::open(part.path()).unwrap_err();
        assert!(error.message().contains("class `bird` has no image to learn from"), "{error}");
    }
}
