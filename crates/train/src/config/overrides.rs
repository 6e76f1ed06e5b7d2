//! `key=value` words on top of the defaults of their scope.

use std::fmt::Write as _;
use std::path::Path;

use tintype_core::{Error, ErrorKind, Result};
use toml::{Table, Value};

use super::keys::{KEYS, Key, Kind, Start, defaults};
use super::{Scope, TrainConfig};

/// Resolves `key=value` words into a configuration.
///
/// Later words win. `data=DIR` is short for `data.path=DIR`; `name` follows from the data's folder where absent.
///
/// # Errors
/// `InvalidConfig` for a word without `=`, an unknown key (the hint names the nearest), a value of a wrong type, a
/// key of the other scope, a missing key (the hint is the usage) or a value out of range.
pub fn resolve(words: &[String]) -> Result<TrainConfig> {
    let mut given = Vec::with_capacity(words.len());
    for word in words {
        let (path, text) = word
            .split_once('=')
            .ok_or_else(|| invalid(format!("expected `key=value`, found `{word}`")).with_hint(usage()))?;
        let key = find(if path == "data" { "data.path" } else { path })?;
        given.push((key, parse(key, text)?));
    }
    let mut scope = Scope::Head;
    for (key, value) in &given {
        if key.path == "scope" {
            scope = if value.as_str() == Some("all") { Scope::All } else { Scope::Head };
        }
    }
    let has_backbone = given.iter().any(|(key, _)| key.path == "backbone");
    let start = match scope {
        Scope::Head => Start::Head,
        Scope::All if has_backbone => Start::Backbone,
        Scope::All => Start::Scratch,
    };
    let mut table: Table =
        toml::from_str(defaults(start)).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    for (key, value) in given {
        if key.scope.is_some_and(|s| s != scope) {
            let other = if scope == Scope::All { "head" } else { "all" };
            return Err(invalid(format!("`{}` needs `scope={other}`", key.path)));
        }
        if start == Start::Backbone && (key.path == "arch" || key.path.starts_with("model.")) {
            return Err(invalid(format!("`backbone` and `{}` exclude each other", key.path)));
        }
        insert(&mut table, key.path, value)?;
    }
    require(&table, "data.path")?;
    if scope == Scope::Head {
        require(&table, "backbone")?;
    }
    if !table.contains_key("name") {
        let path = get(&table, "data.path").and_then(Value::as_str).unwrap_or_default();
        table.insert("name".to_owned(), Value::String(name_after(Path::new(path))));
    }
    let config = TrainConfig::deserialize_from(table)?;
    config.validate()?;
    Ok(config)
}

impl TrainConfig {
    fn deserialize_from(table: Table) -> Result<Self> {
        table.try_into().map_err(|e: toml::de::Error| invalid(e.to_string().trim().to_owned()))
    }
}

/// All keys with what they mean, one a line.
pub fn usage() -> String {
    let mut text = String::from("tintype train scope=head|all backbone=MODEL data=DIR [key=value…]\n");
    for key in KEYS {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {:<19} {}", key.path, key.help);
        if let Kind::OneOf(words) = key.kind {
            let _ = write!(text, ": {}", words.join(", "));
        }
        if let Some(scope) = key.scope {
            let _ = write!(text, " (scope={})", if scope == Scope::All { "all" } else { "head" });
        }
    }
    text
}

fn find(path: &str) -> Result<&'static Key> {
    if let Some(key) = KEYS.iter().find(|k| k.path == path) {
        return Ok(key);
    }
    let error = invalid(format!("unknown key `{path}`"));
    // A last segment alone (`lr` for `optim.lr`) is the commonest slip, so it is compared too.
    let likeness = |key: &Key| {
        let last = key.path.rsplit('.').next().unwrap_or(key.path);
        strsim::jaro_winkler(key.path, path).max(strsim::jaro_winkler(last, path))
    };
    match KEYS.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
        Some(nearest) if likeness(nearest) > 0.75 => {
            Err(error.with_hint(format!("did you mean `{}`?", nearest.path)))
        }
        _ => Err(error.with_hint(usage())),
    }
}

fn parse(key: &Key, text: &str) -> Result<Value> {
    let count = |s: &str| s.trim().parse::<i64>().ok().filter(|n| *n >= 0).map(Value::Integer);
    let value = match key.kind {
        Kind::Text if text.is_empty() => None,
        Kind::Text => Some(Value::String(text.to_owned())),
        Kind::Count => count(text),
        Kind::Number => text.parse::<f64>().ok().filter(|x| x.is_finite()).map(Value::Float),
        Kind::Switch => text.parse::<bool>().ok().map(Value::Boolean),
        Kind::OneOf(words) => words.contains(&text).then(|| Value::String(text.to_owned())),
        Kind::FourCounts => text
            .strip_prefix('[')
            .and_then(|t| t.strip_suffix(']'))
            .and_then(|t| t.split(',').map(count).collect::<Option<Vec<_>>>())
            .filter(|counts| counts.len() == 4)
            .map(Value::Array),
    };
    value.ok_or_else(|| invalid(format!("`{}`: expected {}, found `{text}`", key.path, key.kind)))
}

