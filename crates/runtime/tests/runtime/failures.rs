//! An engine that fails: who notices, and how it comes back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use tintype_core::{Error, ErrorKind};
use tintype_engine::mock::{Gate, MockBackend, Step};
use tintype_runtime::ModelState;

use crate::support::*;

#[tokio::test]
async fn a_failed_run_fails_its_batch_and_the_instance_restarts() {
    for step in [Step::Fail(ErrorKind::Engine, "broken".into()), Step::Panic("boom".into())] {
        let model = model([step]);
        let runtime = runtime(&model, &config());
        assert_eq!(runtime.classify(request(0)).await.unwrap_err().kind(), ErrorKind::Engine);
        until("the instance is back", || stats(&runtime).restarts == 1).await;
        until("it is ready", || status(&runtime).state == ModelState::Ready).await;
        runtime.classify(request(0)).await.unwrap();
        assert_eq!(model.sessions(), 2);
        assert_eq!(model.warm_ups(), [1, 1], "each load is warmed up");
    }
}

#[tokio::test]
async fn while_no_instance_runs_the_model_is_not_ready_and_says_why() {
    let model = model([Step::Fail(ErrorKind::Engine, "broken".into())]);
    let loads = Arc::new(AtomicUsize::new(0));
    let (go_on, gate) = mpsc::channel();
    let (served, counted, gate) = (model.clone(), loads.clone(), Mutex::new(gate));
    let backend = MockBackend::choosing(move |_, _| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(served.clone()),
        1 => Err(Error::new(ErrorKind::InvalidModel, "`/srv/secret/model.onnx` vanished")),
        _ => {
            gate.lock().unwrap().recv().unwrap();
            Ok(served.clone())
        }
    });
    let runtime = empty(backend);
    runtime.load(&package("m"), &config()).unwrap();
    runtime.classify(request(0)).await.unwrap_err();

    until("it is loaded a third time", || loads.load(Ordering::SeqCst) == 3).await;
    let error = runtime.classify(request(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert_eq!(error.message(), "model `m` is not ready: its instances are restarting after a failure");
    assert!(error.retry_after().is_some());
    assert!(matches!(status(&runtime).state, ModelState::NotReady { .. }));
    go_on.send(()).unwrap();
    until("it is ready", || status(&runtime).state == ModelState::Ready).await;
    runtime.classify(request(0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_the_engine_refuses_fails_alone() {
    let gate = Gate::new();
    let refuse = || Step::Fail(ErrorKind::InvalidArgument, "not such a tensor".into());
    // Held; then the batch of two is refused, then its first job alone, and its second is fine.
    let model = model([Step::Hold(gate.clone()), refuse(), refuse()]);
    let runtime = runtime(&model, &config());
    let first = send(&runtime, request(0));
    gate.wait_for(1);
    let bad = send(&runtime, request(1));
    queued(&runtime, 1).await;
    let good = send(&runtime, request(2));
    queued(&runtime, 2).await;
    gate.open();
    first.await.unwrap().unwrap();
    assert_eq!(bad.await.unwrap().unwrap_err().kind(), ErrorKind::InvalidArgument);
    good.await.unwrap().unwrap();
    assert_eq!(model.batches(), [1, 2, 1, 1]);
    assert_eq!(model.sessions(), 1, "the session is sound");
}
