//! Configuration composed in Hydra's manner: files in groups, chosen and overridden by words.
//!
//! ```text
//! words ─ grammar ─┐
//! files ─ expand ──┴▸ layers ─ merge ─▸ tree ─ words ─▸ tree ─ interpolate ─▸ typed
//! ```
//!
//! [`sweep`] makes several lists of words out of one, before any of this. What a key means is not known here, save for
//! those by which a training begins: `scope`, `model.path`, `data.path` and their short forms.

mod expand;
mod files;
mod grammar;
mod interpolate;
mod resume;
mod sweep;
mod tree;
mod typed;
mod usage;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tintype_core::{Error, ErrorKind, Result};

use self::expand::{Chosen, Expansion, choice, expand};
use self::files::Files;
use self::grammar::{Change, Given, Word};
use super::{ONNX, TrainConfig};

pub use self::sweep::Search;
pub use self::usage::usage;

/// Makes configurations out of words and files.
#[derive(Debug, Clone)]
pub struct Composer {
    files: Files,
    /// The name of the file that it begins with.
    primary: String,
}

/// A configuration and where it comes from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The configuration.
    pub config: TrainConfig,
    /// The files that it is made of, in the order in which they are laid upon each other: name, and path or `built in`.
    pub files: Vec<(String, String)>,
}

/// What a training begins with, which its defaults follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// `scope=head`: a model whose last layer is replaced.
    Head,
    /// `scope=all` with a model: that model.
    Tune,
    /// `scope=all` without: random weights.
    Scratch,
}

/// A change of one key.
struct Edit {
    change: Change,
    key: String,
    value: Option<Value>,
}

impl Default for Composer {
    /// With the folder `conf` of the working directory, where there is one.
    fn default() -> Self {
        Self::new(None, None)
    }
}

impl Composer {
    /// Looks for files in `folder`, then in `conf` of the working directory, then among its own; begins with the file
    /// `primary`, or `train`.
    pub fn new(folder: Option<PathBuf>, primary: Option<String>) -> Self {
        let folders = folder.into_iter().chain([PathBuf::from("conf")]).collect();
        Self { files: Files { folders }, primary: primary.unwrap_or_else(|| "train".to_owned()) }
    }

    /// Resolves words into a configuration.
    ///
    /// Later words win. `data=DIR` is short for `data.path=DIR` where `DIR` is no option of `data`, and `backbone=M` for
    /// `model=onnx model.path=M`; `scope=all` alone means `model=small_cnn`; `name` follows from the data's folder.
    /// `resume=RUN` begins with what that run has saved.
    ///
    /// # Errors
    /// `InvalidConfig` for a word that is none or has several values, an unknown key or option (the hint names the
    /// nearest), a value of a wrong type, a missing key (the hint is the usage) or a value out of range; `Io`.
    pub fn resolve(&self, words: &[String]) -> Result<Resolved> {
        match resume::asked(words) {
            Some((run, rest)) => self.resumed(run, &rest),
            None => self.compose(words),
        }
    }

    fn compose(&self, words: &[String]) -> Result<Resolved> {
        let (chosen, edits) = self.sort(words)?;
        let expansion = self.expand(chosen, &edits)?;
        let mut tree = Value::Object(Map::new());
        let mut files = Vec::new();
        for placed in &expansion.placed {
            match placed.package.as_str() {
                "" => tree::merge(&mut tree, placed.file.body.clone()),
                package => tree::put(&mut tree, package, placed.file.body.clone()),
            }
            files.push((placed.name.clone(), placed.file.origin.clone()));
        }
        for edit in edits {
            self.apply(&mut tree, edit, &expansion)?;
        }
        let start = match (tree::get(&tree, "scope").and_then(Value::as_str), tree::get(&tree, "model.path"))
        {
            (Some("all"), None | Some(Value::Null)) => Start::Scratch,
            (Some("all"), _) => Start::Tune,
            _ => Start::Head,
        };
        interpolate::interpolate(&mut tree, start)?;
        if tree::get(&tree, "name").is_none_or(Value::is_null) {
            let path = tree::get(&tree, "data.path").map(tree::shown).unwrap_or_default();
            tree::put(&mut tree, "name", Value::String(name_after(Path::new(&path))));
        }
        let config = typed::typed(&tree)?;
        config.validate()?;
        Ok(Resolved { config, files })
    }

    /// The words of each run of a multirun.
    ///
    /// # Errors
    /// `InvalidConfig` for a word that is none, an interval in a grid, or too many runs.
    pub fn jobs(&self, words: &[String], search: Search) -> Result<Vec<Vec<String>>> {
        sweep::jobs(words, search)
    }

    /// The keys that have several values.
    ///
    /// # Errors
    /// `InvalidConfig` for a word that is none.
    pub fn swept(&self, words: &[String]) -> Result<Vec<String>> {
        sweep::swept(words)
    }

