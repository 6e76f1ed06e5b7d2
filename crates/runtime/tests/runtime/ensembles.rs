//! Ensembles in a repository: what their requests come to, and what becomes of them when their models come and go.

use tintype_core::{ErrorKind, NamedTensor};
use tintype_runtime::{Control, InferRequest};

use crate::repositories::Place;
use crate::support::*;

const ENSEMBLE: &str = "platform: 'ensemble' max_batch_size: 4
    input { name: 'IN' data_type: TYPE_FP32 dims: 2 } output { name: 'SUM' data_type: TYPE_FP32 dims: 2 }
    output { name: 'SIDE' data_type: TYPE_FP32 dims: 2 }
    ensemble_scheduling {
      step { model_name: 'one' model_version: -1 input_map { key: 'x' value: 'IN' } output_map { key: 'y' value: 'mid' } }
      step { model_name: 'ten' model_version: -1 input_map { key: 'x' value: 'mid' } output_map { key: 'y' value: 'SUM' } }
      step { model_name: 'ten' model_version: -1 input_map { key: 'x' value: 'IN' } output_map { key: 'y' value: 'SIDE' } }
    }";

pub fn with_ensemble(place: &Place) {
    place.put("one/1/model.onnx", "1").put("ten/1/model.onnx", "10");
    place.put("both/config.pbtxt", ENSEMBLE).put("both/1/.gitkeep", "");
}

#[tokio::test]
async fn an_ensemble_feeds_its_models_into_each_other() {
    let place = Place::new(Control::None);
    with_ensemble(&place);
    assert_eq!(place.runtime.start_repository().await.unwrap().len(), 0);
    let input = NamedTensor { name: "IN".into(), tensor: row(&[0.0, 5.0]) };
    let request = InferRequest { inputs: vec![input], ..InferRequest::default() };
    let response =
        place.runtime.admit_version("both", None, 0).unwrap().infer(request.clone()).await.unwrap();
    let outputs: Vec<_> =
        response.outputs.iter().map(|o| (o.name.as_str(), o.tensor.values::<f32>().unwrap())).collect();
    assert_eq!(outputs, [("SUM", &[11.0, 16.0][..]), ("SIDE", &[10.0, 15.0])]);
    let wanted = InferRequest { outputs: vec!["SIDE".into()], ..request };
    let response = place.runtime.admit_version("both", None, 0).unwrap().infer(wanted).await.unwrap();
    assert_eq!(response.outputs.len(), 1);
    let count = |name: &str| place.runtime.statistics(Some(name), None).unwrap()[0].success.count;
    assert_eq!((count("both"), count("one"), count("ten")), (2, 2, 4));
    assert!(place.runtime.model_ready("both", None).unwrap());
}

#[tokio::test]
async fn an_ensemble_that_is_named_at_the_start_brings_its_steps() {
    let place = Place::new(Control::Explicit(vec!["both".into()]));
    with_ensemble(&place);
    assert_eq!(place.runtime.start_repository().await.unwrap().len(), 0);
    assert_eq!(place.index(), ["both 1 READY", "one 1 READY", "ten 1 READY"]);
    place.runtime.unload_model("both", true).await.unwrap();
    until("all are gone", || place.index().iter().all(|line| line.ends_with("UNAVAILABLE unloaded"))).await;
}

#[tokio::test]
async fn a_step_goes_with_the_last_ensemble_that_needs_it_unless_it_was_loaded_for_itself() {
    let place = Place::explicit();
    with_ensemble(&place);
    place.put("again/config.pbtxt", ENSEMBLE).put("again/1/.gitkeep", "");
    place.load("both").await.unwrap();
    place.load("again").await.unwrap();
    place.load("ten").await.unwrap();
    place.runtime.unload_model("both", true).await.unwrap();
    until("it is gone", || place.index()[1] == "both 1 UNAVAILABLE unloaded").await;
    assert_eq!(place.index(), ["again 1 READY", "both 1 UNAVAILABLE unloaded", "one 1 READY", "ten 1 READY"]);
    place.runtime.unload_model("again", true).await.unwrap();
    until("its step is gone", || place.index()[2] == "one 1 UNAVAILABLE unloaded").await;
    assert_eq!(place.index()[3], "ten 1 READY");
}

