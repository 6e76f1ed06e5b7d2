//! Model directories with a `config.pbtxt`, and models that lie elsewhere.
#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

use std::fs;
use std::path::Path;

use tintype_core::package::{self, ArchiveLimits, MarOptions, OpenOptions};
use tintype_core::{Error, ErrorKind, ModelSource, Package, Result};
use tintype_testkit::onnx;

/// A repository: pairs of path and text; an `.onnx` file is a model.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let repository = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = repository.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let model = onnx::scores(&[3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], &[0.5, -0.5]);
        fs::write(
            &path,
            if path.extension().is_some_and(|e| e == "onnx") { model } else { text.as_bytes().to_vec() },
        )
        .unwrap();
    }
    repository
}

fn open(repository: &tempfile::TempDir, path: &str) -> Result<Package> {
    Package::open(&repository.path().join(path), &ArchiveLimits::default())
}

/// Where the model is, relative to the repository and without links.
fn place(repository: &tempfile::TempDir, package: &Package) -> String {
    let ModelSource::Path(path) = &package.model else { panic!("a file") };
    let (path, root) = (path.canonicalize().unwrap(), repository.path().canonicalize().unwrap());
    path.strip_prefix(root).unwrap().display().to_string()
}

#[test]
fn models_lie_where_the_files_say() {
    for (files, at, expected) in [
        (&[("m/1/model.onnx", ""), ("m/config.pbtxt", "name: 'm'")][..], "m", "m/1/model.onnx"),
        (
            &[("m/1/net.onnx", ""), ("m/config.pbtxt", "default_model_filename: 'net.onnx'")],
            "m",
            "m/1/net.onnx",
        ),
        (
            &[("m/1/net.onnx", ""), ("m/config.pbtxt", "default_model_filename: 'net.onnx'")],
            "m/1",
            "m/1/net.onnx",
        ),
        (&[("m/1/model.onnx/model.onnx", "")], "m", "m/1/model.onnx/model.onnx"),
        (&[("m/1/tintype.toml", "model = '../net.onnx'"), ("m/net.onnx", "")], "m/1", "m/net.onnx"),
        (
            &[("m/tintype.toml", "model = 'net.onnx'"), ("m/net.onnx", ""), ("m/2/.gitkeep", "")],
            "m",
            "m/net.onnx",
        ),
        (&[("m/tintype.toml", "model = '../net.onnx'"), ("net.onnx", ""), ("m/1/x", "")], "m", "net.onnx"),
        // The version's own spec comes before the model's, and both before the configuration.
        (
            &[
                ("m/tintype.toml", "model = 'a.onnx'"),
                ("m/1/tintype.toml", "model = 'b.onnx'"),
                ("m/1/b.onnx", ""),
                ("m/config.pbtxt", "default_model_filename: 'c.onnx'"),
            ],
            "m",
            "m/1/b.onnx",
        ),
    ] {
        let repository = repository(files);
        let package = open(&repository, at).unwrap();
        assert_eq!(place(&repository, &package), expected, "{files:?}");
        assert_eq!(package.name, "m");
    }
}

#[test]
fn models_do_not_lie_outside() {
    for (files, kind, says) in [
        (
            &[("m/1/tintype.toml", "model = '../../../net.onnx'")][..],
            ErrorKind::InvalidConfig,
            "inside the model repository",
        ),
        (
            &[("m/1/x", ""), ("m/tintype.toml", "model = 'a/../../../net.onnx'")],
            ErrorKind::InvalidConfig,
            "inside the model repository",
        ),
        (
            &[("m/1/tintype.toml", "model = '/net.onnx'")],
            ErrorKind::InvalidConfig,
            "expected a relative path",
        ),
        (
            &[("m/1/x", ""), ("m/config.pbtxt", "default_model_filename: '../net.onnx'")],
            ErrorKind::InvalidConfig,
            "inside the model repository",
        ),
        (
            &[("m/1/model.onnx", ""), ("m/config.pbtxt", "output { name: 'y' label_filename: '../l.txt' }")],
            ErrorKind::InvalidConfig,
            "inside the model repository",
        ),
        (
            &[("m/1/model.onnx", ""), ("m/config.pbtxt", "output { name: 'y' label_filename: 'l.txt' }")],
            ErrorKind::InvalidPackage,
            "the labels of output `y`",
        ),
        (
            &[("m/1/x", ""), ("m/config.pbtxt", "default_model_filename: 'net.onnx'")],
            ErrorKind::InvalidPackage,
            "has no `net.onnx`",
        ),
        (
            &[("m/1/model.onnx", ""), ("m/config.pbtxt", "\n nam: 'm'")],
            ErrorKind::InvalidConfig,
            "config.pbtxt`: line 2, column 2: field `nam`",
        ),
        (
            &[("m/1/x", ""), ("m/config.pbtxt", "platform: 'ensemble'")],
            ErrorKind::InvalidPackage,
            "is an ensemble",
        ),
        (
            &[("m/1/model.pt", ""), ("m/config.pbtxt", "platform: 'pytorch_libtorch'")],
            ErrorKind::Unsupported,
            "`platform: \"pytorch_libtorch\"`",
        ),
    ] {
        let error: Error = open(&repository(files), "m").expect_err(says);
        assert_eq!(error.kind(), kind, "{files:?}: {error}");
        assert!(error.message().contains(says), "{files:?}: {error}");
    }
}

