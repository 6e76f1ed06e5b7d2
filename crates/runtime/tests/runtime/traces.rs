//! Traces: which requests are traced, what is noted of them, and which files they are in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tintype_core::triton::{TraceLevel, TraceSettings};
use tintype_core::{ErrorKind, NamedTensor};
use tintype_engine::mock::MockBackend;
use tintype_runtime::{Control, InferRequest, Runtime, RuntimeConfig};

use crate::repositories::Place;
use crate::support::*;

/// A runtime that traces into a folder of its own.
struct Traced {
    folder: TempDir,
    runtime: Arc<Runtime>,
}

fn every(rate: u32) -> TraceSettings {
    let level = TraceLevel { timestamps: true, tensors: false };
    TraceSettings { rate, level, ..TraceSettings::default() }
}

impl Traced {
    /// Serves `x` → `y` as `m` and as `n`.
    fn new(settings: TraceSettings) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let trace = TraceSettings { file: file(&folder, ""), ..settings };
        let config = RuntimeConfig { prepare_threads: 1, trace, ..RuntimeConfig::default() };
        let runtime = with(config, MockBackend::new(echo_model()));
        for name in ["m", "n"] {
            runtime.load(&plain(name), &config_of_one()).expect("the mock loads");
        }
        Self { folder, runtime }
    }

    async fn ask(&self, model: &str, id: &str) {
        let trace = self.runtime.tracing().sample(model);
        let request = InferRequest { id: id.to_owned(), ..tensors(&[1.0, 2.5]) };
        let admitted = self.runtime.admit_version(model, None, 0).expect("it is ready").traced(trace);
        admitted.infer(request).await.expect("it answers");
    }

    fn set(&self, model: Option<&str>, name: &str, values: &[&str]) -> tintype_core::Result<TraceSettings> {
        let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
        self.runtime.tracing().change(model, |own| own.set(name, &values))
    }

    /// Ends the runtime, which writes all files.
    async fn end(&self) {
        self.runtime.drain(Duration::from_secs(20)).await.expect("it ends");
    }

    /// The requests in `trace.json<suffix>`.
    fn requests(&self, suffix: &str) -> Vec<String> {
        let ids = records(Path::new(&file(&self.folder, suffix))).into_iter();
        ids.filter_map(|record| Some(record.get("request_id")?.as_str()?.to_owned())).collect()
    }
}

fn file(folder: &TempDir, suffix: &str) -> String {
    folder.path().join(format!("trace.json{suffix}")).display().to_string()
}

fn records(file: &Path) -> Vec<Value> {
    let Ok(text) = std::fs::read_to_string(file) else { return Vec::new() };
    serde_json::from_str(&text).expect("an array of records")
}

fn names(record: &Value) -> Vec<&str> {
    let stamps = record["timestamps"].as_array().into_iter().flatten();
    stamps.filter_map(|stamp| stamp["name"].as_str()).collect()
}

#[tokio::test]
async fn every_so_many_requests_one_is_traced_stage_by_stage() {
    let traced = Traced::new(every(3));
    for id in 1..=7 {
        traced.ask("m", &id.to_string()).await;
    }
    traced.end().await;
    assert_eq!(traced.requests(""), ["3", "6"]);
    let records = records(Path::new(&file(&traced.folder, "")));
    assert_eq!(records.len(), 4);
    assert_eq!(
        records[0],
        serde_json::json!({"id": 1, "model_name": "m", "model_version": 1, "request_id": "3"})
    );
    let expected = [
        "REQUEST_START",
        "QUEUE_START",
        "COMPUTE_START",
        "COMPUTE_INPUT_END",
        "COMPUTE_OUTPUT_START",
        "COMPUTE_END",
        "REQUEST_END",
    ];
    assert_eq!(names(&records[1]), expected);
    let stamps = records[1]["timestamps"].as_array().unwrap();
    let times: Vec<u64> = stamps.iter().map(|stamp| stamp["ns"].as_u64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] > 1_600_000_000_000_000_000, "{times:?}");
}

#[tokio::test]
async fn a_count_ends_with_a_file_of_its_own_and_tells_what_is_left() {
    let traced = Traced::new(TraceSettings { count: 3, ..every(1) });
    for id in 1..=2 {
        traced.ask("m", &id.to_string()).await;
    }
    assert_eq!(traced.runtime.tracing().settings(Some("m")).count, 1);
    for id in 3..=5 {
        traced.ask("m", &id.to_string()).await;
    }
    assert_eq!(traced.runtime.tracing().settings(None).count, 0);
    assert_eq!(traced.set(None, "trace_count", &["1"]).unwrap().count, 1);
    traced.ask("m", "6").await;
    traced.end().await;
    assert_eq!(traced.requests(".0"), ["1", "2", "3"]);
    assert_eq!(traced.requests(".1"), ["6"]);
    assert!(traced.requests("").is_empty());
}

