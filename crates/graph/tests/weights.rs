//! Checkpoints as people save them, written by `data/make_weights.py`.

use std::path::{Path, PathBuf};

use tintype_core::ErrorKind;
use tintype_graph::arch::{ArchSpec, Architecture, find};
use tintype_graph::weights::{Checkpoint, Fitted, classes, fit};
use tintype_graph::{Model, is_parameter};

const FILES: [&str; 8] = [
    "state.pth",
    "legacy.pth",
    "module.pt",
    "legacy_module.pt",
    "script.pt",
    "lightning.ckpt",
    "odd.pth",
    "half.safetensors",
];

fn path(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/weights")).join(name)
}

fn network() -> (&'static Architecture, Model) {
    let arch = find("small_cnn").expect("the network is built");
    let widths = Some([2, 3, 4, 5]);
    let spec = ArchSpec { image: 16, widths, hidden: Some(6), blank: true, ..ArchSpec::new(3) };
    (arch, arch.build(&spec).expect("the network is built"))
}

fn import(name: &str) -> tintype_core::Result<Fitted> {
    let (arch, model) = network();
    fit(arch, &model, &mut Checkpoint::open(&path(name))?, &|_| false)
}

/// What the script calls `value`.
fn value(name: &str, count: usize) -> Vec<f32> {
    let start: usize = name.bytes().map(usize::from).sum();
    (0..count).map(|i| ((start + 7 * i) % 128) as f32 / 64.0).collect()
}

#[test]
fn every_form_gives_the_same_weights() {
    for file in FILES {
        let Fitted { model, prefix, naming, .. } = import(file).unwrap();
        for tensor in model.graph().initializer.iter().filter(|t| is_parameter(&t.name)) {
            let found = tensor.to_f32().unwrap();
            assert_eq!(found, value(&tensor.name, found.len()), "{file}: {}", tensor.name);
        }
        let expected = match file {
            "lightning.ckpt" => "model._orig_mod.",
            "half.safetensors" => "module.",
            _ => "",
        };
        assert_eq!((prefix.as_str(), naming), (expected, None), "{file}");
        let checkpoint = Checkpoint::open(&path(file)).unwrap();
        assert_eq!(classes(network().0, &checkpoint), Some(3), "{file}");
    }
}

#[test]
fn counters_are_named_and_nothing_else_is_left_out() {
    let fitted = import("state.pth").unwrap();
    assert_eq!(fitted.ignored, ["bn1", "bn2", "bn3", "bn4"].map(|bn| format!("{bn}.num_batches_tracked")));
}

#[test]
fn what_does_not_fit_is_listed() {
    let error = import("misfit.pth").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
    assert_eq!(
        error.message(),
        "the weights do not fit `small_cnn`; unexpected: `fc3.bias`; of another shape: `fc1.bias` is [7] instead of [6]"
    );
    let arch = find("resnet18").unwrap();
    let model = arch.build(&ArchSpec { blank: true, ..ArchSpec::new(3) }).unwrap();
    let mut checkpoint = Checkpoint::open(&path("state.pth")).unwrap();
    let error = fit(arch, &model, &mut checkpoint, &|_| false).unwrap_err();
    assert!(
        error.message().contains("; missing: `bn1.bias`, ") || error.message().contains("; missing: "),
        "{error}"
    );
    assert!(error.message().contains(" more; unexpected: `bn2.bias`, "), "{error}");
    assert!(error.message().contains("`conv1.weight` is [2, 3, 3, 3] instead of [64, 3, 7, 7]"), "{error}");
}

#[test]
fn a_new_last_layer_stays_as_it_is() {
    let (arch, model) = network();
    let mut checkpoint = Checkpoint::open(&path("state.pth")).unwrap();
    let fitted = fit(arch, &model, &mut checkpoint, &|name| name.starts_with("fc2.")).unwrap();
    assert_eq!(fitted.model.f32s("fc2.weight").unwrap(), [0.0; 18]);
    assert_ne!(fitted.model.f32s("fc1.weight").unwrap(), [0.0; 30]);
}

#[test]
fn what_is_no_checkpoint_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, message) in [
        (&b""[..], "is no file of weights"),
        (b"hello, I am a text", "is no file of weights"),
        (b"\x80\x02K\x01.", "is a pickle, but not one of `torch.save`"),
        (
            b"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":1}",
            "its header is said to have 16 bytes, it has 15 in all",
        ),
        (b"PK\x03\x04nothing", "is no whole zip archive"),
    ] {
        let file = folder.path().join("w");
        std::fs::write(&file, bytes).unwrap();
        let error = Checkpoint::open(&file).unwrap_err();
        assert!(error.message().contains(message), "{error}");
    }
    assert_eq!(Checkpoint::open(&folder.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_header_of_any_length_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w");
    let header = format!("{:<128}", r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#);
    // 128 is how a pickle begins too.
    std::fs::write(&file, [&128u64.to_le_bytes(), header.as_bytes(), &2f32.to_le_bytes()].concat()).unwrap();
    assert_eq!(Checkpoint::open(&file).unwrap().read("a").unwrap(), [2.0]);
}

/// Files cut off or with a bit turned are errors, or give other numbers; they never end the program.
#[test]
fn damaged_files_are_no_danger() {
    let folder = tempfile::tempdir().unwrap();
    let (arch, model) = network();
    let mut refused = 0;
    for name in FILES {
        let whole = std::fs::read(path(name)).unwrap();
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for round in 0..60 {
            let mut bytes = whole.clone();
            if round % 3 == 0 {
                bytes.truncate(random(whole.len()));
            } else {
                // The structure is at the beginning or, for an archive, at the end.
                let near = random(whole.len().min(4096));
                let at = if round % 3 == 1 { near } else { whole.len() - 1 - near };
                bytes[at] ^= 1 << random(8);
            }
            let file = folder.path().join("w");
            std::fs::write(&file, bytes).unwrap();
            let fitted = Checkpoint::open(&file).and_then(|mut c| fit(arch, &model, &mut c, &|_| false));
            if let Err(error) = fitted {
                refused += 1;
                assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
            }
        }
    }
    assert!(refused > FILES.len() * 20, "only {refused} were refused");
}
