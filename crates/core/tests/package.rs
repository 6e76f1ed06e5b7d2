//! Packages written and read back, in each of the forms that a MODEL may have.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tintype_core::package::{ArchiveLimits, Check, Contents, Format, MarOptions};
use tintype_core::{Error, ErrorKind, ModelSource, ModelSpec, Package, Resize};
use tintype_testkit::archive::{self, Entry};
use tintype_testkit::onnx;

fn open(path: impl AsRef<Path>) -> Result<Package, Error> {
    Package::open(path.as_ref(), &ArchiveLimits::default())
}

fn model() -> Vec<u8> {
    onnx::scores(&[3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], &[0.5, -0.5])
}

fn package() -> Package {
    let spec = "metrics = { accuracy = 0.96 }\n[preprocess]\nresize = { shorter = 256 }\ncrop = [224, 224]";
    Package {
        name: "pets".to_owned(),
        version: "3".to_owned(),
        spec: ModelSpec::from_toml(spec).unwrap(),
        labels: vec!["cat".to_owned(), "dog, \"good\"".to_owned()],
        model: ModelSource::Bytes(model().into()),
        config: None,
        output_labels: BTreeMap::new(),
    }
}

fn bytes(package: &Package) -> Vec<u8> {
    match &package.model {
        ModelSource::Path(path) => fs::read(path).unwrap(),
        ModelSource::Bytes(bytes) => bytes.to_vec(),
    }
}

fn assert_same(found: &Package, expected: &Package) {
    assert_eq!(found.name, expected.name);
    assert_eq!(found.version, expected.version);
    assert_eq!(found.spec, expected.spec);
    assert_eq!(found.labels, expected.labels);
    assert_eq!(bytes(found), bytes(expected));
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_directory_reads_back_from_model_version_and_run() {
    let run = tempfile::tempdir().unwrap();
    let written = package().write_dir(&run.path().join("model")).unwrap();
    assert_eq!(written, run.path().join("model/pets"));
    for path in [written.clone(), written.join("3"), run.path().to_owned()] {
        assert_same(&open(path).unwrap(), &package());
    }
    assert_eq!(names(&written), ["3", "labels.txt"], "nothing temporary is left");
    assert_eq!(names(&written.join("3")), ["SHA256SUMS", "model.onnx", "tintype.toml"]);
}

#[test]
fn the_highest_version_counts_as_a_number() {
    let repository = tempfile::tempdir().unwrap();
    for version in ["9", "10", "2"] {
        Package { version: version.to_owned(), ..package() }.write_dir(repository.path()).unwrap();
    }
    let model = repository.path().join("pets");
    for ignored in ["011", "100.old", ".writing-7"] {
        fs::create_dir(model.join(ignored)).unwrap();
    }
    assert_eq!(open(&model).unwrap().version, "10");
    assert_eq!(open(model.join("9")).unwrap().version, "9");
    fs::create_dir(model.join("11")).unwrap();
    let error = open(&model).expect_err("version 11 is empty");
    assert_eq!(error.kind(), ErrorKind::InvalidPackage);
    assert!(error.message().contains("11` has no `model.onnx`"), "{error}");
}

#[test]
fn a_version_is_never_written_over() {
    let repository = tempfile::tempdir().unwrap();
    package().write_dir(repository.path()).unwrap();
    let error =
        Package { labels: vec![], ..package() }.write_dir(repository.path()).expect_err("version 3 exists");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_same(&open(repository.path().join("pets")).unwrap(), &package());
}

#[test]
fn each_version_keeps_its_own_labels() {
    let repository = tempfile::tempdir().unwrap();
    let all: [&[&str]; 4] = [&["cat", "dog"], &["cat", "dog", "fox"], &[], &["cat", "dog"]];
    for (i, labels) in all.iter().enumerate() {
        let labels = labels.iter().map(|l| (*l).to_owned()).collect();
        Package { version: (i + 1).to_string(), labels, ..package() }.write_dir(repository.path()).unwrap();
    }
    let model = repository.path().join("pets");
    for (i, labels) in all.iter().enumerate() {
        assert_eq!(open(model.join((i + 1).to_string())).unwrap().labels, *labels, "version {}", i + 1);
        assert_eq!(Contents::of(&model, &ArchiveLimits::default()).unwrap().damaged().count(), 0);
    }
    assert!(!model.join("4/labels.txt").exists(), "labels that are shared are written once");
}

#[test]
fn a_mar_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub/pets.mar");
    package().write_mar(&path, &MarOptions::default()).unwrap();
    assert_same(&open(&path).unwrap(), &package());
    assert_eq!(names(path.parent().unwrap()), ["pets.mar"], "nothing temporary is left");
    let renamed = folder.path().join("pets.zip");
    fs::rename(&path, &renamed).unwrap();
    assert_same(&open(&renamed).unwrap(), &package());
}

#[test]
fn the_same_package_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, seconds| {
        let created = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let path = folder.path().join(name);
        package().write_mar(&path, &MarOptions { created, overwrite: false }).unwrap();
        fs::read(path).unwrap()
    };
    let first = write("a.mar", 1_700_000_000);
    assert_eq!(first, write("b.mar", 1_700_000_000));
    assert_ne!(first, write("c.mar", 1_700_000_001));
}

