//! The subcommands as they are typed.

use std::path::PathBuf;

use clap::Parser;
use serde_json::Value;
use tintype_testkit::onnx;

use super::*;
use crate::cli::{Cli, Command};

/// A folder with a model of two classes, its labels and a spec for raw tensors.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { folder: tempfile::tempdir().expect("a temporary directory") };
        fixture.write("m.onnx", onnx::scores(&[3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], &[0.0, 0.0]));
        fixture.write("labels.txt", "cat\ndog\n");
        fixture.write("spec.toml", "[postprocess]\ntop_k = 1\n");
        fixture.write("image.onnx", onnx::scores(&[3, 2, 2], &[0.0; 24], &[0.0, 0.0]));
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("a file");
    }

    /// Runs `package …` with `@` standing for the folder; stdout, or the error.
    fn run(&self, line: &str) -> Result<(String, ExitCode)> {
        let folder = format!("{}/", self.folder.path().display());
        let words = line.split(' ').map(|word| word.replace('@', &folder));
        let start = ["tintype", "package"].map(str::to_owned);
        let cli = Cli::try_parse_from(start.into_iter().chain(words)).expect("a good line");
        let Command::Package(args) = cli.command else { unreachable!("`package` was typed") };
        let mut stdout = Vec::new();
        let code = execute(args.command, &mut stdout)?;
        Ok((String::from_utf8(stdout).expect("text"), code))
    }

    fn json(&self, model: &str) -> Value {
        let (text, _) = self.run(&format!("inspect {model} --json")).expect("a package");
        serde_json::from_str(&text).expect("JSON")
    }
}

const CREATE: &str =
    "create --name pets --onnx @m.onnx --labels @labels.txt --spec @spec.toml --version 7 --out";

#[test]
fn create_unpack_and_inspect_agree() {
    let fixture = Fixture::new();
    let (made, _) = fixture.run(&format!("{CREATE} @pets.mar")).expect("a package");
    assert_eq!(made, format!("{}\n", fixture.path("pets.mar").display()));
    let (unpacked, _) = fixture.run("unpack @pets.mar --out @repository").expect("a package");
    assert_eq!(unpacked, format!("{}\n", fixture.path("repository/pets").display()));
    let (archive, directory) = (fixture.json("@pets.mar"), fixture.json("@repository/pets"));
    for key in ["name", "version", "labels", "spec", "inputs", "outputs"] {
        assert_eq!(archive[key], directory[key], "{key}");
    }
    assert_eq!(archive["version"], "7");
    assert_eq!(archive["labels"], 2);
    assert_eq!(archive["inputs"][0]["shape"], serde_json::json!([null, 3]));
    assert_eq!((archive["format"].as_str(), directory["format"].as_str()), (Some("mar"), Some("directory")));
    let sha = |value: &Value| -> Vec<Value> {
        let files = value["files"].as_array().expect("files").clone();
        files.into_iter().filter(|f| f["name"] == "model.onnx").map(|f| f["sha256"].clone()).collect()
    };
    assert_eq!(sha(&archive), sha(&directory));
    let (text, _) = fixture.run("inspect @pets.mar").expect("a package");
    for expected in ["name     pets", "input    input: f32[?,3]", "labels   2: cat; dog", "top_k = 1"] {
        assert!(text.contains(expected), "`{expected}` is missing in:\n{text}");
    }
}

#[test]
fn verify_tells_which_file_is_damaged() {
    let fixture = Fixture::new();
    fixture.run(&format!("{CREATE} @repository")).expect("a package");
    let (text, code) = fixture.run("verify @repository/pets").expect("a package");
    assert_eq!(text, "../labels.txt: ok\nmodel.onnx: ok\ntintype.toml: ok\n");
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
    fixture.write("repository/pets/7/tintype.toml", "");
    let (text, code) = fixture.run("verify @repository/pets").expect("a package");
    assert!(text.contains("tintype.toml: damaged\n"), "{text}");
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
}

