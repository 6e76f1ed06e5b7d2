//! `optimize --int8`: a package that serves, a report, and refusals. `optimize`: a graph kept in the cache.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::binary::{Finished, Fixture, finish, tintype};

/// Pictures in class folders, each mostly of its class's channel.
fn draw(root: &Path) {
    for (class, name) in ["red", "green", "blue"].iter().enumerate() {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        for i in 0..4u8 {
            let picture = image::RgbImage::from_fn(16, 16, |x, y| {
                let mut pixel = [20 * i, (x * 4) as u8, (y * 4) as u8];
                pixel[class] = 200 + 10 * i;
                image::Rgb(pixel)
            });
            picture.save(folder.join(format!("{i}.png"))).expect("a picture");
        }
    }
}

fn optimize(model: &str, data: &str, more: &[&str]) -> Finished {
    tintype([&["optimize", model, "--int8", "--calibrate", data], more].concat())
}

#[test]
fn a_quantised_package_answers_as_the_float_one() {
    let fixture = Fixture::new();
    let mar = fixture.mar();
    draw(&fixture.path("photos"));
    let (model, data) = (mar.to_str().unwrap(), fixture.text("photos"));
    let out = optimize(
        model,
        &data,
        &["--json", "--out", &fixture.text("models"), "--report", &fixture.text("r.html")],
    )
    .success();
    let report: Value = serde_json::from_str(&out.stdout).expect(&out.stdout);
    assert_eq!(report["top1"], serde_json::json!([1.0, 1.0]), "{report}");
    assert_eq!((&report["agreement"], &report["accepted"]), (&1.0.into(), &true.into()));
    assert_eq!((&report["layers"], &report["quantised"]), (&1.into(), &1.into()));
    assert_eq!(report["classes"].as_array().map(Vec::len), Some(3));
    let page = std::fs::read_to_string(fixture.path("r.html")).unwrap();
    assert!(page.contains("Accepted: 0.00 points of top-1 accuracy") && page.contains("<svg"), "{page}");
    assert!(!page.contains("http"), "it links to nothing");
    let written = report["written"].as_str().unwrap();
    assert!(written.ends_with("red-green-blue_int8"), "{written}");

    let shown = tintype(["package", "inspect", written]).success().stdout;
    assert!(shown.contains("minmax on 12 images"), "{shown}");
    tintype(["package", "verify", written]).success();
    for name in ["red", "green", "blue"] {
        let out = tintype(["predict", written, "--json", &fixture.text(&format!("{name}.png"))]).success();
        assert_eq!(out.json_lines()[0]["predictions"][0]["label"], name);
    }
    let again = optimize(written, &data, &[]);
    assert_eq!(again.status.code(), Some(64), "{}", again.stderr);
    assert!(again.stderr.contains("quantised already"), "{}", again.stderr);
}

#[test]
fn a_model_that_drops_too_far_is_refused() {
    let fixture = Fixture::new();
    draw(&fixture.path("photos"));
    // Which of the first two classes wins hangs on weights that are far below a step of the scale that one large weight sets.
    let weights: Vec<f32> = (0..3 * 192)
        .map(|i| match (i / 192, i % 192) {
            (class, 0) => [1000.0, 1000.0, 0.0][class],
            (0, pixel) if pixel / 64 == 0 => 0.9,
            (1, pixel) if pixel / 64 == 1 => 0.9,
            (2, pixel) if pixel / 64 == 2 => 0.9,
            _ => 0.0,
        })
        .collect();
    let onnx = fixture.path("fragile.onnx");
    std::fs::write(&onnx, tintype_testkit::onnx::scores(&[3, 8, 8], &weights, &[0.0; 3])).expect("a model");
    let options = [
        "--spec",
        &fixture.text("spec.toml"),
        "--labels",
        &fixture.text("labels.txt"),
        "--out",
        &fixture.text("out"),
    ];
    let data = fixture.text("photos");
    let page = fixture.text("refused.html");
    let refused = ["--max-drop", "0", "--report", &page];
    let out = optimize(onnx.to_str().unwrap(), &data, &[&options[..], &refused].concat());
    assert_eq!(out.status.code(), Some(3), "{}\n{}", out.stdout, out.stderr);
    assert!(out.stderr.contains("points of top-1 accuracy are lost"), "{}", out.stderr);
    assert!(out.stdout.contains("top-1"), "the report is there all the same: {}", out.stdout);
    assert!(std::fs::read_to_string(&page).unwrap().contains("<b>Refused</b>"));
    assert!(!fixture.path("out").exists());
    let out = optimize(onnx.to_str().unwrap(), &data, &[&options[..], &["--max-drop", "100"]].concat());
    assert!(out.success().stdout.contains("fragile_int8"));
}