#[test]
fn a_mar_is_replaced_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pets.mar");
    fs::write(&path, "precious").unwrap();
    let error = package().write_mar(&path, &MarOptions::default()).expect_err("the file exists");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    package().write_mar(&path, &MarOptions { overwrite: true, ..MarOptions::default() }).unwrap();
    assert_same(&open(&path).unwrap(), &package());
}

#[test]
fn a_bare_file_is_a_model_without_spec() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mobilenet v2.onnx");
    fs::write(&path, model()).unwrap();
    let found = open(&path).unwrap();
    assert_same(
        &found,
        &Package {
            name: "mobilenet_v2".to_owned(),
            version: "1".to_owned(),
            spec: ModelSpec::default(),
            labels: vec![],
            model: ModelSource::Path(path.clone()),
            config: None,
            output_labels: BTreeMap::new(),
        },
    );
    assert!(found.spec.preprocess.is_none());
    assert_eq!(Contents::of(&path, &ArchiveLimits::default()).unwrap().format, Format::Onnx);
}

#[test]
fn a_torchserve_archive_brings_its_handlers_preprocessing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.mar");
    let manifest = r#"{
      "createdOn": "21/02/2024 08:07:05", "runtime": "python", "archiverVersion": "0.12.0", "description": "mine",
      "model": {"modelName": "tabby", "serializedFile": "net.onnx", "handler": "HANDLER", "modelVersion": "1.2"}
    }"#;
    let write = |handler: &str| {
        let entries = [
            Entry::deflated("net.onnx", &model()),
            Entry::deflated("index_to_name.json", br#"{"0": ["n02123045", "tabby"], "1": ["n0", "crane"]}"#),
            Entry::stored("sub/", b"").with_mode(0o040_755),
            Entry::deflated("sub/extra.py", b"pass"),
            Entry::deflated("MAR-INF/MANIFEST.json", manifest.replace("HANDLER", handler).as_bytes()),
        ];
        fs::write(&path, archive::zip(&entries)).unwrap();
    };
    write("image_classifier");
    let found = open(&path).unwrap();
    assert_eq!((found.name.as_str(), found.version.as_str()), ("tabby", "1.2"));
    assert_eq!(found.labels, ["tabby", "crane"]);
    assert_eq!(bytes(&found), model());
    assert_eq!(found.spec.preprocess.unwrap().resize, Some(Resize::Shorter(256)));
    assert!(found.spec.provenance["preprocess"].contains("image_classifier"));
    // Another handler's preprocessing is Python, of which nothing is known.
    write("my_handler.py");
    assert!(open(&path).unwrap().spec.preprocess.is_none());
}

#[test]
fn digests_find_what_was_changed() {
    let repository = tempfile::tempdir().unwrap();
    let model = package().write_dir(repository.path()).unwrap();
    let checks = || -> BTreeMap<String, Check> {
        let contents = Contents::of(&model, &ArchiveLimits::default()).unwrap();
        contents.files.into_iter().map(|file| (file.name, file.check)).collect()
    };
    let fine = checks();
    assert_eq!(fine.keys().collect::<Vec<_>>(), ["../labels.txt", "model.onnx", "tintype.toml"]);
    assert!(fine.values().all(|check| *check == Check::Matches), "{fine:?}");
    fs::write(model.join("labels.txt"), "dog\ncat\n").unwrap();
    fs::write(model.join("3/new.txt"), "").unwrap();
    fs::remove_file(model.join("3/tintype.toml")).unwrap();
    let changed = checks();
    assert!(matches!(changed["../labels.txt"], Check::Differs(_)));
    assert_eq!(changed["model.onnx"], Check::Matches);
    assert_eq!(changed["new.txt"], Check::Unlisted);
    assert_eq!(changed["tintype.toml"], Check::Missing);
}

#[test]
fn a_flipped_bit_in_a_mar_is_found_on_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pets.mar");
    package().write_mar(&path, &MarOptions::default()).unwrap();
    let mut archive = fs::read(&path).unwrap();
    let contents = Contents::of(&path, &ArchiveLimits::default()).unwrap();
    assert_eq!(contents.files.len(), 4);
    assert!(contents.files.iter().all(|file| file.check == Check::Matches));
    let model = model();
    let at = archive.windows(model.len()).position(|w| w == model).expect("the model is stored as it is");
    archive[at + 20] ^= 1;
    fs::write(&path, archive).unwrap();
    let error = open(&path).expect_err("a bit is wrong");
    assert_eq!(error.kind(), ErrorKind::InvalidPackage);
    assert!(error.message().contains("model.onnx"), "{error}");
}

/// `TensorProto.external_data` with the location `w.data`, which is all that packages look at.
fn model_with_external_data() -> Vec<u8> {
    [b"\x08\x01\x6a\x12\x0a\x08location\x12\x06w.data".as_slice(), b"\x70\x01"].concat()
}

