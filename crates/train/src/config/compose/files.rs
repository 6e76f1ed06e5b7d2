//! Where configuration files come from: folders of the user's first, then the ones in this crate.
//!
//! A file is named by its path without `.yaml`, as in `optim/adam`; the first found counts. A name that begins with `_` is
//! no option but may be included.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tintype_core::{Error, ErrorKind, Result};
use tintype_graph::arch::{ARCHITECTURES, Architecture};

use super::invalid;

/// The crate's own files.
pub(super) const EMBEDDED: &[(&str, &str)] = &[
    ("train", include_str!("../conf/train.yaml")),
    ("model/onnx", include_str!("../conf/model/onnx.yaml")),
    ("model/_architecture", include_str!("../conf/model/_architecture.yaml")),
    ("model/small_cnn", include_str!("../conf/model/small_cnn.yaml")),
    ("data/folder", include_str!("../conf/data/folder.yaml")),
    ("optim/_base", include_str!("../conf/optim/_base.yaml")),
    ("optim/adam", include_str!("../conf/optim/adam.yaml")),
    ("optim/adamw", include_str!("../conf/optim/adamw.yaml")),
    ("optim/sgd", include_str!("../conf/optim/sgd.yaml")),
    ("augment/_base", include_str!("../conf/augment/_base.yaml")),
    ("augment/none", include_str!("../conf/augment/none.yaml")),
    ("augment/flip", include_str!("../conf/augment/flip.yaml")),
    ("augment/cifar", include_str!("../conf/augment/cifar.yaml")),
    ("augment/imagenet", include_str!("../conf/augment/imagenet.yaml")),
    ("augment/strong", include_str!("../conf/augment/strong.yaml")),
    ("trainer/default", include_str!("../conf/trainer/default.yaml")),
];

/// The group whose options are the architectures, too.
const MODEL: &str = "model";
/// What all of them are described by, but for the name.
const ARCHITECTURE: &str = "_architecture";
/// The origin of the crate's own files.
const BUILT_IN: &str = "built in";

/// A group that has no file here: what users name their own combinations.
const EXPERIMENT: &str = "experiment";

/// The folders that files are looked for in, before the embedded ones.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub folders: Vec<PathBuf>,
}

/// One configuration file.
#[derive(Debug, Clone)]
pub(super) struct File {
    /// Its path, or `built in`.
    pub origin: String,
    /// What `# @package` says.
    pub package: Option<String>,
    /// Its defaults list; none where it has none.
    pub defaults: Vec<Value>,
    /// The rest.
    pub body: Value,
}

impl Files {
    /// Whether there is a group of this name.
    pub fn is_group(&self, name: &str) -> bool {
        name == EXPERIMENT || !self.options(name).is_empty()
    }

    /// The options of a group, sorted.
    pub fn options(&self, group: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        for folder in &self.folders {
            for entry in std::fs::read_dir(folder.join(group)).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                found.extend(name.strip_suffix(".yaml").map(str::to_owned));
            }
        }
        for (name, _) in EMBEDDED {
            found.extend(name.rsplit_once('/').filter(|(g, _)| *g == group).map(|(_, o)| o.to_owned()));
        }
        if group == MODEL {
            found.extend(ARCHITECTURES.iter().map(|a| a.name.to_owned()));
        }
        found.retain(|name| !name.starts_with('_'));
        found.into_iter().collect()
    }

    /// Reads a file; none where there is none.
    ///
    /// # Errors
    /// `InvalidConfig` when it is no YAML map, or its name leads out of the folder; `Io`.
    pub fn read(&self, name: &str) -> Result<Option<File>> {
        if name.split('/').any(|part| part.is_empty() || part == "..") || name.contains('\\') {
            return Err(invalid(format!("expected the name of a configuration file, found `{name}`")));
        }
        for folder in &self.folders {
            let path = folder.join(format!("{name}.yaml"));
            if path.is_file() {
                let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
                return File::parse(path.display().to_string(), &text).map(Some);
            }
        }
        if let Some((_, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) {
            return File::parse(BUILT_IN.to_owned(), text).map(Some);
        }
        Ok(name.split_once('/').filter(|(group, _)| *group == MODEL).and_then(|(_, name)| architecture(name)))
    }

    /// Why there is no such option, and what there is.
    pub fn absent(&self, group: &str, option: &str) -> Error {
        let options = self.options(group);
        let error = Error::new(ErrorKind::InvalidConfig, format!("`{group}` has no option `{option}`"));
        if options.is_empty() {
            return error.with_hint(format!("`{}` would be one", self.place(&format!("{group}/{option}"))));
        }
        error.with_hint(format!("its options are {}", options.join(", ")))
    }

    /// Why there is no file to begin with.
    pub fn absent_primary(&self, name: &str) -> Error {
        let error = Error::new(ErrorKind::InvalidConfig, format!("there is no configuration `{name}`"));
        error.with_hint(format!("`{}` would be one", self.place(name)))
    }

    /// Where a file of this name would be looked for first.
    fn place(&self, name: &str) -> String {
        let folder = self.folders.first().map_or(Path::new("conf"), PathBuf::as_path);
        folder.join(format!("{name}.yaml")).display().to_string()
    }
}

/// The option of an architecture: what all have, under its name. A transformer goes without its patch's size as well.
fn architecture(name: &str) -> Option<File> {
    let called = |a: &&Architecture| a.name == name || a.name.strip_suffix("_patch16_224") == Some(name);
    let found = ARCHITECTURES.iter().find(called)?;
    let defaults = vec![Value::from(ARCHITECTURE), Value::from("_self_")];
    Some(File { origin: BUILT_IN.to_owned(), package: None, defaults, body: json!({ "name": found.name }) })
}

impl File {
    fn parse(origin: String, text: &str) -> Result<Self> {
        let package = text
            .lines()
            .take_while(|line| line.starts_with('#') || line.trim().is_empty())
            .find_map(|line| line.strip_prefix("# @package").map(|name| name.trim().to_owned()));
        let mut body = yaml(text).map_err(|e| e.context(format!("`{origin}`")))?;
        if body.is_null() {
            body = Value::Object(Map::new());
        }
        let map = body
            .as_object_mut()
            .ok_or_else(|| invalid(format!("`{origin}`: expected a map of keys and values")))?;
        let defaults = match map.shift_remove("defaults") {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(invalid(format!("`{origin}`: expected a list after `defaults:`"))),
        };
        Ok(Self { origin, package, defaults, body })
    }
}

/// A YAML document as a tree. `yes` and `on` are text, as in YAML 1.2.
fn yaml(text: &str) -> Result<Value> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        invalid(first.strip_prefix("error: ").unwrap_or(first).to_owned()).with_source(error)
    })
}
