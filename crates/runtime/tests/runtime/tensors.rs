//! Tensors in, tensors out: names, shapes, and who is told what.

use tintype_core::triton::{self, LatencyMetrics};
use tintype_core::{DType, ErrorKind, NamedTensor, Package, Tensor, TensorSpec};
use tintype_engine::mock::{MockBackend, MockModel};
use tintype_runtime::{InferRequest, LoadOptions, MetricsConfig, RuntimeConfig};

use crate::support::*;

#[tokio::test]
async fn a_model_answers_under_its_own_names() {
    let runtime = echo("", &config());
    let response = runtime.admit_version("m", None, 0).unwrap().infer(tensors(&[1.0, 2.0])).await.unwrap();
    assert_eq!((&*response.model, response.version), ("m", 1));
    assert_eq!(response.outputs, [NamedTensor { name: "y".into(), tensor: row(&[1.0, 2.0]) }]);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_requests_id() {
    let runtime = echo("", &config());
    let ask = async |request| {
        let error = runtime.admit_version("m", None, 0).unwrap().infer(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.message().to_owned()
    };
    let wrong = NamedTensor { name: "x".into(), tensor: Tensor::new([1, 2], vec![1i64, 2]).unwrap() };
    let message = ask(InferRequest { id: "42".into(), inputs: vec![wrong], ..InferRequest::default() }).await;
    assert!(message.starts_with("[request id: 42] "), "{message}");
    let message = ask(InferRequest { outputs: vec!["z".into()], ..tensors(&[1.0, 2.0]) }).await;
    assert_eq!(message, "[request id: <id_unknown>] unexpected inference output 'z' for model 'm'");
}

#[tokio::test]
async fn who_asks_for_what_is_not_there_is_told_in_tritons_words() {
    let runtime = echo("", &config());
    let error = runtime.admit_version("x", None, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownModel);
    assert_eq!(error.message(), "Request for unknown model: 'x' is not found");
    let error = runtime.describe("m", Some(9)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.message(), "Request for unknown model: 'm' version 9 is not found");
    assert!(runtime.model_ready("m", Some(1)).unwrap());
}

#[tokio::test]
async fn a_model_of_tensors_does_not_classify_and_one_of_images_takes_them_as_bytes() {
    let runtime = echo("", &config());
    let error = runtime.classify(request(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().is_some());

    let runtime = crate::support::runtime(&model([]), &config());
    let image = image(3).to_vec();
    let expected = runtime.classify(request(3)).await.unwrap().predictions;
    let bytes = |images: Vec<Vec<u8>>| NamedTensor {
        name: "x".into(),
        tensor: Tensor::new([images.len(), 1], images).unwrap(),
    };
    let request = InferRequest { inputs: vec![bytes(vec![image.clone(), image])], ..InferRequest::default() };
    let response = runtime.admit_version("m", None, 0).unwrap().infer(request).await.unwrap();
    let scores = response.outputs[0].tensor.values::<f32>().unwrap();
    assert_eq!(response.outputs[0].tensor.shape(), [2, 3]);
    assert_eq!(scores[..3], scores[3..]);
    let best = scores[..3].iter().copied().fold(0.0, f32::max);
    assert_eq!(best, expected[0].confidence);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_of_one_request_keep_their_order_whoever_prepares_them() {
    let config = RuntimeConfig { prepare_threads: 3, ..RuntimeConfig::default() };
    let runtime = with(config, MockBackend::new(model([])));
    runtime.load(&package("m"), &LoadOptions { max_batch_size: Some(16), ..config_of_one() }).unwrap();
    let ask = async |images: Vec<Vec<u8>>| {
        let tensor = Tensor::new([images.len()], images).unwrap();
        let inputs = vec![NamedTensor { name: "x".into(), tensor }];
        let request = InferRequest { inputs, ..InferRequest::default() };
        runtime.admit_version("m", None, 0).unwrap().infer(request).await
    };
    let images: Vec<Vec<u8>> = (0..16).map(|seed| image(seed).to_vec()).collect();
    for _ in 0..20 {
        let together = ask(images.clone()).await.unwrap().outputs.remove(0).tensor;
        for (index, image) in images.iter().enumerate().step_by(5) {
            let alone = ask(vec![image.clone()]).await.unwrap().outputs.remove(0).tensor;
            assert_eq!(together.rows(index, 1).unwrap(), alone, "{index}");
        }
    }
    let torn = |image: &[u8]| image[..image.len() / 2].to_vec();
    let mut bad = images;
    for index in [4, 9] {
        bad[index] = torn(&bad[index]);
    }
    for _ in 0..20 {
        let error = ask(bad.clone()).await.unwrap_err();
        assert!(error.message().contains("image 4: "), "{error}");
    }
}

#[tokio::test]
async fn statistics_are_tritons() {
    let runtime = echo("", &config());
    for _ in 0..2 {
        runtime.admit_version("m", None, 0).unwrap().infer(tensors(&[1.0, 2.0])).await.unwrap();
    }
    runtime.admit_version("m", None, 0).unwrap().infer(InferRequest::default()).await.unwrap_err();
    let stats = &runtime.statistics(Some("m"), None).unwrap()[0];
    assert_eq!((stats.inference_count, stats.execution_count), (2, 2));
    let groups = [stats.success, stats.queue, stats.compute_input, stats.compute_infer, stats.compute_output];
    assert_eq!(groups.map(|group| group.count), [2; 5]);
    assert_eq!(stats.fail.count, 1);
    assert_eq!(stats.batches[&1].compute_infer.count, 2);
    let mut metrics = String::new();
    runtime.write_metrics(&mut metrics).unwrap();
    assert!(metrics.contains("nv_inference_request_success{model=\"m\",version=\"1\"} 2"), "{metrics}");
}

#[tokio::test]
async fn a_batch_of_several_requests_is_told_of_once() {
    let pbtxt = "max_batch_size: 4 dynamic_batching { preferred_batch_size: 2 max_queue_delay_microseconds: 60000000 }";
    let runtime = echo(pbtxt, &config());
    let ask = async || runtime.admit_version("m", None, 0)?.infer(tensors(&[1.0, 2.0])).await;
    let (first, second) = tokio::join!(ask(), ask());
    first.and(second).unwrap();
    let stats = &runtime.statistics(Some("m"), None).unwrap()[0];
    let batches: Vec<_> =
        stats.batches.iter().map(|(&size, batch)| (size, batch.compute_infer.count)).collect();
    assert_eq!((stats.inference_count, stats.execution_count, batches), (2, 1, vec![(2, 1)]));
}

#[tokio::test]
async fn latencies_are_told_in_the_kinds_of_metrics_that_are_asked_for() {
    let spec = TensorSpec { name: "x".into(), dtype: DType::F32, shape: vec![None, Some(2)] };
    let model = MockModel::echo(vec![spec]).output_names(["y"]);
    let told = async |config: RuntimeConfig| {
        let config = RuntimeConfig { prepare_threads: 1, cache_bytes: 1 << 20, ..config };
        let runtime = with(config, MockBackend::new(model.clone()));
        let cached = triton::parse("response_cache { enable: true }").unwrap();
        for (name, config) in [("kept", Some(cached.into())), ("not", None)] {
            runtime
                .load(
                    &Package { config, ..plain(name) },
                    &LoadOptions { instances: 1, ..LoadOptions::default() },
                )
                .unwrap();
            for _ in 0..2 {
                runtime.admit_version(name, None, 0).unwrap().infer(tensors(&[1.0, 2.0])).await.unwrap();
            }
        }
        let mut metrics = String::new();
        runtime.write_metrics(&mut metrics).unwrap();
        metrics
    };
    let default = told(RuntimeConfig::default()).await;
    assert!(!default.contains("summary"), "{default}");
    assert!(default.contains("nv_inference_queue_duration_us{model=\"kept\""), "{default}");

    let latencies = LatencyMetrics {
        counters: false,
        summaries: true,
        quantiles: vec![0.25],
        ..LatencyMetrics::default()
    };
    let metrics = MetricsConfig { latencies, cpu: false, gpu: false };
    let chosen = told(RuntimeConfig { metrics, ..RuntimeConfig::default() }).await;
    for line in [
        "nv_inference_request_success{model=\"kept\",version=\"1\"} 2",
        "nv_inference_request_summary_us_count{model=\"kept\",version=\"1\"} 2",
        "nv_inference_request_summary_us_count{model=\"not\",version=\"1\"} 2",
        "nv_inference_queue_summary_us_count{model=\"kept\",version=\"1\"} 2",
        "nv_inference_compute_infer_summary_us_count{model=\"kept\",version=\"1\"} 1",
        "nv_cache_hit_summary_per_model_count{model=\"kept\",version=\"1\"} 1",
        "nv_cache_miss_summary_per_model_count{model=\"kept\",version=\"1\"} 1",
    ] {
        assert!(chosen.lines().any(|found| found == line), "`{line}` is not in\n{chosen}");
    }
    assert!(chosen.contains("nv_inference_queue_summary_us{model=\"not\",version=\"1\",quantile=\"0.25\"} "));
    for absent in
        ["duration_us", "nv_cache_num", "nv_cpu", "nv_cache_hit_summary_per_model_count{model=\"not\""]
    {
        assert!(!chosen.contains(absent), "`{absent}` is in\n{chosen}");
    }
}

#[tokio::test]
async fn an_answer_that_was_given_is_given_again_without_running_where_the_model_asks_for_it() {
    let spec = |name: &str| TensorSpec { name: name.into(), dtype: DType::F32, shape: vec![None, Some(2)] };
    let model = MockModel::echo(vec![spec("x")]).output_names(["y"]);
    let config = RuntimeConfig { prepare_threads: 1, cache_bytes: 1 << 20, ..RuntimeConfig::default() };
    let runtime = with(config, MockBackend::new(model.clone()));
    let cached = triton::parse("response_cache { enable: true }").unwrap();
    for (name, config) in [("kept", Some(cached.into())), ("not", None)] {
        runtime
            .load(&Package { config, ..plain(name) }, &LoadOptions { instances: 1, ..LoadOptions::default() })
            .unwrap();
        let mut answers = Vec::new();
        for values in [[1.0, 2.0], [1.0, 2.0], [3.0, 4.0]] {
            answers.push(
                runtime.admit_version(name, None, 0).unwrap().infer(tensors(&values)).await.unwrap().outputs,
            );
        }
        assert_eq!(answers[0], answers[1]);
        assert_ne!(answers[1], answers[2]);
    }
    let stats = |name| runtime.statistics(Some(name), None).unwrap().remove(0);
    let (kept, not) = (stats("kept"), stats("not"));
    assert_eq!((kept.success.count, kept.inference_count, kept.execution_count), (3, 2, 2));
    assert_eq!((kept.cache_hit.count, kept.cache_miss.count), (1, 2));
    assert_eq!((not.execution_count, not.cache_hit.count, not.cache_miss.count), (3, 0, 0));
}
