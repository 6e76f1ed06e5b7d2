//! What a request is answered with.

use tintype_core::{ErrorKind, Tensor};
use tintype_engine::mock::{Gate, Step};
use tintype_runtime::{InferOptions, Request, Stage};

use crate::support::*;

#[tokio::test]
async fn the_best_classes_come_first() {
    let runtime = runtime(&model([]), &config());
    let answer = runtime.classify(request(1)).await.unwrap();
    assert_eq!(answer.predictions.len(), 2, "the spec's `top_k`");
    assert!(answer.predictions[0].confidence >= answer.predictions[1].confidence);
    let sum: f32 = answer.predictions.iter().map(|p| p.confidence).sum();
    assert!((sum - 1.0).abs() < 1e-6);
    assert!(answer.predictions.iter().all(|p| LABELS[p.index] == p.label));

    let all = InferOptions { top_k: Some(99), ..InferOptions::default() };
    let answer = runtime.classify(Request { options: all, ..request(1) }).await.unwrap();
    assert_eq!(answer.predictions.len(), LABELS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_batch_everyone_gets_its_own_row() {
    let gate = Gate::new();
    let model = model([Step::Hold(gate.clone())]);
    let runtime = runtime(&model, &config());
    let mut alone = Vec::new();
    gate.open();
    for seed in 0..5 {
        alone.push(runtime.classify(request(seed)).await.unwrap());
    }
    assert!(alone.windows(2).all(|pair| pair[0] != pair[1]), "the images must differ");

    let gate = Gate::new();
    let _ = model.clone().script([Step::Hold(gate.clone())]);
    let first = send(&runtime, request(9));
    gate.wait_for(1);
    let mut together = Vec::new();
    for seed in 0..5 {
        together.push(send(&runtime, request(seed)));
        queued(&runtime, seed + 1).await;
    }
    gate.open();
    first.await.unwrap().unwrap();
    for (answer, alone) in together.into_iter().zip(alone) {
        assert_eq!(answer.await.unwrap().unwrap(), alone);
    }
    assert_eq!(model.batches(), [1, 1, 1, 1, 1, 1, 5]);
}

#[tokio::test]
async fn a_bad_image_fails_before_the_model() {
    let model = model([]);
    let runtime = runtime(&model, &config());
    for (bytes, kind) in [(&b""[..], ErrorKind::NotAnImage), (b"hello", ErrorKind::NotAnImage)] {
        let error = runtime.classify(Request { image: bytes.into(), ..request(0) }).await.unwrap_err();
        assert_eq!(error.kind(), kind);
    }
    let half = image(1).slice(..60);
    let error = runtime.classify(Request { image: half, ..request(0) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CorruptImage);
    assert!(model.calls().is_empty());
    runtime.classify(request(1)).await.unwrap();
}

#[tokio::test]
async fn nonsense_from_the_model_is_an_error_of_the_engine() {
    let wrong_rows = Tensor::new([2, 3], vec![0.5f32; 6]).unwrap();
    let not_finite = Tensor::new([1, 3], vec![f32::NAN, 0.5, 0.5]).unwrap();
    let model = model([Step::Return(vec![not_finite]), Step::Return(vec![]), Step::Return(vec![wrong_rows])]);
    let runtime = runtime(&model, &config());
    for _ in 0..3 {
        assert_eq!(runtime.classify(request(0)).await.unwrap_err().kind(), ErrorKind::Engine);
    }
}

#[tokio::test]
async fn every_stage_is_timed_and_every_outcome_counted() {
    let runtime = runtime(&model([]), &config());
    runtime.classify(request(0)).await.unwrap();
    runtime.classify(Request { image: "nothing".into(), ..request(0) }).await.unwrap_err();
    let stats = stats(&runtime);
    assert_eq!((stats.ok, stats.batches, stats.rows), (1, 1, 1));
    for times in stats.stages {
        let expected = if matches!(times.stage, Stage::Admission | Stage::Prepare) { 2 } else { 1 };
        assert_eq!(times.count, expected, "{:?}", times.stage);
    }
    let mut text = String::new();
    runtime.write_metrics(&mut text).unwrap();
    for line in [
        "tintype_requests_total{model=\"m\",outcome=\"ok\"} 1",
        "tintype_requests_total{model=\"m\",outcome=\"not_an_image\"} 1",
        "tintype_stage_seconds_count{model=\"m\",stage=\"infer\"} 1",
        "tintype_stage_seconds_count{model=\"m\",stage=\"total\"} 1",
        "tintype_batch_rows_count{model=\"m\"} 1",
        "tintype_instances_ready{model=\"m\"} 1",
        "tintype_instance_restarts_total{model=\"m\"} 0",
        "tintype_requests_in_flight{model=\"m\"} 0",
    ] {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
}