#[test]
fn images_need_no_classes_and_must_be_there() {
    let fixture = Fixture::new();
    let mar = fixture.mar();
    let model = mar.to_str().unwrap();
    // red.png, green.png, blue.png and one that is broken.
    let out = optimize(model, fixture.dir.path().to_str().unwrap(), &["--method", "entropy"]).success();
    assert!(out.stdout.contains("3 images") && out.stdout.contains("without classes"), "{}", out.stdout);
    assert!(out.stdout.contains("1 could not be read"), "{}", out.stdout);
    assert!(!out.stdout.contains("top-1"), "{}", out.stdout);

    draw(&fixture.path("photos"));
    std::fs::create_dir(fixture.path("empty")).expect("a folder");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--calibrate", "empty"], 64, "no image"),
        (&["--calibrate", "missing"], 66, "missing"),
        (&["--exclude", "nothing"], 64, "`nothing`"),
        (&["--max-drop", "-1"], 2, "unexpected argument"),
        (&["--max-drop", "101"], 64, "points from 0 to 100"),
        (&["--percentile", "0"], 64, "percentile"),
        (&["--report", "/nowhere/r.html"], 66, "/nowhere/r.html"),
        (&["--keep-float", "few"], 2, "expected a number or `auto`"),
    ];
    for (more, code, sentence) in cases {
        let (data, more) = match more {
            ["--calibrate", folder] => (fixture.text(folder), &[][..]),
            more => (fixture.text("photos"), *more),
        };
        let out = optimize(model, &data, more);
        assert_eq!(out.status.code(), Some(*code), "{more:?}: {}", out.stderr);
        assert!(out.stderr.contains(sentence), "{more:?}: {}", out.stderr);
    }
    let out = tintype(["optimize", model, "--int8"]);
    assert_eq!(out.status.code(), Some(2), "calibration data is required");
}

/// Runs `tintype args…` with an empty cache of its own in `cache`, and the ONNX Runtime that is used otherwise.
fn with_cache(cache: &Path, args: &[&str]) -> Finished {
    let doctor: Value = serde_json::from_str(&tintype(["doctor", "--json"]).stdout).expect("JSON");
    let library = doctor["onnxruntime"]["library"].as_str().expect("the library's path");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tintype"));
    finish(command.args(args).env("TINTYPE_CACHE", cache).env("TINTYPE_ORT_LIB", library))
}

#[test]
fn an_optimised_graph_lies_in_the_cache_and_answers_as_the_model() {
    let fixture = Fixture::new();
    let (mar, cache) = (fixture.mar(), fixture.path("cache"));
    let model = mar.to_str().unwrap();
    let made = with_cache(&cache, &["optimize", model, "--json"]).success();
    let answer = &made.json_lines()[0];
    let kept = Path::new(answer["kept_in"].as_str().unwrap());
    assert!(kept.starts_with(&cache) && kept.join("model.onnx").is_file(), "{answer}");
    assert_eq!(answer["model"], "red-green-blue");
    assert!(
        answer["bytes"].as_u64().unwrap() >= kept.join("model.onnx").metadata().unwrap().len(),
        "{answer}"
    );
    assert!(answer["largest_difference"].as_f64().unwrap() < 1e-4, "{answer}");
    assert!(
        answer["load_before_s"].as_f64().unwrap() > 0.0 && answer["load_after_s"].as_f64().unwrap() > 0.0
    );

    let predict = ["predict", model, "--json", &fixture.text("green.png"), &fixture.text("blue.png")];
    let predictions = |finished: Finished| -> Vec<Value> {
        finished.success().json_lines().into_iter().map(|mut line| line["predictions"].take()).collect()
    };
    let (with, without) = (predictions(with_cache(&cache, &predict)), predictions(tintype(predict)));
    assert_eq!(with, without);
    assert_eq!((&with[0][0]["label"], &with[1][0]["label"]), (&"green".into(), &"blue".into()));
}

#[test]
fn a_model_that_cannot_be_loaded_is_not_kept() {
    let fixture = Fixture::new();
    let cache = fixture.path("cache");
    std::fs::write(fixture.path("bad.onnx"), b"not a model").expect("a file");
    for (model, code, sentence) in
        [("bad.onnx", 65, "Load model from bad.onnx failed"), ("missing.onnx", 66, "missing.onnx")]
    {
        let out = with_cache(&cache, &["optimize", &fixture.text(model), "--json"]);
        assert_eq!(out.status.code(), Some(code), "{model}: {}", out.stderr);
        assert!(out.stderr.contains(sentence) && out.stdout.is_empty(), "{model}: {}", out.stderr);
    }
    let left = std::fs::read_dir(cache.join("optimized")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing is left behind");
}