    /// Tells choices of groups from changes of keys.
    fn sort(&self, words: &[String]) -> Result<(Chosen, Vec<Edit>)> {
        let (mut chosen, mut edits) = (Chosen::default(), Vec::new());
        for text in words {
            let Word { change, key, given } = Word::parse(text).map_err(with_usage)?;
            let value = match given {
                Some(Given::Many(_)) => return Err(sweep::needs_multirun(text)),
                Some(Given::One(value)) => Some(value),
                None => None,
            };
            let key = if key == "backbone" { "model.path".to_owned() } else { key };
            let options = value.as_ref().and_then(choice).filter(|_| self.files.is_group(&key));
            match (change, options) {
                (Change::Set, Some(options)) if key == "data" && !self.are_options(&key, &options) => {
                    edits.push(Edit { change, key: "data.path".to_owned(), value });
                }
                (Change::Set | Change::Force, Some(options)) => {
                    chosen.set.insert(key, options);
                }
                (Change::Add, Some(options)) => chosen.added.push((key, options)),
                (Change::Delete, _) if self.files.is_group(&key) => {
                    chosen.set.insert(key, Vec::new());
                }
                _ => edits.push(Edit { change, key, value }),
            }
        }
        Ok((chosen, edits))
    }

    fn are_options(&self, group: &str, options: &[String]) -> bool {
        let known = self.files.options(group);
        options.iter().all(|option| known.contains(option))
    }

    /// Expands the files; the model follows from the scope where nobody has chosen one.
    fn expand(&self, mut chosen: Chosen, edits: &[Edit]) -> Result<Expansion> {
        let made = expand(&self.files, &self.primary, &chosen)?;
        let last = |key: &str| edits.iter().rev().find(|e| e.key == key).and_then(|e| e.value.clone());
        let in_files = |key: &str| {
            let of = |p: &expand::Placed| {
                (p.package.is_empty()).then(|| tree::get(&p.file.body, key).cloned()).flatten()
            };
            made.placed.iter().rev().find_map(of)
        };
        let path = last("model.path").or_else(|| in_files("model.path")).filter(|path| !path.is_null());
        let is_onnx = made.choices.get("model").is_some_and(|options| *options == [ONNX]);
        if made.explicit.contains("model") && path.is_some() && !is_onnx {
            return Err(invalid("`backbone` and `model` exclude each other".to_owned()));
        }
        let all = last("scope").or_else(|| in_files("scope")) == Some(Value::from("all"));
        if is_onnx && !made.explicit.contains("model") && all && path.is_none() {
            chosen.set.insert("model".to_owned(), vec!["small_cnn".to_owned()]);
            return expand(&self.files, &self.primary, &chosen);
        }
        Ok(made)
    }

    fn apply(&self, tree: &mut Value, edit: Edit, expansion: &Expansion) -> Result<()> {
        let Edit { change, key, value } = edit;
        let found = tree::get(tree, &key);
        match (change, found, value) {
            (Change::Set, Some(_), Some(value))
            | (Change::Force, _, Some(value))
            | (Change::Add, None, Some(value)) => {
                tree::put(tree, &key, value);
                Ok(())
            }
            (Change::Add, Some(found), _) => {
                Err(invalid(format!("`+{key}` adds a key, but it is there as `{}`", tree::shown(found)))
                    .with_hint(format!("`{key}=…` changes it")))
            }
            (Change::Delete, Some(found), value) if value.as_ref().is_none_or(|value| value == found) => {
                tree::remove(tree, &key);
                Ok(())
            }
            (Change::Delete, Some(found), _) => {
                Err(invalid(format!("`~{key}` expected another value, found `{}`", tree::shown(found))))
            }
            _ => Err(self.unknown(tree, &key, expansion)),
        }
    }

    /// Why there is no such key: it is another option's, or a slip.
    fn unknown(&self, tree: &Value, key: &str, expansion: &Expansion) -> Error {
        if let Some((group, rest)) = key.split_once('.')
            && let Some(chosen) = expansion.choices.get(group).and_then(|options| options.first())
        {
            let has = |option: &&String| {
                let file = self.files.read(&format!("{group}/{option}")).ok().flatten();
                file.is_some_and(|file| tree::get(&file.body, rest).is_some())
            };
            if let Some(other) = self.files.options(group).iter().find(has) {
                return invalid(format!("`{group}={chosen}` has no key `{key}`"))
                    .with_hint(format!("`{group}={other}` has it"));
            }
        }
        let error = invalid(format!("unknown key `{key}`"));
        match nearest(key, &tree::leaves(tree)) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => with_usage(error),
        }
    }
}

/// The nearest of `known` to `wanted`, if it is near.
fn nearest<'a>(wanted: &str, known: &'a [String]) -> Option<&'a str> {
    // A last segment alone (`lr` for `optim.lr`) is the commonest slip, so it is compared too.
    let likeness = |known: &str| {
        let last = known.rsplit('.').next().unwrap_or(known);
        strsim::jaro_winkler(known, wanted).max(strsim::jaro_winkler(last, wanted))
    };
    let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.75).then_some(best)
}

/// The folder's name, or its parent's where it is only called after its role, made fit for a model's name.
fn name_after(data: &Path) -> String {
    // A revision is none of the name.
    let data =
        data.to_str().and_then(|text| text.strip_prefix("hf://")?.split('@').next()).map_or(data, Path::new);
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let mut parts = absolute.components().rev().filter_map(|c| match c {
        std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    let name = parts
        .find(|name| !["train", "training", "data", "images"].contains(&name.to_lowercase().as_str()))
        .unwrap_or_else(|| "model".to_owned());
    let fit: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' }).collect();
    let fit = fit.trim_start_matches(['_', '-', '.']);
    if fit.is_empty() { "model".to_owned() } else { fit.chars().take(64).collect() }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

fn with_usage(error: Error) -> Error {
    if error.hint().is_some() { error } else { error.with_hint(usage()) }
}

#[cfg(test)]
mod tests;
