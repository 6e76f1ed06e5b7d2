//! Waiting, and not waiting: batches, limits, deadlines, callers that go away.

use std::time::Duration;

use tintype_core::{ErrorKind, Package, PreprocessSpec};
use tintype_engine::mock::{Gate, MockBackend, Step};
use tintype_runtime::{InferOptions, LoadOptions, Request};
use tokio::time::Instant;

use crate::support::*;

fn with_deadline(seed: u64, deadline: Instant) -> Request {
    Request { options: InferOptions { deadline: Some(deadline), ..InferOptions::default() }, ..request(seed) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_at_most_its_size() {
    let gate = Gate::new();
    let model = model([Step::Hold(gate.clone())]);
    let runtime = runtime(&model, &LoadOptions { max_batch_size: Some(2), ..config() });
    let first = send(&runtime, request(0));
    gate.wait_for(1);
    let others: Vec<_> = (1..4).map(|seed| send(&runtime, request(seed))).collect();
    queued(&runtime, 3).await;
    gate.open();
    for answer in std::iter::once(first).chain(others) {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(model.batches(), [1, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_different_shapes_do_not_share_a_batch() {
    let gate = Gate::new();
    let model = sized_model(None).script([Step::Hold(gate.clone())]);
    let plain = package("m");
    let preprocess = plain.spec.preprocess.clone().map(|spec| PreprocessSpec { resize: None, ..spec });
    let mut spec = plain.spec.clone();
    spec.preprocess = preprocess;
    let runtime = empty(MockBackend::new(model.clone()));
    runtime.load(&Package { spec, ..plain }, &config()).unwrap();

    let sized = |width: u32| Request { image: tintype_testkit::image::png(width, 3, 1).into(), ..request(0) };
    let first = send(&runtime, sized(7));
    gate.wait_for(1);
    let mut others = Vec::new();
    for (count, width) in [3, 3, 4, 4, 4, 3].into_iter().enumerate() {
        others.push(send(&runtime, sized(width)));
        queued(&runtime, count as u64 + 1).await;
    }
    gate.open();
    for answer in std::iter::once(first).chain(others) {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(model.batches(), [1, 2, 3, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once() {
    let gate = Gate::new();
    let model = model([Step::Hold(gate.clone())]);
    let runtime = runtime(&model, &LoadOptions { max_queue_size: 2, ..config() });
    let accepted = [send(&runtime, request(0)), send(&runtime, request(1))];
    until("both are in", || stats(&runtime).in_flight == 2).await;
    let error = runtime.classify(request(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.retry_after().is_some());
    assert_eq!(stats(&runtime).overloaded, 1);
    gate.open();
    for answer in accepted {
        answer.await.unwrap().unwrap();
    }
    until("the places are given back", || stats(&runtime).in_flight == 0).await;
    runtime.classify(request(2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_computed_for_a_caller_that_went_away() {
    let gate = Gate::new();
    let model = model([Step::Hold(gate.clone())]);
    let runtime = runtime(&model, &config());
    let first = send(&runtime, request(0));
    gate.wait_for(1);
    let gone = send(&runtime, request(1));
    queued(&runtime, 1).await;
    let stays = send(&runtime, request(2));
    queued(&runtime, 2).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    gate.open();
    first.await.unwrap().unwrap();
    stays.await.unwrap().unwrap();
    assert_eq!(model.batches(), [1, 1]);
    assert_eq!((stats(&runtime).cancelled, stats(&runtime).ok), (1, 2));
    until("its place is given back", || stats(&runtime).in_flight == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passed_deadline_is_refused_at_the_door() {
    let model = model([]);
    let runtime = runtime(&model, &config());
    let error = runtime.classify(with_deadline(0, Instant::now())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(model.calls().is_empty());
    assert_eq!(stats(&runtime).expired, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_in_the_queue_is_answered_then_and_never_computed() {
    let gate = Gate::new();
    let model = model([Step::Hold(gate.clone())]);
    let runtime = runtime(&model, &config());
    let first = send(&runtime, request(0));
    gate.wait_for(1);
    let soon = Instant::now() + Duration::from_millis(20);
    let error = runtime.classify(with_deadline(1, soon)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(Instant::now() >= soon);
    gate.open();
    first.await.unwrap().unwrap();
    runtime.classify(request(2)).await.unwrap();
    assert_eq!(model.batches(), [1, 1]);
    assert_eq!(stats(&runtime).expired, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_images_wait_prepared() {
    let gate = Gate::new();
    let model = model([Step::Hold(gate.clone())]);
    let runtime = runtime(&model, &LoadOptions { max_batch_size: Some(1), ..config() });
    let requests: Vec<_> = (0..20).map(|seed| send(&runtime, request(seed))).collect();
    gate.wait_for(1);
    until("all are in", || stats(&runtime).in_flight == 20).await;
    // Two for the one instance and one for the one prepare thread; the others stay encoded.
    queued(&runtime, 3).await;
    let prepared = stats(&runtime).stages[1].count;
    assert!(prepared <= 4, "{prepared} images were prepared ahead");
    gate.open();
    for answer in requests {
        answer.await.unwrap().unwrap();
    }
}