#[tokio::test]
async fn an_ensemble_whose_step_is_missing_says_which() {
    let place = Place::explicit();
    with_ensemble(&place);
    place.remove("ten");
    place.put("nine/config.pbtxt", &ENSEMBLE.replace("'one' model_version: -1", "'one' model_version: 9"));
    place.put("nine/1/.gitkeep", "").put("ten/1/model.onnx", "no number");
    let error = place.load("both").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().starts_with("step `ten`: "), "{error}");
    assert!(place.index()[0].starts_with("both  UNAVAILABLE step `ten`: "), "{:?}", place.index());
    place.put("ten/1/model.onnx", "10");
    place.load("both").await.unwrap();
    let error = place.load("nine").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().ends_with("depends on 'one' whose required version 9 is not loaded"), "{error}");
}

#[tokio::test]
async fn loading_an_ensemble_loads_its_steps_and_unloading_it_may_unload_them() {
    let place = Place::explicit();
    with_ensemble(&place);
    place.load("both").await.unwrap();
    assert_eq!(place.index(), ["both 1 READY", "one 1 READY", "ten 1 READY"]);
    place.runtime.unload_model("ten", false).await.unwrap();
    assert!(!place.runtime.model_ready("both", None).unwrap());
    let input = NamedTensor { name: "IN".into(), tensor: row(&[0.0, 5.0]) };
    let request = InferRequest { inputs: vec![input], ..InferRequest::default() };
    let error = place.runtime.admit_version("both", None, 0).unwrap().infer(request).await.unwrap_err();
    assert!(error.message().contains("'ten' has no available versions"), "{error}");
    place.load("ten").await.unwrap();
    assert!(place.runtime.model_ready("both", None).unwrap());
    place.runtime.unload_model("both", true).await.unwrap();
    until("all are gone", || {
        place.index().iter().filter(|line| line.ends_with("UNAVAILABLE unloaded")).count() >= 2
    })
    .await;
}

#[tokio::test]
async fn an_ensemble_without_its_models_is_not_loaded_and_says_whom_it_misses() {
    let place = Place::new(Control::None);
    place.put("one/1/model.onnx", "1");
    place.put("both/config.pbtxt", ENSEMBLE).put("both/1/.gitkeep", "");
    let failed = place.runtime.start_repository().await.unwrap();
    assert_eq!(failed.len(), 1);
    assert!(
        failed[0].1.message().contains("depends on 'ten' which has no loaded version"),
        "{}",
        failed[0].1
    );
}

#[tokio::test]
async fn an_ensemble_made_of_itself_is_refused() {
    const OTHER: &str = "platform: 'ensemble' input { name: 'IN' data_type: TYPE_FP32 dims: 2 }
        output { name: 'OUT' data_type: TYPE_FP32 dims: 2 } ensemble_scheduling { step { model_name: 'NAME'
        model_version: -1 input_map { key: 'IN' value: 'IN' } output_map { key: 'OUT' value: 'OUT' } } }";
    for control in [Control::Explicit(Vec::new()), Control::None] {
        let explicit = control != Control::None;
        let place = Place::new(control);
        for (name, step) in [("a", "b"), ("b", "c"), ("c", "a"), ("self", "self")] {
            place.put(&format!("{name}/config.pbtxt"), &OTHER.replace("NAME", step));
            place.put(&format!("{name}/1/.gitkeep"), "");
        }
        let failed = place.runtime.start_repository().await.unwrap();
        if !explicit {
            assert_eq!(failed.len(), 4, "{failed:?}");
            continue;
        }
        for (name, path) in [("a", "a -> b -> c -> a"), ("self", "self -> self")] {
            let error = place.load(name).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            let expected = format!("circular dependency between ensembles: {path}");
            assert!(error.message().ends_with(&expected), "{error}");
        }
    }
}

#[tokio::test]
async fn the_outputs_of_an_ensemble_have_labels_of_their_own_or_those_of_its_models() {
    let place = Place::explicit();
    let config =
        ENSEMBLE.replace("output { name: 'SIDE'", "output { label_filename: 'side.txt' name: 'SIDE'");
    place.put("both/config.pbtxt", &config).put("both/1/.gitkeep", "").put("both/side.txt", "left\nright\n");
    place.put("one/1/model.onnx", "1").put("ten/1/model.onnx", "10").put("ten/labels.txt", "low\nhigh\n");
    place.load("both").await.unwrap();
    let described = place.runtime.describe("both", None).unwrap();
    assert_eq!(described.labels("SIDE"), ["left", "right"]);
    assert_eq!(described.labels("SUM"), ["low", "high"]);
}
