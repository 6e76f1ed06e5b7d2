//! The usage text, out of the comments of the embedded files.

use std::fmt::Write as _;

use super::files::{EMBEDDED, Files};

/// A key and its comment.
struct Line {
    key: String,
    default: String,
    help: String,
}

/// All keys with their defaults and what they mean, one a line, and the options of each group.
pub fn usage() -> String {
    let files = Files { folders: Vec::new() };
    let mut text =
        String::from("tintype train scope=head|all backbone=MODEL data=DIR [key=value…]\n\ngroups\n");
    let mut seen: Vec<Line> = Vec::new();
    let mut groups: Vec<&str> = Vec::new();
    for (name, source) in EMBEDDED {
        let group = name.rsplit_once('/').map_or("", |(group, _)| group);
        if !group.is_empty() && !groups.contains(&group) {
            groups.push(group);
        }
        for line in lines(source, group) {
            if !seen.iter().any(|s| s.key == line.key) {
                seen.push(line);
            }
        }
    }
    // Writing to a string cannot fail, here and below.
    for group in groups {
        let _ = writeln!(text, "  {group:<10} {}", files.options(group).join(", "));
    }
    text.push_str("  experiment your own `conf/experiment/<name>.yaml`\n\nkeys\n");
    for Line { key, default, help } in seen {
        let _ = writeln!(text, "  {key:<22} {help}{default}");
    }
    text.push_str(
        "\nas with Hydra: `group=option`, `key=value`, `+key=value` adds, `~key` removes, `-m key=a,b` runs each\n",
    );
    text
}

/// The commented keys of a file.
fn lines(source: &str, group: &str) -> Vec<Line> {
    let mut found = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    for line in source.lines() {
        let Some((name, rest)) = line.trim_start().split_once(':') else { continue };
        if name.starts_with(['#', '-']) || name.contains(' ') {
            continue;
        }
        let depth = line.len() - line.trim_start().len();
        path.retain(|(d, _)| *d < depth);
        path.push((depth, name.to_owned()));
        let Some((value, help)) = rest.split_once("  # ").or_else(|| rest.split_once(" # ")) else {
            continue;
        };
        let prefix = (!group.is_empty()).then_some(group).into_iter();
        let key = prefix.chain(path.iter().map(|(_, name)| name.as_str())).collect::<Vec<_>>().join(".");
        let default = match value.trim() {
            "" | "null" | "???" => String::new(),
            value => format!(" [{}]", value.replace("${by_start:", "head,tune,scratch=").replace('}', "")),
        };
        found.push(Line { key, default, help: help.trim().to_owned() });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_become_the_usage() {
        let text = usage();
        for line in [
            "  optim      adam, adamw, sgd\n",
            "  optim.weight_decay     L2 penalty; decoupled with `adamw` [0.0]\n",
            "  model.path             a package, a run directory or an `.onnx` file\n",
            "  trainer.epochs         passes over the training images [head,tune,scratch=30,5,20]\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
    }
}
