//! What `train` says without training.

use crate::binary::{Fixture, tintype};

#[test]
fn a_configuration_is_printed_as_it_would_run() {
    let out = tintype([
        "train",
        "data=photos",
        "scope=all",
        "model=resnet18",
        "optim=sgd",
        "--threads",
        "2",
        "--cfg",
        "job",
    ])
    .success();
    for line in ["scope: all\n", "name: photos\n", "  name: resnet18\n", "  name: sgd\n", "  threads: 2\n"] {
        assert!(out.stdout.contains(line), "{line:?} in {}", out.stdout);
    }
    let out = tintype(["train", "data=d", "scope=all", "optim.lr=1,2", "-m", "--cfg", "job"]).success();
    assert_eq!(out.stdout.matches("---\n").count(), 2);
    let out = tintype(["train", "data=d", "backbone=b", "--cfg", "info"]).success();
    assert!(out.stdout.contains("optim/adam") && out.stdout.contains("built in"), "{}", out.stdout);
}

#[test]
fn a_folder_without_runs_lists_none() {
    let fixture = Fixture::new();
    std::fs::create_dir_all(fixture.path("runs/x")).unwrap();
    let out = tintype(["train", "--list", &fixture.text("runs")]).success();
    assert_eq!(out.stdout.lines().count(), 1, "{}", out.stdout);
}
