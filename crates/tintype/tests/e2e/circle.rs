use crate::binary::{Fixture, tintype};

/// `demo --once` draws, trains, packages, evaluates, serves, asks and compares; it fails on any difference.
#[test]
fn the_demo_walks_the_whole_circle() {
    let fixture = Fixture::new();
    let dir = fixture.text("demo");
    let out = tintype(["demo", "--once", "--dir", &dir, "--per-class", "12", "--epochs", "2"]).success();
    assert!(out.stdout.contains("curl"), "{}", out.stdout);
    assert!(fixture.path("demo").join("data/rings").is_dir());
}
