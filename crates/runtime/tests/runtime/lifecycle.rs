//! Loading, naming and draining.

use std::time::Duration;

use tintype_core::{Error, ErrorKind, GoldenSpec, ModelSpec, Package};
use tintype_engine::mock::{Gate, MockBackend, Step};
use tintype_runtime::{LoadOptions, ModelState, Request};

use crate::support::*;

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn models_are_asked_by_name_and_the_first_is_the_default() {
    let model = model([]);
    let runtime = empty(MockBackend::new(model.clone()));
    assert_eq!(runtime.classify(request(0)).await.unwrap_err().kind(), ErrorKind::NotReady);
    runtime.load(&package("a"), &config()).unwrap();
    runtime.load(&package("b"), &config()).unwrap();
    assert_eq!(runtime.admit(None, 0).unwrap().model().as_ref(), "a");
    assert_eq!(runtime.admit(Some("b"), 0).unwrap().model().as_ref(), "b");
    let error = runtime.classify(Request { model: Some("c".into()), ..request(0) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownModel);
    runtime.classify(Request { model: Some("b".into()), ..request(0) }).await.unwrap();
    let names: Vec<_> = runtime.models().into_iter().map(|model| model.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(runtime.load(&package("a"), &config()).unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn every_instance_has_a_session_that_is_warm() {
    let model = model([]);
    let runtime = runtime(&model, &LoadOptions { instances: 3, max_batch_size: Some(4), ..config() });
    assert_eq!(model.sessions(), 3);
    assert_eq!(model.warm_ups(), [1; 3]);
    assert_eq!(status(&runtime).classes.as_ref(), LABELS);
}

#[tokio::test]
async fn a_model_that_does_not_load_is_known_as_not_ready_and_may_be_loaded_again() {
    let served = model([]);
    let loads = std::sync::atomic::AtomicUsize::new(0);
    let runtime = empty(MockBackend::choosing(move |_, _| {
        match loads.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Err(Error::new(ErrorKind::InvalidModel, "node 7 of `/srv/m.onnx` is odd")),
            _ => Ok(served.clone()),
        }
    }));
    let error = runtime.load(&package("m"), &config()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
    assert_eq!(
        status(&runtime).state,
        ModelState::NotReady { reason: "it could not be loaded".into() },
        "no path for clients"
    );
    assert_eq!(runtime.classify(request(0)).await.unwrap_err().kind(), ErrorKind::NotReady);
    runtime.load(&package("m"), &config()).unwrap();
    runtime.classify(request(0)).await.unwrap();
}

#[tokio::test]
async fn a_model_that_answers_its_golden_image_otherwise_is_not_put_in_service() {
    let text = base64_simd::STANDARD.encode_to_string(image(4));
    let with = |index, probability| {
        let image = format!("data:image/png;base64,{text}");
        let golden = GoldenSpec { image, index, probability, tolerance: 0.001 };
        let package = package("m");
        Package { spec: ModelSpec { golden: Some(golden), ..package.spec.clone() }, ..package }
    };
    let runtime = empty(MockBackend::new(model([])));
    runtime.load(&package("reference"), &config()).unwrap();
    let best = runtime.classify(request(4)).await.unwrap().predictions.remove(0);
    let wrong_class = runtime.load(&with(best.index + 1, None), &config()).unwrap_err();
    assert_eq!(wrong_class.kind(), ErrorKind::InvalidModel);
    let wrong_probability =
        runtime.load(&with(best.index, Some(best.confidence - 0.01)), &config()).unwrap_err();
    assert!(wrong_probability.message().contains("found class"), "{wrong_probability}");
    runtime.load(&with(best.index, Some(best.confidence)), &config()).unwrap();
}

#[tokio::test]
async fn a_config_that_cannot_be_is_refused() {
    let runtime = empty(MockBackend::new(model([])));
    let zero = LoadOptions { instances: 0, ..config() };
    assert_eq!(runtime.load(&package("m"), &zero).unwrap_err().kind(), ErrorKind::InvalidConfig);
    assert!(runtime.models().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_finishes_what_was_accepted_and_refuses_the_rest() {
    let gate = Gate::new();
    let model = model([Step::Hold(gate.clone())]);
    let runtime = runtime(&model, &config());
    let accepted: Vec<_> = (0..3).map(|seed| send(&runtime, request(seed))).collect();
    gate.wait_for(1);
    until("all are in", || stats(&runtime).in_flight == 3).await;
    let draining = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.drain(LONG).await }
    });
    until("it drains", || status(&runtime).state != ModelState::Ready).await;
    let error = runtime.classify(request(9)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert_eq!(error.message(), "model `m` is not ready: the server is shutting down");
    gate.open();
    for answer in accepted {
        answer.await.unwrap().unwrap();
    }
    draining.await.unwrap().unwrap();
    runtime.drain(LONG).await.expect("twice is once");
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_is_bounded_and_answers_what_it_leaves() {
    let gate = Gate::new();
    let model = model([Step::Hold(gate.clone())]);
    let runtime = runtime(&model, &config());
    let running = send(&runtime, request(0));
    gate.wait_for(1);
    let waiting = send(&runtime, request(1));
    queued(&runtime, 1).await;
    let error = runtime.drain(Duration::from_millis(10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::NotReady);
    gate.open();
    running.await.unwrap().expect("the thread was left to end by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_restarting_does_not_hold_up_a_drain() {
    let failing = model([Step::Fail(ErrorKind::Engine, "broken".into())]);
    let loads = std::sync::atomic::AtomicUsize::new(0);
    let runtime = empty(MockBackend::choosing(move |_, _| {
        match loads.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Ok(failing.clone()),
            _ => Err(Error::new(ErrorKind::InvalidModel, "gone")),
        }
    }));
    runtime.load(&package("m"), &config()).unwrap();
    runtime.classify(request(0)).await.unwrap_err();
    until("it is down", || status(&runtime).state != ModelState::Ready).await;
    runtime.drain(LONG).await.unwrap();
}
