//! KServe's protocol over HTTP.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::json;
use tintype_engine::mock::{Gate, Step};
use tintype_runtime::LoadOptions;
use tintype_server::{ClientSharedMemory, Restrictions};
use tokio::io::AsyncWriteExt;

use crate::support::*;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A request for `x = [[1, 2]]` and `s = [["a"]]`.
fn request() -> Vec<u8> {
    let inputs = json!([
        {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2.5]},
        {"name": "s", "shape": [1, 1], "datatype": "BYTES", "data": [["a"]]},
    ]);
    serde_json::to_vec(&json!({"id": "7", "inputs": inputs})).expect("JSON")
}

fn infer(headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    post("/v2/models/m/infer", headers, body)
}

/// The words of an error, which is this protocol's whole body.
#[track_caller]
fn error(answer: &Answer, status: u16) -> String {
    let body = answer.json();
    assert_eq!(answer.status, status, "{body}");
    assert_eq!(body.as_object().expect("an object").len(), 1, "{body}");
    body["error"].as_str().expect("words").to_owned()
}

#[tokio::test]
async fn json_is_answered_with_json() {
    let server = echo([]).start().await;
    for path in ["/v2/models/m/infer", "/v2/models/m/versions/1/infer"] {
        let answer = server.ask(post(path, &[JSON], &request())).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        assert_eq!(
            answer.text(),
            r#"{"id":"7","model_name":"m","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"data":[1.0,2.5]},{"name":"t","datatype":"BYTES","shape":[1,1],"data":["a"]}]}"#
        );
    }
}

#[tokio::test]
async fn bytes_are_answered_with_bytes() {
    let server = echo([]).start().await;
    let json = r#"{"parameters":{"binary_data_output":true},"inputs":[
        {"name":"x","shape":[1,1],"datatype":"FP32","parameters":{"binary_data_size":4}},
        {"name":"s","shape":[1,1],"datatype":"BYTES","data":["hi"]}],
        "outputs":[{"name":"t"},{"name":"y"}]}"#;
    let body = [json.as_bytes(), &1.5f32.to_le_bytes()].concat();
    let length = json.len().to_string();
    let answer = server.ask(infer(&[("Inference-Header-Content-Length", &length)], &body)).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/octet-stream")));
    let header: usize = answer.header("inference-header-content-length").unwrap().parse().unwrap();
    let outputs: serde_json::Value = serde_json::from_slice(&answer.body[..header]).unwrap();
    assert_eq!(outputs["outputs"][0]["parameters"]["binary_data_size"], 6);
    assert_eq!(answer.body[header..], [&b"\x02\0\0\0hi"[..], &1.5f32.to_le_bytes()].concat());
    let wrong = server.ask(infer(&[("Inference-Header-Content-Length", "x")], &body)).await;
    assert!(error(&wrong, 400).contains("Unable to parse Inference-Header-Content-Length, got: x"));
}

