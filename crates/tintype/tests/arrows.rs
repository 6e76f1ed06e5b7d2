//! Who may depend on whom: the design's arrows, kept over `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// Every crate of the workspace, the workspace crates it may use, and what it must not reach even indirectly.
const ARROWS: &[(&str, &[&str], &[&str])] = &[
    ("tintype-chart", &[], &["tokio", "axum", "ort"]),
    ("tintype-core", &[], &["tokio", "axum", "ort"]),
    ("tintype-graph", &["core"], &["tokio", "ort"]),
    ("tintype-engine", &["core"], &["axum", "tokio"]),
    ("tintype-hub", &["core"], &["tokio", "axum", "ort"]),
    ("tintype-runtime", &["core", "engine"], &["axum", "tonic"]),
    ("tintype-api", &["core"], &["axum", "tintype-runtime", "ort"]),
    ("tintype-server", &["api", "core", "runtime"], &["datafusion"]),
    ("tintype-train", &["chart", "core", "engine", "graph"], &["tintype-runtime", "tintype-server", "axum"]),
    ("tintype-batch", &["core", "engine", "runtime"], &["tintype-server", "axum"]),
    ("tintype-bench", &["api", "chart", "core"], &["tintype-runtime", "tintype-server", "ort"]),
    ("tintype-testkit", &[], &["tokio", "axum", "ort"]),
    (
        "tintype",
        &["api", "batch", "bench", "core", "engine", "graph", "hub", "runtime", "server", "train"],
        &[],
    ),
];

#[test]
fn crates_depend_only_along_the_arrows() {
    let metadata = metadata();
    let mut problems = Vec::new();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, ..)| *name).collect();
    for package in metadata.workspace_packages() {
        if !known.contains(package.name.as_str()) {
            problems.push(format!("`{}` is not in the table of arrows", package.name));
        }
    }
    for (name, allowed, _) in ARROWS {
        let Some(package) = metadata.workspace_packages().into_iter().find(|p| p.name == *name) else {
            problems.push(format!("`{name}` is in the table of arrows but not in the workspace"));
            continue;
        };
        for dependency in &package.dependencies {
            let Some(short) = dependency.name.strip_prefix("tintype-") else { continue };
            let from_tests = dependency.kind == DependencyKind::Development && *name != "tintype-testkit";
            if !from_tests && !allowed.contains(&short) {
                problems.push(format!("`{name}` must not depend on `tintype-{short}`"));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn light_crates_stay_light() {
    let metadata = metadata();
    let edges = normal_edges(&metadata);
    let names: BTreeMap<&PackageId, &str> =
        metadata.packages.iter().map(|p| (&p.id, p.name.as_str())).collect();
    let mut problems = Vec::new();
    for (name, _, forbidden) in ARROWS {
        let root = metadata.workspace_packages().into_iter().find(|p| p.name == *name).map(|p| &p.id);
        let (mut seen, mut todo) = (BTreeSet::new(), Vec::from_iter(root));
        while let Some(id) = todo.pop() {
            if seen.insert(id) {
                todo.extend(edges.get(id).into_iter().flatten());
            }
        }
        for id in seen {
            if forbidden.contains(&names[id]) {
                problems.push(format!("`{name}` must not reach `{}`", names[id]));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn only_the_engine_touches_onnx_runtime() {
    for package in metadata().workspace_packages() {
        let direct = package.dependencies.iter().any(|d| d.name == "ort");
        assert!(!direct || package.name == "tintype-engine", "`{}` depends on `ort`", package.name);
    }
}

fn metadata() -> Metadata {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        // The crates of other systems were never downloaded.
        .other_options(["--offline", "--locked", "--filter-platform", &host].map(str::to_owned))
        .exec()
        .expect("cargo metadata of the workspace")
}

fn normal_edges(metadata: &Metadata) -> BTreeMap<&PackageId, Vec<&PackageId>> {
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    resolve
        .nodes
        .iter()
        .map(|node| {
            let deps = node.deps.iter();
            let deps = deps.filter(|d| d.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal));
            (&node.id, deps.map(|d| &d.pkg).collect())
        })
        .collect()
}