#[test]
fn external_data_goes_along_in_a_directory_and_not_in_a_mar() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    fs::write(&path, model_with_external_data()).unwrap();
    fs::write(folder.path().join("w.data"), [1, 2, 3]).unwrap();
    let large = Package { model: ModelSource::Path(path), ..package() };
    let written = large.write_dir(&folder.path().join("repository")).unwrap();
    assert_eq!(fs::read(written.join("3/w.data")).unwrap(), [1, 2, 3]);
    assert_eq!(Contents::of(&written, &ArchiveLimits::default()).unwrap().damaged().count(), 0);

    let error = large.write_mar(&folder.path().join("m.mar"), &MarOptions::default()).expect_err("two files");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("`w.data`") && error.hint().is_some(), "{error}");
    let lost = Package { model: ModelSource::Bytes(model_with_external_data().into()), ..package() };
    assert_eq!(
        lost.write_dir(&folder.path().join("r2")).expect_err("no w.data").kind(),
        ErrorKind::InvalidModel
    );
    assert_eq!(names(&folder.path().join("r2")), Vec::<String>::new(), "nothing half-made is left");
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let bad = [
        Package { name: "../evil".to_owned(), ..package() },
        Package { version: String::new(), ..package() },
        Package { labels: vec!["two\nlines".to_owned()], ..package() },
    ];
    for package in bad {
        for error in [
            package.write_dir(folder.path()).expect_err("must be refused"),
            package
                .write_mar(&folder.path().join("x.mar"), &MarOptions::default())
                .expect_err("must be refused"),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
    }
    let error =
        Package { version: "1.0".to_owned(), ..package() }.write_dir(folder.path()).expect_err("no number");
    assert!(error.message().contains("version `1.0`"), "{error}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn errors_say_what_was_expected_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("photo.jpg"), b"\xff\xd8\xff\xe0").unwrap();
    fs::write(at("net.pth"), b"PK\x03\x04").unwrap();
    fs::write(at("net.th"), b"PK\x03\x04").unwrap();
    fs::write(at("net.tar.gz"), b"").unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::create_dir_all(at("other/photos")).unwrap();
    fs::create_dir_all(at("run/model")).unwrap();
    for name in ["a", "b"] {
        Package { name: name.to_owned(), ..package() }.write_dir(&at("two/model")).unwrap();
    }
    package().write_dir(&at("")).unwrap();
    fs::rename(at("pets"), at("bad name")).unwrap();
    package().write_dir(&at("")).unwrap();
    fs::write(at("pets/labels.txt"), "cat\n\n").unwrap();
    let mut failures = Vec::new();
    for (path, kind, says) in [
        ("missing", ErrorKind::NotFound, "missing"),
        ("photo.jpg", ErrorKind::InvalidPackage, "expected a `.mar` archive"),
        ("net.pth", ErrorKind::Unsupported, "is not an ONNX model"),
        ("net.th", ErrorKind::Unsupported, "is not an ONNX model"),
        ("net.tar.gz", ErrorKind::Unsupported, "tar archive"),
        ("empty", ErrorKind::InvalidPackage, "found no directory in it"),
        ("other", ErrorKind::InvalidPackage, "found the directories `photos`"),
        ("run", ErrorKind::InvalidPackage, "holds 0 models"),
        ("two", ErrorKind::InvalidPackage, "holds 2 models"),
        ("bad name", ErrorKind::InvalidPackage, "model name `bad name`"),
        ("pets", ErrorKind::InvalidPackage, "labels.txt`: line 2 is empty"),
    ] {
        match open(at(path)) {
            Err(e) if e.kind() == kind && e.message().contains(says) => {}
            other => failures.push(format!("{path}: {:?}", other.map(|p| p.name))),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_spec_is_optional_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let version = folder.path().join("m/1");
    fs::create_dir_all(&version).unwrap();
    fs::write(version.join("model.onnx"), model()).unwrap();
    fs::write(folder.path().join("m/config.pbtxt"), "name: \"m\"").unwrap();
    assert_eq!(open(folder.path().join("m")).unwrap().spec, ModelSpec::default());
    fs::write(version.join("tintype.toml"), "[preprocess]\nresise = 1").unwrap();
    let error = open(folder.path().join("m")).expect_err("a key is misspelled");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("tintype.toml") && error.message().contains("resise"), "{error}");
}

/// Made by `torch-model-archiver`; the script beside it says how.
#[test]
fn torchserves_own_archiver_is_understood() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let expected = fs::read_to_string(data.join("torchserve.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let path = data.join("torchserve.mar");
    let found = open(&path).unwrap();
    assert_eq!(found.name, expected["name"]);
    assert_eq!(found.version, expected["version"]);
    assert_eq!(serde_json::json!(found.labels), expected["labels"]);
    assert!(found.spec.preprocess.is_some());
    let contents = Contents::of(&path, &ArchiveLimits::default()).unwrap();
    let model = contents.files.iter().find(|file| file.name == "colours.onnx").unwrap();
    assert_eq!(model.sha256, expected["model_sha256"]);
    assert_eq!(model.check, Check::Unlisted);
}