#[tokio::test]
async fn an_image_is_the_same_by_every_way() {
    let server = Setup::default().start().await;
    let predicted = server.post("/predict", "image/png", &image(1)).await.json();
    let expected = predicted["top_prediction"]["probability"].as_f64().unwrap();
    let text = base64_simd::STANDARD.encode_to_string(image(1));
    let body = json!({"inputs": [{"name": "x", "shape": [1, 1], "datatype": "BYTES", "data": [text]}]});
    let answer = server.ask(infer(&[JSON], &serde_json::to_vec(&body).unwrap())).await.json();
    let data = answer["outputs"][0]["data"].as_array().expect("scores");
    let best = data.iter().filter_map(serde_json::Value::as_f64).fold(0.0, f64::max);
    assert!((best - expected).abs() < 1e-6, "{answer} and {predicted}");

    // The file itself, although the model's own input is numbers.
    let raw = server.ask(infer(&[("Inference-Header-Content-Length", "0")], &image(1))).await;
    let header: usize = raw.header("inference-header-content-length").unwrap().parse().unwrap();
    let scores = raw.body[header..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    assert!((f64::from(scores.fold(0.0, f32::max)) - expected).abs() < 1e-6);
}

#[tokio::test]
async fn classes_come_with_labels() {
    let server = Setup::default().start().await;
    let body = json!({
        "inputs": [{"name": "x", "shape": [1, 3, 2, 2], "datatype": "FP32", "data": vec![0.25; 12]}],
        "outputs": [{"name": "scores", "parameters": {"classification": 2}}],
    });
    let answer = server.ask(infer(&[JSON], &serde_json::to_vec(&body).unwrap())).await.json();
    let output = &answer["outputs"][0];
    assert_eq!((&output["datatype"], &output["shape"]), (&json!("BYTES"), &json!([1, 2])), "{answer}");
    assert_eq!(output["data"], json!(["0.750000:1:dark", "0.250000:0:light"]));
}

#[tokio::test]
async fn the_small_routes_answer() {
    let server = echo([]).start().await;
    for path in ["/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", "/v2/models/m/versions/1/ready"]
    {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.text()), (200, ""), "{path}");
    }
    let metadata = server.get("/v2").await.json();
    assert_eq!(metadata["name"], "tintype");
    let extensions = metadata["extensions"].as_array().unwrap();
    assert!(
        extensions.contains(&json!("statistics")) && !extensions.contains(&json!("system_shared_memory"))
    );
    let model = server.get("/v2/models/m").await.json();
    assert_eq!(model["inputs"][0], json!({"name": "x", "datatype": "FP32", "shape": [-1, -1]}));
    assert_eq!(server.get("/v2/models/m/config").await.json()["input"][1]["data_type"], "TYPE_STRING");
    server.ask(infer(&[JSON], &request())).await;
    for path in ["/v2/models/m/stats", "/v2/models/m/versions/1/stats", "/v2/models/stats"] {
        let stats = server.get(path).await.json();
        let stats = &stats["model_stats"][0];
        assert_eq!((&stats["name"], &stats["version"]), (&json!("m"), &json!("1")), "{path}");
        assert_eq!((&stats["inference_count"], &stats["execution_count"]), (&json!(1), &json!(1)));
        assert_eq!(stats["inference_stats"].as_object().unwrap().len(), 8);
        assert!(stats["inference_stats"]["success"]["ns"].as_u64() > Some(0));
    }
    let index = server.ask(post("/v2/repository/index", &[JSON], b"")).await.json();
    assert_eq!(index, json!([{"name": "m", "version": "1", "state": "READY"}]));
}

#[tokio::test]
async fn what_is_not_there_says_so_in_this_protocols_shape() {
    let server = echo([]).start().await;
    for path in ["/v2/nothing", "/v2/models/m/versions/one/ready", "/v2/models/m/nothing"] {
        assert_eq!(error(&server.get(path).await, 404), "Not Found", "{path}");
    }
    assert_eq!(error(&server.get("/v2/models/m/infer").await, 405), "Method Not Allowed");
    let unknown = "Request for unknown model: 'x' is not found";
    for path in ["/v2/models/x", "/v2/models/x/config", "/v2/models/x/stats", "/v2/models/x/ready"] {
        assert_eq!(error(&server.get(path).await, 400), unknown, "{path}");
    }
    assert_eq!(error(&server.ask(post("/v2/models/x/infer", &[JSON], b"{}")).await, 400), unknown);
    let missing = error(&server.get("/v2/models/m/versions/9").await, 404);
    assert_eq!(missing, "Request for unknown model: 'm' version 9 is not found");
    error(&server.get("/v2/models/m/versions/99999999999999999999999").await, 400);
    for path in ["/v2/systemsharedmemory/status", "/v2/logging"] {
        error(&server.get(path).await, 501);
    }
    // Nobody can register memory of a GPU, so that there is none, and unregistering all of it is easy.
    assert_eq!(server.get("/v2/cudasharedmemory/status").await.json(), json!([]));
    assert_eq!(server.ask(post("/v2/cudasharedmemory/unregister", &[JSON], b"")).await.status, 200);
    error(&server.ask(post("/v2/cudasharedmemory/region/r/register", &[JSON], b"{}")).await, 501);
    error(&server.get("/v2/cudasharedmemory/region/r/status").await, 404);
    for path in ["/v2/repository/elsewhere/index", "/v2/repository/elsewhere/models/m/load"] {
        let refused = error(&server.ask(post(path, &[JSON], b"")).await, 501);
        assert_eq!(refused, "'repository_name' specification is not supported");
    }
    let refused = error(&server.ask(post("/v2/repository/models/m/load", &[JSON], b"")).await, 503);
    assert_eq!(refused, "explicit model load / unload is not allowed if polling is enabled");
    // Other paths keep tintype's own shape.
    assert_eq!(server.get("/v22").await.json()["error"]["kind"], "not_found");
}

