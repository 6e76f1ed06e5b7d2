use crate::binary::{Fixture, tintype};

#[test]
fn a_bad_file_is_reported_and_the_rest_goes_on() {
    let fixture = Fixture::new();
    let mar = fixture.mar();
    let images = [fixture.text("red.png"), fixture.text("broken.jpg"), fixture.text("blue.png")];
    let out =
        tintype([&["predict".into(), mar.to_str().unwrap().into(), "--json".into()], &images[..]].concat());
    assert_eq!(out.status.code(), Some(1), "{}", out.stderr);
    let lines = out.json_lines();
    assert_eq!(lines.len(), 3);
    for (line, path) in lines.iter().zip(&images) {
        assert_eq!(line["path"], path.as_str(), "answers come in the order of the arguments");
    }
    assert_eq!(lines[0]["predictions"][0]["label"], "red");
    assert_eq!(lines[0]["predictions"][0]["index"], 0);
    assert_eq!(lines[2]["predictions"][0]["label"], "blue");
    let error = &lines[1]["error"];
    assert!(matches!(error["kind"].as_str(), Some("corrupt_image" | "not_an_image")), "{error}");
    assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()));
}

#[test]
fn directories_and_globs_are_expanded() {
    let fixture = Fixture::new();
    let mar = fixture.text("red-green-blue.mar");
    fixture.mar();
    let names = |out: crate::binary::Finished| -> Vec<String> {
        let name = |v: &serde_json::Value| v["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        out.json_lines().iter().map(name).collect()
    };
    let folder = tintype(["predict", &mar, "--json", fixture.dir.path().to_str().unwrap()]);
    assert_eq!(names(folder), ["blue.png", "broken.jpg", "green.png", "red.png"]);
    let glob = tintype(["predict", &mar, "--json", &fixture.text("*e*.png")]).success();
    assert_eq!(names(glob), ["blue.png", "green.png", "red.png"]);
    let nothing = tintype(["predict", &mar, "--json", &fixture.text("*.tiff")]);
    assert!(!nothing.status.success());
    assert!(nothing.stderr.contains("no images found"), "{}", nothing.stderr);
}

#[test]
fn top_k_limits_the_answer() {
    let fixture = Fixture::new();
    let mar = fixture.mar();
    let mar = mar.to_str().unwrap();
    for (k, expected) in [("1", 1), ("2", 2), ("100", 3)] {
        let out = tintype(["predict", mar, "--json", "--top-k", k, &fixture.text("red.png")]).success();
        assert_eq!(out.json_lines()[0]["predictions"].as_array().unwrap().len(), expected, "top-k {k}");
    }
    assert_eq!(tintype(["predict", mar, "--top-k", "0", &fixture.text("red.png")]).status.code(), Some(2));
}

#[test]
fn annotated_pictures_are_larger_than_their_originals_and_decode() {
    let fixture = Fixture::new();
    let mar = fixture.mar();
    let out = fixture.path("annotated");
    tintype([
        "predict",
        mar.to_str().unwrap(),
        "--annotate",
        out.to_str().unwrap(),
        &fixture.text("red.png"),
    ])
    .success();
    let written: Vec<_> = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(written.len(), 1, "{written:?}");
    let picture = image::open(&written[0]).unwrap();
    assert!(picture.height() > 10, "a caption was added to the 20×10 picture: {}", picture.height());
}

#[test]
fn a_bare_onnx_file_needs_to_be_told_its_preprocessing() {
    let fixture = Fixture::new();
    let model = fixture.text("m.onnx");
    let without = tintype(["predict", &model, &fixture.text("red.png")]);
    assert!(!without.status.success());
    assert!(
        without.stderr.contains("--spec") && without.stderr.contains("--preprocess"),
        "{}",
        without.stderr
    );
    let with = tintype([
        "predict",
        &model,
        "--json",
        "--spec",
        &fixture.text("spec.toml"),
        &fixture.text("blue.png"),
    ]);
    assert_eq!(
        with.success().json_lines()[0]["predictions"][0]["label"],
        "2",
        "no labels: the index is the label"
    );
}