#[test]
fn what_does_not_fit_is_not_packaged() {
    let fixture = Fixture::new();
    fixture.write("three.txt", "cat\ndog\nfox\n");
    fixture.write("typo.toml", "[postproces]\n");
    fixture.write("photo.onnx", b"\xff\xd8\xff\xe0");
    fixture.write("small.toml", "[preprocess]\nresize = { exact = [2, 2] }\n");
    fixture.write("large.toml", "[preprocess]\nresize = { exact = [4, 4] }\n");
    fixture.write("wrong.toml", "[preprocess]\nresize = { exact = [2, 2] }\nstd = [0.0]\n");
    fixture
        .run("create --name pets --onnx @image.onnx --spec @small.toml --labels @labels.txt --out @fits.mar")
        .expect("it fits");
    let cases = [
        ("--name pets --onnx @m.onnx --labels @three.txt", "expected 2 labels, found 3"),
        ("--name pets --onnx @m.onnx --spec @typo.toml", "typo.toml"),
        ("--name pets --onnx @photo.onnx", "not an onnx model"),
        ("--name pets --onnx @image.onnx --spec @large.toml", "f32[?,3,2,2]"),
        ("--name pets --onnx @image.onnx --spec @wrong.toml", "std"),
        (
            "--name pets --onnx @image.onnx --spec @small.toml --labels @three.txt",
            "expected 2 labels, found 3",
        ),
        ("--name pets --onnx @none.onnx", "none.onnx"),
        ("--name p/ts --onnx @m.onnx", "model name `p/ts`"),
        ("--name pets --onnx @m.onnx --version 1.0", "version `1.0`"),
    ];
    let mut failures = Vec::new();
    for (arguments, says) in cases {
        for out in ["@x.mar", "@x"] {
            match fixture.run(&format!("create {arguments} --out {out}")) {
                Err(e) if e.message().contains(says) && !fixture.path(&out[1..]).exists() => {}
                other => failures.push(format!("{arguments} --out {out}: {other:?}")),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn nothing_is_replaced_unless_told() {
    let fixture = Fixture::new();
    for out in ["@pets.mar", "@repository"] {
        fixture.run(&format!("{CREATE} {out}")).expect("a package");
        let error = fixture.run(&format!("{CREATE} {out}")).expect_err("it is there already");
        assert!(error.message().contains("exists already"), "{error}");
    }
    fixture.run(&format!("{CREATE} @pets.mar --overwrite")).expect("a package");
}

#[test]
fn a_version_that_is_no_number_is_asked_for() {
    for (version, whole) in
        [("1.0", "1"), ("12", "12"), ("2.0.0", "2"), ("1.5", "1.5"), ("beta", "beta"), ("1.", "1.")]
    {
        assert_eq!(whole_version(version), whole);
    }
    let fixture = Fixture::new();
    let package = Package {
        name: "pets".to_owned(),
        version: "1.5".to_owned(),
        spec: ModelSpec::default(),
        labels: vec![],
        model: ModelSource::Path(fixture.path("m.onnx")),
        config: None,
        output_labels: std::collections::BTreeMap::new(),
    };
    package.write_mar(&fixture.path("pets.mar"), &MarOptions::default()).expect("an archive");
    let error = fixture.run("unpack @pets.mar --out @repository").expect_err("1.5 is no number");
    assert!(error.message().contains("version `1.5`") && error.hint().is_some(), "{error}");
    fixture.run("unpack @pets.mar --out @repository --version 2").expect("a package");
    assert_eq!(fixture.json("@repository/pets")["version"], "2");
}

#[test]
fn inspect_says_what_becomes_of_every_field() {
    let fixture = Fixture::new();
    fixture.run(&format!("{CREATE} @repository")).expect("a package");
    let config = "max_batch_size: 8 dynamic_batching {} parameters { key: 'a' value { string_value: 'b' } }";
    fixture.write("repository/pets/config.pbtxt", config);
    let (text, _) = fixture.run("inspect @repository/pets").expect("a package");
    for expected in ["config   honoured  max_batch_size: ", "config   mapped    parameters: "] {
        assert!(text.contains(expected), "`{expected}` is missing in:\n{text}");
    }
    let found = fixture.json("@repository/pets");
    assert_eq!(found["config"]["max_batch_size"], 8);
    assert_eq!(found["config_fields"][0]["path"], "max_batch_size");
    fixture.run("verify @repository/pets").expect("a package that fits");
    fixture.write("repository/pets/config.pbtxt", "max_batch_size: 8 input { name: 'other' }");
    let error = fixture.run("verify @repository/pets").expect_err("no such input");
    assert!(error.message().contains("unexpected inference input 'other'"), "{error}");
}

#[test]
fn an_ensemble_is_inspected_by_its_steps() {
    let fixture = Fixture::new();
    std::fs::create_dir_all(fixture.path("e/1")).expect("a directory");
    fixture
        .write("e/config.pbtxt", "platform: 'ensemble' ensemble_scheduling { step { model_name: 'pets' } }");
    let (text, _) = fixture.run("inspect @e").expect("an ensemble");
    assert!(
        text.contains("step     pets") && text.contains("honoured  ensemble_scheduling.step.model_name"),
        "{text}"
    );
    assert_eq!(fixture.json("@e")["format"], "ensemble");
}
