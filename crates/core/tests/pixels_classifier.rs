//! A classifier accepts the models that its package fits, and no others.

use std::sync::Arc;

use tintype_core::image::Limits;
use tintype_core::{
    DType, Error, ErrorKind, ImageClassifier, ModelSource, ModelSpec, Package, Scratch, Tensor, TensorSpec,
};
use tintype_testkit::image::png;

fn package(spec: &str, labels: &[&str]) -> Package {
    Package {
        name: "m".to_owned(),
        version: "1".to_owned(),
        spec: ModelSpec::from_toml(spec).expect("the spec parses"),
        labels: labels.iter().map(ToString::to_string).collect(),
        model: ModelSource::Bytes(Arc::from([])),
        config: None,
        output_labels: std::collections::BTreeMap::new(),
    }
}

fn tensor(name: &str, dtype: DType, shape: &[usize]) -> TensorSpec {
    // 0 stands for a dynamic axis.
    TensorSpec {
        name: name.to_owned(),
        dtype,
        shape: shape.iter().map(|&n| Some(n).filter(|&n| n > 0)).collect(),
    }
}

const SPEC: &str = "[preprocess]\ncrop = [4, 6]\n[postprocess]\ntop_k = 2\n";

fn classifier(labels: &[&str], input: TensorSpec, output: TensorSpec) -> Result<ImageClassifier, Error> {
    ImageClassifier::new(&package(SPEC, labels), &[input], &[output], Limits::default())
}

#[test]
fn fitting_models_are_accepted() {
    for (input, output) in [
        (&[0, 3, 4, 6][..], &[0, 3][..]),
        (&[1, 3, 4, 6], &[1, 3, 1, 1]),
        (&[0, 3, 0, 0], &[0, 0]),
        (&[8, 0, 4, 6], &[8, 3]),
    ] {
        let found =
            classifier(&["a", "b", "c"], tensor("x", DType::F32, input), tensor("y", DType::F32, output));
        assert_eq!(found.unwrap().classes(), Some(3), "{input:?} {output:?}");
    }
}

