//! From a model's outputs to what a request asked for.

use tintype_core::{ErrorKind, Signature, Tensor};

use crate::support::{classifier, package, signature, texts};

/// Two rows of logits; softmax of [0, ln 3, 0] is [0.2, 0.6, 0.2], of [ln 8, 0, 0] [0.8, 0.1, 0.1].
fn scores() -> Vec<Tensor> {
    vec![Tensor::new([2, 3], vec![0.0, 3f32.ln(), 0.0, 8f32.ln(), 0.0, 0.0]).unwrap()]
}

fn all_kinds() -> Signature {
    let serving = "[serving.outputs]\nL = \"label\"\nP = \"probability\"\nI = \"index\"\nT = \"top_k\"\nS = \"scores\"\nRAW = \"y\"";
    let config = "max_batch_size: 4 output { name: 'L' data_type: TYPE_STRING dims: [1] } \
                  output { name: 'P' data_type: TYPE_FP32 dims: [1, 1] } output { name: 'I' data_type: TYPE_INT64 dims: 1 } \
                  output { name: 'T' data_type: TYPE_STRING dims: [2] } output { name: 'S' data_type: TYPE_FP32 dims: [-1] } \
                  output { name: 'RAW' data_type: TYPE_FP32 dims: [3] }";
    classifier(serving, config).unwrap()
}

fn near(found: &Tensor, shape: &[usize], expected: &[f32]) {
    assert_eq!(found.shape(), shape);
    tintype_testkit::assert_close(found.values::<f32>().unwrap(), expected, 1e-6);
}

#[test]
fn every_kind_of_output() {
    let answer = all_kinds().answer(&[], scores(), 2).unwrap();
    let names: Vec<&str> = answer.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["L", "P", "I", "T", "S", "RAW"]);
    assert_eq!(
        (answer[0].tensor.shape(), texts(&answer[0].tensor)),
        (&[2, 1][..], vec!["dog".into(), "cat".into()])
    );
    near(&answer[1].tensor, &[2, 1, 1], &[0.6, 0.8]);
    assert_eq!(
        (answer[2].tensor.shape(), answer[2].tensor.values::<i64>().unwrap()),
        (&[2, 1][..], &[1, 0][..])
    );
    assert_eq!(answer[3].tensor.shape(), [2, 2]);
    assert_eq!(
        texts(&answer[3].tensor),
        ["0.600000:1:dog", "0.200000:0:cat", "0.800000:0:cat", "0.100000:1:dog"]
    );
    near(&answer[4].tensor, &[2, 3], &[0.2, 0.6, 0.2, 0.8, 0.1, 0.1]);
    assert_eq!(answer[5].tensor, scores()[0]);
}

#[test]
fn what_is_asked_for_comes_in_that_order_and_once() {
    let asked = ["RAW", "y", "P", "RAW"].map(str::to_owned);
    let answer = all_kinds().answer(&asked, scores(), 2).unwrap();
    let names: Vec<&str> = answer.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["RAW", "y", "P"]);
    // Two names of one output: both get it.
    assert_eq!((&answer[0].tensor, &answer[1].tensor), (&scores()[0], &scores()[0]));
    for wrong in ["Q", ""] {
        let error = all_kinds().check_outputs(&["P".to_owned(), wrong.to_owned()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(error.message(), format!("unexpected inference output '{wrong}' for model 'm'"));
    }
    all_kinds().check_outputs(&asked).unwrap();
}

#[test]
fn raw_outputs_are_not_copied() {
    let scores = scores();
    let address = scores[0].values::<f32>().unwrap().as_ptr();
    let answer = all_kinds().answer(&["RAW".to_owned(), "L".to_owned()], scores, 2).unwrap();
    assert_eq!(answer[0].tensor.values::<f32>().unwrap().as_ptr(), address);
}

#[test]
fn reshape_is_undone() {
    let config = "max_batch_size: 8 output { name: 'y' data_type: TYPE_FP32 dims: [2, 4, -1] reshape { shape: [8, -1] } } \
                  output { name: 'z' data_type: TYPE_INT64 dims: [1] reshape { shape: [] } }";
    let model = signature(&package("", config), &["x f32 ?,1"], &["y f32 ?,8,?", "z i64 ?"]).unwrap();
    let outputs =
        vec![Tensor::new([3, 8, 5], vec![0f32; 120]).unwrap(), Tensor::new([3], vec![1i64; 3]).unwrap()];
    let answer = model.answer(&[], outputs, 3).unwrap();
    assert_eq!(answer.iter().map(|o| o.tensor.shape()).collect::<Vec<_>>(), [&[3, 2, 4, 5][..], &[3, 1]]);
    // A model that gives other sizes than it announced.
    let outputs = vec![Tensor::new([1, 7, 1], vec![0f32; 7]).unwrap(), Tensor::new([1], vec![1i64]).unwrap()];
    assert_eq!(model.answer(&[], outputs, 1).unwrap_err().kind(), ErrorKind::InvalidModel);
}

#[test]
fn labels_are_the_outputs_own_or_the_packages() {
    let mut package = package(crate::support::PREPROCESS, "");
    let own: std::sync::Arc<[String]> = ["a", "b", "c"].map(str::to_owned).into();
    package.output_labels.insert("y".to_owned(), own.clone());
    let model = signature(&package, &["x f32 ?,1,4,4"], &["y f32 ?,3"]).unwrap();
    assert_eq!(model.labels("y"), &*own);
    assert_eq!(all_kinds().labels("RAW"), ["cat", "dog", "fox"]);
}

#[test]
fn without_a_batch_axis_there_is_none_in_the_answer() {
    let spec = format!("[serving.outputs]\nL = \"label\"\nT = \"top_k\"\n{}", crate::support::PREPROCESS);
    let model = signature(&package(&spec, ""), &["x f32 1,1,4,4"], &["y f32 1,3"]).unwrap();
    let scores = vec![Tensor::new([1, 3], vec![0f32, 1.0, 0.5]).unwrap()];
    let answer = model.answer(&[], scores, 1).unwrap();
    assert_eq!((answer[0].tensor.shape(), texts(&answer[0].tensor)), (&[1][..], vec!["dog".to_owned()]));
    assert_eq!(answer[1].tensor.shape(), [3]);
}