#[test]
fn a_configuration_can_be_chosen_or_given() {
    let repository = repository(&[
        ("m/1/model.onnx", ""),
        ("m/config.pbtxt", "max_batch_size: 1"),
        ("m/configs/large.pbtxt", "max_batch_size: 64"),
    ]);
    let model = repository.path().join("m");
    let given = tintype_core::triton::from_json(r#"{"max_batch_size": 7}"#).unwrap();
    for (name, config, expected) in [
        (None, None, 1),
        (Some("large"), None, 64),
        (Some("small"), None, 1),
        (Some("large"), Some(given.into()), 7),
    ] {
        let options = OpenOptions { config_name: name.map(str::to_owned), config, ..OpenOptions::default() };
        let package = Package::open_with(&model, &options).unwrap();
        assert_eq!(package.config.unwrap().max_batch_size, expected, "{name:?}");
    }
    assert_eq!(package::read_config(&model, Some("large")).unwrap().unwrap().max_batch_size, 64);
    assert!(package::read_config(&model.join("1"), None).unwrap().is_none());
    for version in ["3", "12", "x", "04"] {
        fs::create_dir(model.join(version)).unwrap();
    }
    assert_eq!(package::versions(&model).unwrap(), [1, 3, 12]);
}

#[test]
fn labels_come_from_the_files_that_outputs_name() {
    let config = "output { name: 'a' label_filename: 'a.txt' } output { name: 'b' label_filename: 'b.txt' }";
    let files =
        [("m/1/model.onnx", ""), ("m/config.pbtxt", config), ("m/a.txt", "x\ny\n"), ("m/b.txt", "p\nq\n")];
    let package = open(&repository(&files), "m").unwrap();
    assert_eq!(
        (package.labels.join(" "), package.output_labels["b"].join(" ")),
        ("x y".to_owned(), "p q".to_owned())
    );
    let package =
        open(&repository(&[&files[..], &[("m/1/tintype.toml", "output = 'b'")]].concat()), "m").unwrap();
    assert_eq!(package.labels, ["p", "q"]);
    let package = open(&repository(&[&files[..], &[("m/labels.txt", "cat\ndog")]].concat()), "m").unwrap();
    assert_eq!(
        (package.labels.join(" "), package.output_labels["a"].join(" ")),
        ("cat dog".to_owned(), "x y".to_owned())
    );
}

#[test]
fn what_is_written_has_its_model_and_configuration() {
    let files = [
        (
            "m/1/tintype.toml",
            "model = '../../net.onnx'\n[postprocess]\ntop_k = 2\n[serving.outputs]\nY = 'output'",
        ),
        ("net.onnx", ""),
        (
            "m/config.pbtxt",
            "name: 'm' backend: 'python' output { name: 'Y' label_filename: 'l/own.txt' } parameters { key: 'k' value {} }",
        ),
        ("m/l/own.txt", "cat\ndog"),
    ];
    let repository = repository(&files);
    let package = Package { name: "other".to_owned(), ..open(&repository, "m").unwrap() };
    let target = tempfile::tempdir().unwrap();
    let written = package.write_dir(target.path()).unwrap();
    let again = Package::open(&written, &ArchiveLimits::default()).unwrap();
    assert_eq!(again.spec.model, None);
    assert_eq!((again.spec.serving.outputs["Y"].as_str(), again.spec.postprocess.top_k), ("output", 2));
    assert_eq!(again.output_labels["Y"].join(" "), "cat dog");
    let config = again.config.as_deref().unwrap();
    assert_eq!((config.name.as_str(), config.parameters.len()), ("other", 1));
    assert_eq!(again.model.bytes().unwrap(), package.model.bytes().unwrap());
    let mar = target.path().join("m.mar");
    package.write_mar(&mar, &MarOptions::default()).unwrap();
    let again = Package::open(Path::new(&mar), &ArchiveLimits::default()).unwrap();
    assert_eq!((again.spec.model, again.config), (None, None));
}