#[tokio::test]
async fn with_a_frequency_files_have_so_many_traces_and_the_rest_is_in_one() {
    let traced = Traced::new(TraceSettings { log_frequency: 2, ..every(1) });
    for id in 1..=5 {
        traced.ask("m", &id.to_string()).await;
    }
    traced.set(None, "trace_rate", &["2"]).unwrap();
    for id in 6..=7 {
        traced.ask("m", &id.to_string()).await;
    }
    traced.end().await;
    let files = ["", ".0", ".1", ".2"].map(|suffix| traced.requests(suffix).join(" "));
    assert_eq!(files, ["5 7", "1 2", "3 4", ""]);
}

#[tokio::test]
async fn a_model_may_have_settings_of_its_own() {
    let traced = Traced::new(TraceSettings { level: TraceLevel::OFF, ..every(1) });
    traced.ask("m", "off").await;
    traced.set(Some("m"), "trace_level", &["TIMESTAMPS"]).unwrap();
    traced.ask("m", "m").await;
    traced.ask("n", "off").await;
    traced.set(None, "trace_rate", &["2"]).unwrap();
    assert_eq!(traced.runtime.tracing().settings(Some("m")).rate, 2, "it follows the server's");
    traced.ask("m", "off").await;
    traced.ask("m", "m again").await;
    traced.set(Some("m"), "trace_level", &[]).unwrap();
    assert_eq!(traced.runtime.tracing().settings(Some("m")).level, TraceLevel::OFF);
    traced.ask("m", "off").await;
    traced.end().await;
    assert_eq!(traced.requests(""), ["m", "m again"]);
}

#[tokio::test]
async fn settings_that_would_trace_nothing_are_refused_and_change_nothing() {
    let runtime = empty(MockBackend::new(echo_model()));
    let level = ["TIMESTAMPS".to_owned()];
    let error = runtime.tracing().change(None, |own| own.set("trace_level", &level)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.message(), "Attempting to set invalid trace setting :trace file name is not given");
    assert_eq!(runtime.tracing().settings(None), TraceSettings::default());
    assert!(runtime.tracing().sample("m").is_none());
}

#[tokio::test]
async fn tensors_are_written_where_that_is_asked_for() {
    let level = TraceLevel { timestamps: false, tensors: true };
    let traced = Traced::new(TraceSettings { level, ..every(1) });
    traced.ask("m", "1").await;
    traced.end().await;
    let records = records(Path::new(&file(&traced.folder, "")));
    let tensor = |activity: &str, name: &str| {
        let tensor = serde_json::json!({"name": name, "data": "1,2.5", "shape": "1,2", "dtype": "FP32"});
        serde_json::json!({"id": 1, "activity": activity, "tensor": tensor})
    };
    assert_eq!(records[1..], [tensor("TENSOR_QUEUE_INPUT", "x"), tensor("TENSOR_BACKEND_OUTPUT", "y")]);
}

#[tokio::test]
async fn the_steps_of_an_ensemble_are_traced_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::traced(Control::None, TraceSettings { file: file(&folder, ""), ..every(1) });
    crate::ensembles::with_ensemble(&place);
    assert_eq!(place.runtime.start_repository().await.unwrap().len(), 0);
    let input = NamedTensor { name: "IN".into(), tensor: row(&[0.0, 5.0]) };
    let request = InferRequest { inputs: vec![input], ..InferRequest::default() };
    let trace = place.runtime.tracing().sample("both");
    place.runtime.admit_version("both", None, 0).unwrap().traced(trace).infer(request).await.unwrap();
    place.runtime.drain(Duration::from_secs(20)).await.unwrap();
    let records = records(Path::new(&file(&folder, "")));
    let mut models: Vec<_> = records
        .iter()
        .filter_map(|record| Some((record.get("model_name")?.as_str()?, record["parent_id"].as_u64())))
        .collect();
    assert_eq!(models.remove(0), ("both", None), "the whole comes first");
    models.sort_unstable();
    assert_eq!(models, [("one", Some(1)), ("ten", Some(1)), ("ten", Some(1))]);
}
