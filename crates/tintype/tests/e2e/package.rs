use crate::binary::{Fixture, tintype};

#[test]
fn a_package_survives_the_round_trip_to_a_directory() {
    let fixture = Fixture::new();
    let mar = fixture.mar();
    let repository = fixture.text("repository");
    tintype(["package", "verify", mar.to_str().unwrap()]).success();
    tintype(["package", "unpack", mar.to_str().unwrap(), "--out", &repository]).success();
    let model = format!("{repository}/red-green-blue");
    tintype(["package", "verify", &model]).success();
    let inspect = |path: &str| {
        let out = tintype(["package", "inspect", path, "--json"]).success().stdout;
        serde_json::from_str::<serde_json::Value>(&out).unwrap()
    };
    let (archive, directory) = (inspect(mar.to_str().unwrap()), inspect(&model));
    for key in ["name", "version", "spec", "labels"] {
        assert!(!archive[key].is_null(), "`{key}` is missing in {archive}");
        assert_eq!(archive[key], directory[key], "{key}");
    }
    let answer =
        |model: &str| tintype(["predict", model, "--json", &fixture.text("green.png")]).success().stdout;
    assert_eq!(answer(mar.to_str().unwrap()), answer(&model));
}

#[test]
fn a_damaged_archive_is_refused() {
    let fixture = Fixture::new();
    let mar = fixture.mar();
    let mut bytes = std::fs::read(&mar).unwrap();
    let middle = bytes.len() / 2;
    bytes.truncate(middle);
    std::fs::write(&mar, bytes).unwrap();
    for command in ["verify", "inspect"] {
        let out = tintype(["package", command, mar.to_str().unwrap()]);
        assert!(!out.status.success(), "{command}");
        assert!(out.stderr.starts_with("error: "), "{command}: {}", out.stderr);
    }
}

#[test]
fn labels_must_be_as_many_as_the_classes() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("two.txt"), "red\ngreen\n").unwrap();
    let out = tintype([
        "package",
        "create",
        "--name",
        "m",
        "--onnx",
        &fixture.text("m.onnx"),
        "--labels",
        &fixture.text("two.txt"),
        "--spec",
        &fixture.text("spec.toml"),
        "--out",
        &fixture.text("m.mar"),
    ]);
    assert!(!out.status.success());
    assert!(out.stderr.contains('2') && out.stderr.contains('3'), "expected against found: {}", out.stderr);
    assert!(!fixture.path("m.mar").exists(), "nothing half-made is left behind");
}
