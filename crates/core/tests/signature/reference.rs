//! The configurations of the reference Triton repository, written from their facts, load as they stand once a
//! `tintype.toml` beside them names an ONNX model.

use std::fs;
use std::path::Path;

use tintype_core::image::Limits;
use tintype_core::package::ArchiveLimits;
use tintype_core::triton::{Defaults, proto::model_instance_group::Kind};
use tintype_core::{Bound, ErrorKind, Package, Result, Signature, Tensor};

use crate::support::{bytes, named, specs, texts};

const CLASSES: [&str; 11] = [
    "Bread",
    "Dairy product",
    "Dessert",
    "Egg",
    "Fried food",
    "Meat",
    "Noodles/Pasta",
    "Rice",
    "Seafood",
    "Soup",
    "Vegetable/Fruit",
];
const SPEC: &str = "model = \"../food11.onnx\"\n[preprocess]\nresize = { shorter = 256 }\ncrop = [224, 224]\n\
                    [serving.inputs]\nINPUT = \"image\"\n[serving.outputs]\nFOOD_LABEL = \"label\"\nPROBABILITY = \"probability\"\n";

fn data() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/triton"))
}

/// A repository with one model as in Triton: a configuration and a version that has no ONNX file.
fn repository(name: &str, spec: Option<(&str, &str)>) -> tempfile::TempDir {
    let repository = tempfile::tempdir().unwrap();
    let model = repository.path().join(name);
    fs::create_dir_all(model.join("1")).unwrap();
    fs::copy(data().join(format!("{name}.pbtxt")), model.join("config.pbtxt")).unwrap();
    fs::write(model.join("1/model.py"), "").unwrap();
    fs::write(repository.path().join("food11.onnx"), "").unwrap();
    fs::write(model.join("labels.txt"), CLASSES.join("\n")).unwrap();
    if let Some((place, spec)) = spec {
        fs::write(model.join(place), spec).unwrap();
    }
    repository
}

fn open(repository: &tempfile::TempDir, name: &str) -> Result<Package> {
    Package::open(&repository.path().join(name), &ArchiveLimits::default())
}

fn load(repository: &tempfile::TempDir, name: &str, inputs: &[&str], outputs: &[&str]) -> Signature {
    let package = open(repository, name).unwrap();
    let (limits, defaults) = (Limits::default(), Defaults { gpus: vec![0, 1], ..Defaults::default() });
    Signature::new(&package, &specs(inputs), &specs(outputs), limits, &defaults).unwrap()
}

const X: &str = "x f32 ?,3,224,224";
const Y: &str = "y f32 ?,11";

#[test]
fn classifiers_load_as_they_stand() {
    for (name, max_batch_size, groups) in [
        ("food_classifier", 1, vec![(Kind::Gpu, 1, vec![0, 1])]),
        ("gpu_food_classifier", 1, vec![(Kind::Gpu, 1, vec![0])]),
        ("batching_food_classifier", 16, vec![(Kind::Gpu, 1, vec![0, 1])]),
        ("multigpu_food_classifier", 1024, vec![(Kind::Gpu, 3, vec![0]), (Kind::Gpu, 2, vec![1])]),
    ] {
        // In the version directory, or beside `config.pbtxt`.
        for (place, up) in [("1/tintype.toml", "../../food11.onnx"), ("tintype.toml", "../food11.onnx")] {
            let repository = repository(name, Some((place, &SPEC.replace("../food11.onnx", up))));
            let model = load(&repository, name, &[X], &[Y]);
            let config = model.config();
            assert_eq!(
                (model.max_batch_size(), config.backend.as_str()),
                (max_batch_size, "python"),
                "{name}"
            );
            let found: Vec<_> =
                config.instance_group.iter().map(|g| (g.kind(), g.count, g.gpus.clone())).collect();
            assert_eq!(found, groups, "{name}");
            let image = bytes("INPUT", &[1, 1], &[b"R0lGODlh"]);
            assert!(matches!(model.bind(vec![image]).unwrap(), Bound::Images { rows: 1, .. }));
            let mut scores = vec![0f32; 11];
            scores[6] = 100.0;
            let answer = model.answer(&[], vec![Tensor::new([1, 11], scores).unwrap()], 1).unwrap();
            assert_eq!(
                (answer[0].name.as_str(), texts(&answer[0].tensor)),
                ("FOOD_LABEL", vec!["Noodles/Pasta".to_owned()])
            );
            assert_eq!(
                (answer[1].name.as_str(), answer[1].tensor.values::<f32>().unwrap()),
                ("PROBABILITY", &[1.0][..])
            );
            assert_eq!(answer[1].tensor.shape(), [1, 1]);
        }
    }
}

#[test]
fn captioning_by_a_model_of_strings_or_by_a_classifier() {
    let name = "conditional_captioning";
    let given = || vec![bytes("INPUT", &[1, 1], &[b"GIF89a"]), bytes("FOOD_LABEL", &[1, 1], &[b"Soup"])];
    let strings = repository(name, Some(("tintype.toml", "model = \"../food11.onnx\"\n")));
    let model = load(&strings, name, &["INPUT bytes ?,1", "FOOD_LABEL bytes ?,1"], &["OUTPUT bytes ?,1"]);
    let Bound::Tensors { inputs, rows: 1 } = model.bind(given()).unwrap() else {
        panic!("strings are passed on")
    };
    assert_eq!(texts(&inputs[1]), ["Soup"]);
    let caption = named("OUTPUT", &[1, 1], vec![b"a bowl".to_vec()]).tensor;
    assert_eq!(texts(&model.answer(&[], vec![caption], 1).unwrap()[0].tensor), ["a bowl"]);

    let spec = SPEC
        .replace("INPUT = \"image\"", "INPUT = \"image\"\nFOOD_LABEL = \"ignored\"")
        .replace("FOOD_LABEL = \"label\"\nPROBABILITY = \"probability\"", "OUTPUT = \"label\"");
    let classifier = repository(name, Some(("tintype.toml", &spec)));
    let model = load(&classifier, name, &[X], &[Y]);
    assert!(matches!(model.bind(given()).unwrap(), Bound::Images { rows: 1, .. }));
}

#[test]
fn python_without_an_onnx_model_is_refused_with_advice() {
    for spec in [None, Some(("tintype.toml", "[postprocess]\ntop_k = 3\n"))] {
        let error = open(&repository("food_classifier", spec), "food_classifier").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("`backend: \"python\"`"), "{error}");
        assert!(
            error.hint().is_some_and(|hint| hint.contains("tintype.toml") && hint.contains("ONNX")),
            "{error:?}"
        );
    }
}