fn packed(writer: impl FnOnce(&[u8]) -> std::io::Result<Vec<u8>>, body: &[u8]) -> Vec<u8> {
    writer(body).expect("memory takes everything")
}

#[tokio::test]
async fn bodies_may_be_compressed_both_ways() {
    let mut setup = echo([]);
    setup.server.max_body_bytes = 10_000;
    let server = setup.start().await;
    let gzip = |body: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body)?;
        encoder.finish()
    };
    let zlib = |body: &[u8]| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body)?;
        encoder.finish()
    };
    let expected = server.ask(infer(&[JSON], &request())).await;
    for (coding, body) in [("gzip", packed(gzip, &request())), ("deflate", packed(zlib, &request()))] {
        let headers = [JSON, ("Content-Encoding", coding), ("Accept-Encoding", coding)];
        let answer = server.ask(infer(&headers, &body)).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, Some(coding)));
        let mut text = String::new();
        let mut plain: Box<dyn std::io::Read> = match coding {
            "gzip" => Box::new(flate2::read::GzDecoder::new(&*answer.body)),
            _ => Box::new(flate2::read::ZlibDecoder::new(&*answer.body)),
        };
        plain.read_to_string(&mut text).unwrap();
        assert_eq!(text, expected.text());
    }
    let bomb = packed(gzip, &vec![b' '; 1_000_000]);
    assert!(bomb.len() < 10_000);
    error(&server.ask(infer(&[JSON, ("Content-Encoding", "gzip")], &bomb)).await, 400);
    error(&server.ask(infer(&[JSON, ("Content-Encoding", "gzip")], b"hello")).await, 400);
    error(&server.ask(infer(&[JSON, ("Content-Encoding", "br")], b"hello")).await, 415);
    error(&server.ask(infer(&[JSON], &vec![b' '; 10_001])).await, 400);
}

#[tokio::test]
async fn a_key_opens_what_is_restricted() {
    let mut setup = echo([]);
    let restricted = "model-repository,inference:secret-key=open sesame".parse().unwrap();
    setup.server.restrictions = Restrictions { http: [restricted].into(), ..Restrictions::default() };
    let server = setup.start().await;
    let expected = "This API is restricted, expecting header 'secret-key'";
    for headers in [vec![JSON], vec![JSON, ("Secret-Key", "open")]] {
        assert_eq!(error(&server.ask(infer(&headers, &request())).await, 403), expected);
    }
    assert_eq!(error(&server.ask(post("/v2/repository/index", &[JSON], b"")).await, 403), expected);
    assert_eq!(error(&server.ask(post("/predict", &[JSON], b"")).await, 403), expected);
    let opened = server.ask(infer(&[JSON, ("Secret-Key", "open sesame")], &request())).await;
    assert_eq!(opened.status, 200);
    assert_eq!(server.get("/v2/models/m").await.status, 200);
}