fn insert(table: &mut Table, path: &str, value: Value) -> Result<()> {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
            Ok(())
        }
        Some((group, rest)) => match table.entry(group).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => insert(inner, rest, value),
            _ => Err(Error::new(ErrorKind::Internal, format!("`{group}` is not a group"))),
        },
    }
}

fn get<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((group, rest)) => get(table.get(group)?.as_table()?, rest),
    }
}

fn require(table: &Table, path: &str) -> Result<()> {
    if get(table, path).is_some() {
        return Ok(());
    }
    let word = if path == "data.path" { "data" } else { path };
    Err(invalid(format!("`{word}=…` is missing")).with_hint(usage()))
}

/// The folder's name, or its parent's where it is only called after its role, made fit for a model's name.
fn name_after(data: &Path) -> String {
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

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{Arch, OptimName};

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn leaves(table: &Table, prefix: &str, found: &mut BTreeSet<String>) {
        for (name, value) in table {
            match value {
                Value::Table(inner) => leaves(inner, &format!("{prefix}{name}."), found),
                _ => {
                    found.insert(format!("{prefix}{name}"));
                }
            }
        }
    }

    #[test]
    fn the_list_of_keys_is_the_struct() {
        let mut full = resolve(&words("scope=all data=d preprocess=clip run_dir=r")).unwrap();
        full.backbone = Some("b".into());
        full.spec = Some("s".into());
        let mut found = BTreeSet::new();
        leaves(&full.to_toml().unwrap().parse().unwrap(), "", &mut found);
        assert_eq!(found, KEYS.iter().map(|k| k.path.to_owned()).collect());
    }

    #[test]
    fn defaults_follow_the_scope_and_overrides_win() {
        let head = resolve(&words("backbone=m.onnx data=some/beans/train optim.lr=1e-2")).unwrap();
        assert_eq!((head.name.as_str(), head.scope, head.optim.lr), ("beans", Scope::Head, 0.01));
        assert!(head.model.is_none() && head.arch.is_none());
        let all = resolve(&words("scope=all data=d optim.name=sgd model.widths=[8,16,32,64] seed=1 seed=2"))
            .unwrap();
        assert_eq!((all.arch, all.optim.name, all.seed), (Some(Arch::SmallCnn), OptimName::Sgd, 2));
        assert_eq!(all.model.unwrap().widths, [8, 16, 32, 64]);
        let tuned = resolve(&words("scope=all data=d backbone=m.onnx")).unwrap();
        assert_eq!((tuned.arch, tuned.model, tuned.optim.lr), (None, None, 1e-4));
    }

    #[test]
    fn a_resolved_config_reads_back() {
        let config = resolve(&words("backbone=m.onnx data=d")).unwrap();
        let again: TrainConfig = toml::from_str(&config.to_toml().unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn wrong_words_are_refused_with_advice() {
        let table = [
            ("data=d backbone=b optim.lrr=1", "unknown key `optim.lrr`", "did you mean `optim.lr`?"),
            ("data=d backbone=b lr=1", "unknown key `lr`", "did you mean `optim.lr`?"),
            ("data=d backbone=b epoch=1", "unknown key `epoch`", "did you mean `trainer.epochs`?"),
            ("data=d backbone=b zzz=1", "unknown key `zzz`", "tintype train scope=head|all"),
            ("data=d", "`backbone=…` is missing", "tintype train scope=head|all"),
            ("backbone=b", "`data=…` is missing", "tintype train scope=head|all"),
            ("data", "expected `key=value`, found `data`", "tintype train scope=head|all"),
            (
                "data=d backbone=b trainer.epochs=many",
                "expected a whole number of at least 0, found `many`",
                "",
            ),
            ("data=d backbone=b trainer.epochs=0", "`trainer.epochs`: expected at least 1, found `0`", ""),
            ("data=d backbone=b optim.lr=nan", "`optim.lr`: expected a number, found `nan`", ""),
            ("data=d backbone=b optim.name=lion", "expected `adam` or `adamw` or `sgd`, found `lion`", ""),
            ("data=d backbone=b model.hidden=3", "`model.hidden` needs `scope=all`", ""),
            ("scope=all data=d backbone=b arch=small_cnn", "`backbone` and `arch` exclude each other", ""),
            ("scope=all model.hidden=3 data=d backbone=b", "`backbone` and `model.hidden` exclude", ""),
            ("scope=all data=d model.widths=[1,2]", "expected four whole numbers", ""),
            ("scope=all data=d model.image=50", "expected a multiple of 16, at most 1024, found `50`", ""),
            ("data=d backbone=b data.val_fraction=1", "above 0 and below 1, found `1`", ""),
            ("data=d backbone=b spec=s preprocess=clip", "exclude each other", ""),
        ];
        for (text, message, hint) in table {
            let error = resolve(&words(text)).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
            assert!(error.message().contains(message), "{text}: {}", error.message());
            assert!(error.hint().unwrap_or_default().contains(hint), "{text}: {:?}", error.hint());
        }
    }

    #[test]
    fn names_are_fit_for_a_package() {
        let table = [("a/b c/train", "b_c"), ("x/.hidden", "hidden"), ("/", "model"), ("x/Beans/", "Beans")];
        for (path, expected) in table {
            assert_eq!(name_after(Path::new(path)), expected, "{path}");
        }
    }
}
