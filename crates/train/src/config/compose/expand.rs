//! Defaults lists: which files a configuration is made of, and in which order.
//!
//! As in Hydra: `- group: option`, `- file` of the same group, `- override /group: option`, `- optional group: option`
//! and `_self_`; a choice on the command line comes before any in a file. Not there, and refused: packages in a list
//! (`group@package`) and interpolated choices.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tintype_core::Result;

use super::files::{File, Files};
use super::invalid;

/// What is chosen of a group: options, or nothing.
pub(super) type Choice = Vec<String>;

/// A file in its place.
#[derive(Debug)]
pub(super) struct Placed {
    /// As in `optim/adam`.
    pub name: String,
    /// The dotted path where its keys go; empty for the root.
    pub package: String,
    pub file: File,
}

/// The files of a configuration, in the order in which they are laid upon each other.
#[derive(Debug, Default)]
pub(super) struct Expansion {
    pub placed: Vec<Placed>,
    /// What was chosen of each group on the way.
    pub choices: BTreeMap<String, Choice>,
    /// Groups whose choice is somebody's, not only a default.
    pub explicit: BTreeSet<String>,
}

/// What the command line says of groups.
#[derive(Debug, Default, Clone)]
pub(super) struct Chosen {
    /// `group=option`, `~group` as nothing.
    pub set: BTreeMap<String, Choice>,
    /// `+group=option`, in order.
    pub added: Vec<(String, Choice)>,
}

/// Deeper nesting than this is a circle.
const DEEPEST: usize = 16;

/// Expands the defaults list of the file `primary`.
///
/// # Errors
/// `InvalidConfig` for a file that is not there, a circle, an entry that is not understood, or an override of a group that
/// is in no list.
pub(super) fn expand(files: &Files, primary: &str, chosen: &Chosen) -> Result<Expansion> {
    let mut overrides: BTreeMap<String, Choice> = BTreeMap::new();
    // A file that overrides a group may itself be chosen by another: until nothing new is found.
    for _ in 0..DEEPEST {
        let mut walk =
            Walk { files, chosen, overrides: &overrides, found: BTreeMap::new(), made: Expansion::default() };
        walk.file(primary, "", Some(String::new()), 0)?;
        for (group, options) in &chosen.added {
            walk.choose(group, options.clone(), 0)?;
        }
        let Walk { found, mut made, .. } = walk;
        if found == overrides {
            for group in chosen.set.keys().chain(found.keys()) {
                if !made.choices.contains_key(group) {
                    return Err(invalid(format!("`{group}` is not in the defaults list")).with_hint(
                        format!("`+{group}=…` adds it; a list names groups from the top as `/{group}`"),
                    ));
                }
                made.explicit.insert(group.clone());
            }
            return Ok(made);
        }
        overrides = found;
    }
    Err(invalid("the defaults lists override each other without end"))
}

struct Walk<'a> {
    files: &'a Files,
    chosen: &'a Chosen,
    /// Overrides by files, of the walk before.
    overrides: &'a BTreeMap<String, Choice>,
    /// Those of this walk.
    found: BTreeMap<String, Choice>,
    made: Expansion,
}

/// An entry of a defaults list.
enum Entry {
    Itself,
    File(String),
    Group { group: String, options: Choice, overrides: bool, optional: bool },
}

impl Walk<'_> {
    /// Lays down a file and what its list names. `package` is where it goes if it does not say so itself.
    fn file(&mut self, name: &str, group: &str, package: Option<String>, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            return Err(invalid(format!("`{name}` includes itself, or lies too deep")));
        }
        let Some(mut file) = self.files.read(name)? else {
            return Err(match name.rsplit_once('/') {
                Some((_, option)) => self.files.absent(group, option),
                None => self.files.absent_primary(name),
            });
        };
        let package = match file.package.as_deref() {
            Some("_global_") => String::new(),
            Some("_group_") | None => package.unwrap_or_else(|| group.replace('/', ".")),
            Some(path) => path.to_owned(),
        };
        let mut list = std::mem::take(&mut file.defaults)
            .iter()
            .map(|entry| Entry::parse(entry, group).map_err(|e| e.context(format!("`{}`", file.origin))))
            .collect::<Result<Vec<_>>>()?;
        if !list.iter().any(|entry| matches!(entry, Entry::Itself)) {
            list.push(Entry::Itself);
        }
        let mut placed = Some(Placed { name: name.to_owned(), package: package.clone(), file });
        for entry in list {
            match entry {
                Entry::Itself => self.made.placed.extend(placed.take()),
                Entry::File(name) => {
                    let group = name.rsplit_once('/').map_or("", |(group, _)| group).to_owned();
                    self.file(&name, &group, Some(package.clone()), depth + 1)?;
                }
                Entry::Group { group, options, overrides: true, .. } => {
                    self.found.insert(group, options);
                }
                Entry::Group { group, options, optional, .. } => {
                    let there = |o: &String| self.files.options(&group).contains(o);
                    let options = match optional {
                        true => options.into_iter().filter(there).collect(),
                        false => options,
                    };
                    let overrides = self.overrides.get(&group);
                    let options = self.chosen.set.get(&group).or(overrides).cloned().unwrap_or(options);
                    self.choose(&group, options, depth)?;
                }
            }
        }
        Ok(())
    }

    fn choose(&mut self, group: &str, options: Choice, depth: usize) -> Result<()> {
        for option in &options {
            if option == "???" {
                return Err(invalid(format!("`{group}=…` is missing"))
                    .with_hint(format!("its options are {}", self.files.options(group).join(", "))));
            }
            self.file(&format!("{group}/{option}"), group, None, depth + 1)?;
        }
        self.made.choices.insert(group.to_owned(), options);
        Ok(())
    }
}

impl Entry {
    /// An entry of a file that lies in `group`.
    fn parse(entry: &Value, group: &str) -> Result<Self> {
        let not_understood = || {
            invalid(format!(
                "expected `group: option`, `override /group: option` or `_self_` in `defaults`, found `{entry}`"
            ))
        };
        let absolute = |name: &str| match name.strip_prefix('/') {
            Some(name) => name.to_owned(),
            None if group.is_empty() => name.to_owned(),
            None => format!("{group}/{name}"),
        };
        let (key, value) = match entry {
            Value::String(text) if text == "_self_" => return Ok(Self::Itself),
            Value::String(text) if !text.contains(['@', '$', ' ']) => return Ok(Self::File(absolute(text))),
            Value::Object(map) if map.len() == 1 => map.iter().next().ok_or_else(not_understood)?,
            _ => return Err(not_understood()),
        };
        let (mut overrides, mut optional, mut name) = (false, false, "");
        for word in key.split_whitespace() {
            match word {
                "override" => overrides = true,
                "optional" => optional = true,
                other if name.is_empty() => name = other,
                _ => return Err(not_understood()),
            }
        }
        if name.is_empty() || name.contains(['@', '$']) {
            return Err(not_understood());
        }
        let options = choice(value).ok_or_else(not_understood)?;
        Ok(Self::Group { group: absolute(name), options, overrides, optional })
    }
}

/// What a value says of a group: an option, several, or `null` for none.
pub(super) fn choice(value: &Value) -> Option<Choice> {
    let option = |value: &Value| match value {
        Value::String(text) if text.contains('$') => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => items.iter().map(option).collect(),
        other => option(other).map(|option| vec![option]),
    }
}
