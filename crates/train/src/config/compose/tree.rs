//! Dotted paths into a configuration that has no types yet.

use serde_json::{Map, Value};

/// The value at `path`, as in `optim.lr`.
pub(super) fn get<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(tree, |node, name| node.get(name))
}

/// Puts `value` at `path`, making the maps on the way; two maps are merged.
pub(super) fn put(tree: &mut Value, path: &str, value: Value) {
    let mut node = tree;
    for name in path.split('.') {
        node = map_of(node).entry(name).or_insert(Value::Null);
    }
    merge(node, value);
}

/// Takes the value at `path` out.
pub(super) fn remove(tree: &mut Value, path: &str) -> Option<Value> {
    let (parent, name) = match path.rsplit_once('.') {
        Some((parent, name)) => (parent.split('.').try_fold(tree, |node, name| node.get_mut(name))?, name),
        None => (tree, path),
    };
    parent.as_object_mut()?.shift_remove(name)
}

/// Lays `over` on `base`: maps key by key, everything else as a whole.
pub(super) fn merge(base: &mut Value, over: Value) {
    match over {
        Value::Object(over) if base.is_object() => {
            let base = map_of(base);
            for (name, value) in over {
                merge(base.entry(name).or_insert(Value::Null), value);
            }
        }
        over => *base = over,
    }
}

/// Every path that ends in something other than a map, in order.
pub(super) fn leaves(tree: &Value) -> Vec<String> {
    fn walk(node: &Value, path: &str, found: &mut Vec<String>) {
        match node {
            Value::Object(map) if path.is_empty() || !map.is_empty() => {
                for (name, value) in map {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(value, &path, found);
                }
            }
            _ => found.push(path.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk(tree, "", &mut found);
    found
}

/// A value as a user would write it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn map_of(node: &mut Value) -> &mut Map<String, Value> {
    if !node.is_object() {
        *node = Value::Object(Map::new());
    }
    node.as_object_mut().expect("it was made a map above")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_into_maps() {
        let mut tree = json!({"a": {"b": 1, "c": [1]}, "d": {}});
        put(&mut tree, "a.x.y", json!(2));
        put(&mut tree, "a", json!({"b": 3}));
        assert_eq!(tree, json!({"a": {"b": 3, "c": [1], "x": {"y": 2}}, "d": {}}));
        assert_eq!(leaves(&tree), ["a.b", "a.c", "a.x.y", "d"]);
        assert_eq!(remove(&mut tree, "a.x"), Some(json!({"y": 2})));
        assert_eq!(get(&tree, "a.x.y"), None);
        assert_eq!(remove(&mut tree, "q.r"), None);
    }
}