#[tokio::test]
async fn tensors_may_lie_in_shared_memory() {
    let mut setup = echo([]);
    setup.server.client_shared_memory = ClientSharedMemory::Allowed;
    let server = setup.start().await;
    let key = format!("tintype-test-{}", std::process::id());
    let path = format!("/dev/shm/{key}");
    std::fs::write(&path, [[0; 4], 1.5f32.to_le_bytes(), [0; 4]].concat()).unwrap();
    let register = |name: &str, body: serde_json::Value| {
        post(&format!("/v2/systemsharedmemory/region/{name}/register"), &[JSON], body.to_string().as_bytes())
    };
    let region = json!({"key": format!("/{key}"), "offset": 4, "byte_size": 8});
    assert_eq!(server.ask(register("r", region.clone())).await.status, 200);
    assert!(error(&server.ask(register("r", region)).await, 400).contains("already in manager"));
    let beyond = json!({"key": key, "offset": u64::MAX, "byte_size": 8});
    assert!(error(&server.ask(register("q", beyond)).await, 400).contains("invalid args"));
    for key in ["../etc/passwd", "/a/b", "", "/", "..", "no-such-object-of-anybody"] {
        let refused = server.ask(register("q", json!({"key": key, "byte_size": 0}))).await;
        assert!(error(&refused, 400).starts_with("Unable to open shared memory region"), "{key}");
    }
    let place = |offset: u64, size: u64| json!({"shared_memory_region": "r", "shared_memory_offset": offset, "shared_memory_byte_size": size});
    let body = |input: serde_json::Value, output: serde_json::Value| {
        let body = json!({
            "inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "parameters": input},
                       {"name": "s", "shape": [1, 1], "datatype": "BYTES", "data": [""]}],
            "outputs": [{"name": "y", "parameters": output}],
        });
        infer(&[JSON], body.to_string().as_bytes())
    };
    let answer = server.ask(body(place(0, 4), place(4, 4))).await;
    assert_eq!(answer.json()["outputs"][0], json!({"name": "y", "datatype": "FP32", "shape": [1, 1]}));
    assert_eq!(std::fs::read(&path).unwrap()[8..], 1.5f32.to_le_bytes());
    assert!(
        error(&server.ask(body(place(0, 4), place(4, 3))).await, 400).contains("should be at least 4 bytes")
    );
    for wrong in [place(5, 4), place(u64::MAX, 4), place(0, u64::MAX)] {
        let refused = error(&server.ask(body(wrong, json!({}))).await, 400);
        assert_eq!(refused, "Invalid offset + byte size for shared memory region: 'r'");
    }
    // The object shrinks behind the server's back.
    std::fs::File::options().write(true).open(&path).unwrap().set_len(4).unwrap();
    error(&server.ask(body(place(0, 4), json!({}))).await, 400);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(server.ask(post("/v2/systemsharedmemory/unregister", &[JSON], b"")).await.status, 200);
    assert_eq!(server.get("/v2/systemsharedmemory/status").await.json(), json!([]));
    error(&server.get("/v2/systemsharedmemory/region/r/status").await, 404);
}

#[tokio::test]
async fn overload_and_deadlines_have_tritons_statuses() {
    let gate = Gate::new();
    let mut setup = echo([Step::Hold(gate.clone())]);
    setup.config = LoadOptions { instances: 1, max_queue_size: 1, ..LoadOptions::default() };
    let server = setup.start().await;
    let mut running = server.connect().await;
    running.write_all(&infer(&[JSON], &request())).await.unwrap();
    until("it runs", || gate.waiting() == 1).await;
    let refused = server.ask(infer(&[JSON], &request())).await;
    gate.open();
    error(&refused, 503);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(answer(&mut running).await.status, 200);

    let gate = Gate::new();
    let server = echo([Step::Hold(gate.clone())]).start().await;
    let late = server.ask(infer(&[JSON, ("X-Request-Timeout-Ms", "20")], &request())).await;
    gate.open();
    error(&late, 504);
}

#[tokio::test]
async fn nothing_is_computed_for_a_client_that_hung_up() {
    let gate = Gate::new();
    let setup = echo([Step::Hold(gate.clone())]);
    let model = setup.model.clone();
    let server = setup.start().await;
    let mut first = server.connect().await;
    first.write_all(&infer(&[JSON], &request())).await.unwrap();
    until("the first runs", || gate.waiting() == 1).await;
    let mut gone = server.connect().await;
    gone.write_all(&infer(&[JSON], &request())).await.unwrap();
    until("the second waits", || server.stats().in_flight == 2).await;
    drop(gone);
    until("the second is cancelled", || server.stats().cancelled == 1).await;
    gate.open();
    assert_eq!(answer(&mut first).await.status, 200);
    assert_eq!(server.ask(infer(&[JSON], &request())).await.status, 200);
    assert_eq!(model.batches(), [1, 1]);
    tokio::time::timeout(Duration::from_secs(5), server.stop()).await.unwrap().unwrap().unwrap();
}
