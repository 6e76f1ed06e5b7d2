//! `${…}` in values: other keys, environment variables, and defaults that follow from how a training begins.
//!
//! `${data.path}` is a key from the top, `${.lr}` one beside, `${..name}` one above; `${oc.env:HOME}` and
//! `${oc.env:HOME,default}` read the environment; `${by_start:a,b,c}` is `a` for a new head, `b` for a model that is
//! trained further, and `c` for random weights.

use serde_json::Value;
use tintype_core::Result;

use super::grammar;
use super::tree::{get, leaves, put, shown};
use super::{Start, invalid};

/// More steps from one value to the next than this are a circle.
const FURTHEST: usize = 16;

/// Puts what they stand for in place of all interpolations.
///
/// # Errors
/// `InvalidConfig` for a key or variable that is not there, a circle, or a resolver that is not known.
pub(super) fn interpolate(tree: &mut Value, start: Start) -> Result<()> {
    for path in leaves(tree) {
        let Some(value) = get(tree, &path).cloned() else { continue };
        let found = resolved(tree, &path, value, start, 0).map_err(|e| e.context(format!("`{path}`")))?;
        put(tree, &path, found);
    }
    Ok(())
}

fn resolved(tree: &Value, path: &str, value: Value, start: Start, depth: usize) -> Result<Value> {
    if depth > FURTHEST {
        return Err(invalid("the interpolation leads back to itself"));
    }
    let text = match value {
        Value::String(text) if text.contains("${") => text,
        Value::Array(items) => {
            let items = items.into_iter().map(|item| resolved(tree, path, item, start, depth));
            return items.collect::<Result<_>>().map(Value::Array);
        }
        Value::Object(map) => {
            let each = map.into_iter().map(|(name, item)| {
                resolved(tree, &format!("{path}.{name}"), item, start, depth).map(|item| (name, item))
            });
            return each.collect::<Result<_>>().map(Value::Object);
        }
        other => return Ok(other),
    };
    let (mut made, mut rest) = (String::new(), text.as_str());
    while let Some((before, after)) = rest.split_once("${") {
        let (inner, after) =
            after.split_once('}').ok_or_else(|| invalid(format!("`{text}`: `${{` without `}}`")))?;
        if inner.contains("${") {
            return Err(invalid(format!("`{text}`: an interpolation in another is not supported")));
        }
        let found = stands_for(tree, path, inner.trim(), start)?;
        let found = resolved(tree, path, found, start, depth + 1)?;
        if before.is_empty() && after.is_empty() && made.is_empty() {
            return Ok(found);
        }
        made += before;
        made += &shown(&found);
        rest = after;
    }
    Ok(Value::String(made + rest))
}

/// What `${inner}` in the value at `path` stands for.
fn stands_for(tree: &Value, path: &str, inner: &str, start: Start) -> Result<Value> {
    let Some((resolver, arguments)) = inner.split_once(':') else {
        let key = absolute(path, inner);
        return get(tree, &key)
            .cloned()
            .ok_or_else(|| invalid(format!("`${{{inner}}}`: there is no key `{key}`")));
    };
    match resolver.trim() {
        "oc.env" => {
            let (name, default) = match arguments.split_once(',') {
                Some((name, default)) => (name.trim(), Some(grammar::plain(default))),
                None => (arguments.trim(), None),
            };
            let found = std::env::var(name).ok().map(Value::String).or(default);
            found.ok_or_else(|| invalid(format!("the environment has no variable `{name}`")))
        }
        "by_start" => match <[Value; 3]>::try_from(grammar::arguments(arguments)?) {
            Ok([head, tune, scratch]) => Ok(match start {
                Start::Head => head,
                Start::Tune => tune,
                Start::Scratch => scratch,
            }),
            Err(_) => Err(invalid(format!("expected three values in `${{{inner}}}`"))),
        },
        other => Err(invalid(format!("the resolver `{other}` of `${{{inner}}}` is not supported"))
            .with_hint("there are `${key}`, `${oc.env:VAR}`, `${oc.env:VAR,default}` and `${by_start:head,tune,scratch}`")),
    }
}

/// The key that `inner` means in the value at `path`: each dot before it goes one level up.
fn absolute(path: &str, inner: &str) -> String {
    let up = inner.chars().take_while(|c| *c == '.').count();
    if up == 0 {
        return inner.to_owned();
    }
    let mut parts: Vec<&str> = path.split('.').collect();
    parts.truncate(parts.len().saturating_sub(up));
    parts.push(&inner[up..]);
    parts.join(".")
}