#[test]
fn unfitting_models_are_refused_with_both_sides() {
    let x = |dtype, shape: &[usize]| tensor("x", dtype, shape);
    let good = || tensor("y", DType::F32, &[0, 3]);
    for (input, output, expected) in [
        (
            x(DType::F32, &[0, 3, 6, 4]),
            good(),
            "expected input `x: f32[?,3,6,4]`, found preprocessing to f32[?,3,4,6]",
        ),
        (
            x(DType::U8, &[0, 3, 4, 6]),
            good(),
            "expected input `x: u8[?,3,4,6]`, found preprocessing to f32[?,3,4,6]",
        ),
        (x(DType::F32, &[3, 4, 6]), good(), "expected input `x: f32[3,4,6]`"),
        (x(DType::F32, &[0, 3, 4, 6]), tensor("y", DType::I64, &[0, 3]), "found `y: i64[?,3]`"),
        (x(DType::F32, &[0, 3, 4, 6]), tensor("y", DType::F32, &[0, 3, 2]), "found `y: f32[?,3,2]`"),
        (x(DType::F32, &[0, 3, 4, 6]), tensor("y", DType::F32, &[0, 4]), "expected 4 labels, found 3"),
    ] {
        let error = classifier(&["a", "b", "c"], input, output).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidModel);
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn named_inputs_and_outputs_are_found() {
    let spec = format!("input = \"x\"\noutput = \"scores\"\n{SPEC}");
    let outputs = [tensor("features", DType::F32, &[0, 9]), tensor("scores", DType::F32, &[0, 3])];
    let input = tensor("x", DType::F32, &[0, 3, 4, 6]);
    let new = |spec: &str, inputs: &[TensorSpec]| {
        ImageClassifier::new(&package(spec, &[]), inputs, &outputs, Limits::default())
    };
    assert_eq!(new(&spec, std::slice::from_ref(&input)).unwrap().output(), 1);
    let error = new(&spec.replace("scores", "logits"), std::slice::from_ref(&input)).unwrap_err();
    assert_eq!(error.message(), "expected output `logits`, found `features`, `scores`");
    let error = new(&spec, &[input, tensor("mask", DType::Bool, &[0])]).unwrap_err();
    assert!(error.message().contains("nothing feeds: `mask: bool[?]`"), "{error}");
}

#[test]
fn a_package_without_preprocessing_is_no_image_classifier() {
    let error = ImageClassifier::new(
        &package("", &[]),
        &[tensor("x", DType::F32, &[0, 3, 4, 6])],
        &[tensor("y", DType::F32, &[0, 3])],
        Limits::default(),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}

#[test]
fn an_image_becomes_a_batch_of_one_and_scores_become_labels() {
    let named = classifier(
        &["a", "b", "c"],
        tensor("x", DType::F32, &[0, 3, 4, 6]),
        tensor("y", DType::F32, &[0, 3]),
    );
    let named = named.unwrap();
    assert_eq!(named.prepare(&png(9, 9, 1), &mut Scratch::new()).unwrap().shape(), [1, 3, 4, 6]);
    let scores = Tensor::new([2, 3, 1, 1], vec![0f32, 1.0, 2.0, 5.0, 5.0, 5.0]).unwrap();
    let rows = named.probabilities(&scores).unwrap();
    tintype_testkit::assert_close(&rows[0], &[0.090_030_57, 0.244_728_48, 0.665_240_94], 1e-6);
    let names =
        |row: &[f32], k| named.rank(row, k).into_iter().map(|p| (p.index, p.label)).collect::<Vec<_>>();
    assert_eq!(names(&rows[0], None), [(2, "c".to_owned()), (1, "b".to_owned())], "the spec's two");
    assert_eq!(names(&rows[1], Some(99)).len(), 3, "more than there are: all");
    let wrong = Tensor::new([1, 4], vec![0f32; 4]).unwrap();
    assert_eq!(named.probabilities(&wrong).unwrap_err().kind(), ErrorKind::InvalidModel);
}

#[test]
fn without_labels_the_index_is_the_label() {
    let bare =
        classifier(&[], tensor("x", DType::F32, &[0, 3, 4, 6]), tensor("y", DType::F32, &[0, 0])).unwrap();
    assert_eq!(bare.classes(), None);
    assert_eq!(bare.rank(&[0.1, 0.9], Some(1))[0].label, "1");
}

#[test]
fn an_answer_abstains_below_its_class_threshold_where_asked() {
    let of = |extra: &str| {
        let spec = format!("{SPEC}activation = \"none\"\n{extra}");
        let (input, output) = (tensor("x", DType::F32, &[0, 3, 4, 6]), tensor("y", DType::F32, &[0, 2]));
        ImageClassifier::new(&package(&spec, &["a", "b"]), &[input], &[output], Limits::default())
    };
    let plain = of("").unwrap();
    assert_eq!(plain.abstains(&[0.9, 0.1], None).unwrap(), None);
    assert_eq!(plain.abstains(&[0.9, 0.1], Some(true)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let sure = of("thresholds = [0.75, 0.5]\n").unwrap();
    assert_eq!(sure.abstains(&[0.7, 0.3], None).unwrap(), None);
    for (row, expected) in [([0.7, 0.3], true), ([0.75, 0.25], false), ([0.4, 0.6], false)] {
        assert_eq!(sure.abstains(&row, Some(true)).unwrap(), Some(expected), "{row:?}");
    }
    let always = of("thresholds = [0.75, 0.5]\n[serving]\nabstain = true\n").unwrap();
    assert_eq!(always.abstains(&[0.7, 0.3], None).unwrap(), Some(true));
    assert_eq!(always.abstains(&[0.7, 0.3], Some(false)).unwrap(), None);
    for (extra, message) in [
        ("thresholds = [0.5]\n", "`thresholds`: expected one for each of 2 classes, found 1"),
        ("[serving]\nabstain = true\n", "`abstain` under `[serving]` needs `thresholds`"),
    ] {
        let error = of(extra).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidConfig, message));
    }
}
