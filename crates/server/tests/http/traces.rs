//! What is traced, set and asked for over HTTP, and what then lies in the file.

use serde_json::{Value, json};
use tintype_core::triton::TraceSettings;
use tintype_runtime::RuntimeConfig;

use crate::support::*;

const JSON: &str = "application/json";

#[tokio::test]
async fn settings_are_changed_by_http_and_requests_are_traced_by_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.json");
    let trace = TraceSettings { file: file.display().to_string(), ..TraceSettings::default() };
    let runtime = RuntimeConfig { prepare_threads: 1, trace, ..RuntimeConfig::default() };
    let server = Setup { runtime, names: vec!["m", "n"], ..Setup::default() }.start().await;
    let settings = |level: &[&str], rate: &str| {
        json!({
            "trace_level": level, "trace_rate": rate, "trace_count": "-1", "log_frequency": "0",
            "trace_file": file.display().to_string(), "trace_mode": "triton"
        })
    };
    let (all, of_m) = ("/v2/trace/setting", "/v2/models/m/trace/setting");
    let set = async |path: &str, body: Value| server.post(path, JSON, body.to_string().as_bytes()).await;
    assert_eq!(server.get(all).await.json(), settings(&["OFF"], "1000"));
    assert_eq!(set(all, json!({"trace_rate": "1"})).await.json(), settings(&["OFF"], "1"));
    let changed = set(of_m, json!({"trace_level": ["TIMESTAMPS"]})).await;
    assert_eq!(changed.json(), settings(&["TIMESTAMPS"], "1"));
    assert_eq!(server.get("/v2/models/n/trace/setting").await.json(), settings(&["OFF"], "1"));
    for (path, body, status, says) in [
        (all, json!({"trace_file": "/elsewhere"}), 501, "can not be updated through network protocol"),
        (all, json!({"trace_rate": "x"}), 400, "Unable to parse 'trace_rate', got: x"),
        (of_m, json!({"trace_level": ["OFF", "TENSORS"]}), 400, "only one trace level 'OFF'"),
        ("/v2/models/x/trace/setting", json!({}), 400, "unknown model"),
    ] {
        let refused = set(path, body).await;
        assert_eq!(refused.status, status, "{}", refused.text());
        assert!(refused.text().contains(says), "{}", refused.text());
    }
    for path in ["/predict?model=m", "/predict?model=n"] {
        assert_eq!(server.post(path, "image/png", &image(1)).await.status, 200);
    }
    let raw = [("Inference-Header-Content-Length", "0")];
    assert_eq!(server.ask(post("/v2/models/m/infer", &raw, &image(1))).await.status, 200);
    set(of_m, json!({"trace_level": null})).await;
    assert_eq!(server.get(of_m).await.json(), settings(&["OFF"], "1"));
    assert_eq!(server.post("/predict?model=m", "image/png", &image(1)).await.status, 200);
    server.stop().await.unwrap().unwrap();

    let records: Vec<Value> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(records.iter().filter(|record| record["model_name"] == "m").count(), 2);
    assert_eq!(records.len(), 4, "{records:?}");
    for record in records.iter().filter(|record| record.get("timestamps").is_some()) {
        let stamps = record["timestamps"].as_array().unwrap();
        let mut stamps: Vec<(u64, &str)> =
            stamps.iter().map(|s| (s["ns"].as_u64().unwrap(), s["name"].as_str().unwrap())).collect();
        stamps.sort_by_key(|stamp| stamp.0);
        let names: Vec<&str> = stamps.iter().map(|stamp| stamp.1).collect();
        let expected = [
            "HTTP_RECV_START",
            "HTTP_RECV_END",
            "REQUEST_START",
            "QUEUE_START",
            "PREPARE_START",
            "PREPARE_END",
            "COMPUTE_START",
            "COMPUTE_INPUT_END",
            "COMPUTE_OUTPUT_START",
            "COMPUTE_END",
            "REQUEST_END",
            "INFER_RESPONSE_COMPLETE",
            "HTTP_SEND_START",
            "HTTP_SEND_END",
        ];
        assert_eq!(names, expected);
    }
}
