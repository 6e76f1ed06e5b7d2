//! What `dynamic_batching` of a configuration says of who waits, how long, and who goes first.

use std::sync::Arc;
use std::time::Duration;

use tintype_core::{ErrorKind, Result};
use tintype_engine::mock::{Gate, MockModel, Step};
use tintype_runtime::{InferRequest, InferResponse, LoadOptions, Runtime};
use tokio::task::JoinHandle;

use crate::support::*;

/// Sends `[value, 0]` with a priority.
fn ask(runtime: &Arc<Runtime>, value: f32, priority: u64) -> JoinHandle<Result<InferResponse>> {
    let request = InferRequest { priority, ..tensors(&[value, 0.0]) };
    let admitted = runtime.admit_version("m", None, 0).expect("the model is ready");
    tokio::spawn(admitted.infer(request))
}

fn with_timeout(millis: u64) -> InferRequest {
    InferRequest { timeout: Some(Duration::from_millis(millis)), ..tensors(&[1.0, 2.0]) }
}

/// The first values of the runs so far.
fn runs(model: &MockModel) -> Vec<f32> {
    model.calls().iter().map(|call| call.inputs[0].values::<f32>().expect("floats")[0]).collect()
}

const ONE_AT_A_TIME: &str = "max_batch_size: 1";

#[tokio::test(flavor = "multi_thread")]
async fn the_urgent_overtake() {
    let gate = Gate::new();
    let model = echo_model().script([Step::Hold(gate.clone())]);
    let config =
        format!("{ONE_AT_A_TIME} dynamic_batching {{ priority_levels: 3 default_priority_level: 2 }}");
    let runtime = configured(&model, &config, &config_of_one());
    let first = ask(&runtime, 0.0, 0);
    gate.wait_for(1);
    let mut others = Vec::new();
    for (count, (value, priority)) in [(1.0, 3), (2.0, 0), (3.0, 1), (4.0, 2)].into_iter().enumerate() {
        others.push(ask(&runtime, value, priority));
        queued(&runtime, count as u64 + 1).await;
    }
    gate.open();
    for answer in std::iter::once(first).chain(others) {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(runs(&model), [0.0, 3.0, 2.0, 4.0, 1.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_refuses_at_once_in_tritons_words() {
    let gate = Gate::new();
    let model = echo_model().script([Step::Hold(gate.clone())]);
    let config = format!(
        "{ONE_AT_A_TIME} dynamic_batching {{ priority_levels: 2 default_priority_level: 1
            priority_queue_policy {{ key: 1 value {{ max_queue_size: 2 }} }} }}"
    );
    let runtime = configured(&model, &config, &config_of_one());
    let running = ask(&runtime, 0.0, 1);
    gate.wait_for(1);
    let mut waiting = vec![ask(&runtime, 1.0, 1)];
    queued(&runtime, 1).await;
    waiting.push(ask(&runtime, 2.0, 1));
    queued(&runtime, 2).await;
    let error = ask(&runtime, 3.0, 1).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert_eq!(error.message(), "[request id: <id_unknown>] Exceeds maximum queue size");
    let other_level = ask(&runtime, 4.0, 2);
    gate.open();
    for answer in [running, other_level].into_iter().chain(waiting) {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(runs(&model), [0.0, 1.0, 2.0, 4.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_too_long_is_refused_and_never_runs() {
    let gate = Gate::new();
    let model = echo_model().script([Step::Hold(gate.clone())]);
    let config = format!(
        "{ONE_AT_A_TIME} dynamic_batching {{ default_queue_policy {{ allow_timeout_override: true
            default_timeout_microseconds: 20000000 }} }}"
    );
    let runtime = configured(&model, &config, &config_of_one());
    let running = ask(&runtime, 0.0, 0);
    gate.wait_for(1);
    let admitted = runtime.admit_version("m", None, 0).unwrap();
    let error = admitted.infer(with_timeout(20)).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::QueueTimeout, "Request timeout expired"));
    gate.open();
    running.await.unwrap().unwrap();
    assert_eq!(runs(&model), [0.0]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_request_that_the_queue_would_keep_longer() {
    const MINUTE: Duration = Duration::from_secs(60);
    let gate = Gate::new();
    let model = echo_model().script([Step::Hold(gate.clone())]);
    let config = format!(
        "{ONE_AT_A_TIME} dynamic_batching {{ default_queue_policy {{ default_timeout_microseconds: 3600000000 }} }}"
    );
    let runtime = configured(&model, &config, &config_of_one());
    let running = ask(&runtime, 0.0, 0);
    until("it runs", || gate.waiting() == 1).await;
    let began = tokio::time::Instant::now();
    let request = InferRequest { deadline: Some(began + MINUTE), ..tensors(&[1.0, 2.0]) };
    let error = runtime.admit_version("m", None, 0).unwrap().infer(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(began.elapsed().as_secs(), MINUTE.as_secs());
    gate.open();
    running.await.unwrap().unwrap();
    assert_eq!(runs(&model), [0.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_that_the_policy_does_not_know_bounds_the_whole_request() {
    let gate = Gate::new();
    let model = echo_model().script([Step::Hold(gate.clone())]);
    let runtime = configured(&model, ONE_AT_A_TIME, &config_of_one());
    let admitted = runtime.admit_version("m", None, 0).unwrap();
    let running = tokio::spawn(admitted.infer(with_timeout(20)));
    gate.wait_for(1);
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "though it was running");
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_keep_the_order_of_requests_where_that_is_asked_for() {
    let slow = Gate::new();
    let model = echo_model().script([Step::Hold(slow.clone())]);
    let config = format!("{ONE_AT_A_TIME} dynamic_batching {{ preserve_ordering: true }}");
    let options = LoadOptions { instances: 2, ..config_of_one() };
    let runtime = configured(&model, &config, &options);
    let first = ask(&runtime, 0.0, 0);
    slow.wait_for(1);
    let second = ask(&runtime, 1.0, 0);
    until("the second has run", || stats(&runtime).stages[3].count == 1).await;
    assert!(!second.is_finished(), "its answer waits for the first");
    slow.open();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_cannot_be_met_is_refused_at_the_door() {
    let gate = Gate::new();
    let model = echo_model().script([Step::Hold(gate.clone())]);
    let runtime = configured(&model, ONE_AT_A_TIME, &config_of_one());
    let first = ask(&runtime, 0.0, 0);
    gate.wait_for(1);
    // What it takes is learned from this run.
    tokio::time::sleep(Duration::from_millis(60)).await;
    gate.open();
    first.await.unwrap().unwrap();
    let soon = tokio::time::Instant::now() + Duration::from_millis(30);
    let request = InferRequest { deadline: Some(soon), ..tensors(&[1.0, 2.0]) };
    let error = runtime.admit_version("m", None, 0).unwrap().infer(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(tokio::time::Instant::now() < soon, "it was told at once");
    assert_eq!(runs(&model), [0.0]);
}
