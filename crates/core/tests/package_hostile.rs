//! Archives that must be refused, each with its own error.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use tintype_core::package::{ArchiveLimits, Contents};
use tintype_core::{Error, Package};
use tintype_testkit::archive::{self, Entry};

const MANIFEST: &str = "MAR-INF/MANIFEST.json";

fn limits() -> ArchiveLimits {
    ArchiveLimits {
        max_entries: archive::MAX_ENTRIES,
        max_entry_bytes: archive::MAX_ENTRY_BYTES,
        max_total_bytes: archive::MAX_TOTAL_BYTES,
        max_ratio: archive::MAX_RATIO,
    }
}

/// Opens `bytes` as a `.mar`.
fn open(bytes: &[u8]) -> Result<Package, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mar");
    std::fs::write(&path, bytes).unwrap();
    let opened = Package::open(&path, &limits());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["x.mar"], "opening an archive writes nothing");
    opened
}

/// What is wrong with the answer to a bad archive, or `None`.
fn complaint<T>(opened: Result<T, Error>, kind: &str, says: &str) -> Option<String> {
    match opened {
        Ok(_) => Some("was taken".to_owned()),
        Err(e) if e.kind().as_str() != kind => {
            Some(format!("expected {kind}, found {}: {e}", e.kind().as_str()))
        }
        Err(e) if !e.message().contains(says) => Some(format!("expected `{says}` in: {e}")),
        Err(_) => None,
    }
}

fn report(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} cases failed:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn hostile_archives_are_refused() {
    let complaints: Vec<String> = archive::hostile(MANIFEST)
        .into_iter()
        .filter_map(|h| Some(format!("{}: {}", h.case, complaint(open(&h.bytes), h.kind, h.says)?)))
        .collect();
    report(&complaints);
}

#[test]
fn verify_reads_hostile_archives_as_warily() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mar");
    let mut complaints = Vec::new();
    for hostile in archive::hostile(MANIFEST) {
        std::fs::write(&path, &hostile.bytes).unwrap();
        if let Some(what) = complaint(Contents::of(&path, &limits()), hostile.kind, hostile.says) {
            complaints.push(format!("{}: {what}", hostile.case));
        }
    }
    report(&complaints);
}

const GOOD: &str = r#"{"model": {"modelName": "m", "serializedFile": "m.onnx", "modelVersion": "1.0"}}"#;

#[test]
fn incomplete_and_foreign_archives_are_explained() {
    let manifest = |json: &str| vec![Entry::stored(MANIFEST, json.as_bytes()), Entry::stored("m.onnx", b"x")];
    let with = |name: &str, content: &[u8]| [manifest(GOOD), vec![Entry::stored(name, content)]].concat();
    let digest_of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let torch =
        r#"{"model": {"modelName": "m", "serializedFile": "resnet.pt", "handler": "image_classifier"}}"#;
    let eager = r#"{"model": {"modelName": "m", "handler": "my_handler.py"}}"#;
    let elsewhere = r#"{"model": {"modelName": "m", "serializedFile": "other.onnx"}}"#;
    let outside = r#"{"model": {"modelName": "m", "serializedFile": "../m.onnx"}}"#;
    let bad_name = r#"{"model": {"modelName": "../m", "serializedFile": "m.onnx"}}"#;
    let cases: Vec<(&str, Vec<Entry>, &str, &str)> = vec![
        ("nothing in it", vec![], "invalid_package", "no `MAR-INF/MANIFEST.json`"),
        ("any zip", vec![Entry::stored("a.txt", b"")], "invalid_package", "no `MAR-INF/MANIFEST.json`"),
        ("a checkpoint", vec![Entry::stored("archive/data.pkl", b"")], "unsupported", "PyTorch checkpoint"),
        ("a PyTorch model", manifest(torch), "unsupported", "`resnet.pt` is not an ONNX model"),
        ("an eager model", manifest(eager), "unsupported", "`my_handler.py`"),
        ("no JSON", manifest("model: m"), "invalid_package", "`MAR-INF/MANIFEST.json`: expected value"),
        ("no model", manifest("{}"), "invalid_package", "missing field `model`"),
        ("a bad name", manifest(bad_name), "invalid_package", "model name `../m`"),
        (
            "another file",
            manifest(elsewhere),
            "invalid_package",
            "`other.onnx`, which the archive does not hold",
        ),
        (
            "a file outside",
            manifest(outside),
            "invalid_package",
            "`../m.onnx`, which the archive does not hold",
        ),
        ("a bad spec", with("tintype.toml", b"preproces = 1"), "invalid_config", "preproces"),
        ("a spec in Latin-1", with("tintype.toml", b"# \xe9"), "invalid_package", "expected UTF-8 text"),
        ("bad labels", with("index_to_name.json", b"[]"), "invalid_package", "`index_to_name.json`"),
        ("bad digests", with("MAR-INF/SHA256SUMS", b"?"), "invalid_package", "`SHA256SUMS` line 1"),
        (
            "a wrong digest",
            with("MAR-INF/SHA256SUMS", format!("{digest_of_nothing}  m.onnx\n").as_bytes()),
            "invalid_package",
            "`m.onnx` is damaged: expected SHA-256",
        ),
    ];
    let complaints: Vec<String> = cases
        .into_iter()
        .filter_map(|(case, entries, kind, says)| {
            Some(format!("{case}: {}", complaint(open(&archive::zip(&entries)), kind, says)?))
        })
        .collect();
    report(&complaints);
    assert!(open(&archive::zip(&manifest(GOOD))).is_ok(), "what the cases were made of is a good archive");
}
