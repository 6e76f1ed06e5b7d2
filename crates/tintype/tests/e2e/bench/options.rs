//! Options that perf_analyzer has: shared memory, recorded intervals, metrics, every request.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use super::{Interrupted, bench, complete};
use crate::binary::{Fixture, Server, tintype};

/// The regions of shared memory that a server knows.
#[track_caller]
fn regions(server: &Server) -> Value {
    server.curl_json("/v2/systemsharedmemory/status", &[]).1
}

#[test]
fn tensors_go_through_shared_memory() {
    let fixture = Fixture::new();
    let mar = fixture.mar();
    let server = Server::start(&mar, &["--allow-client-shm", "true"]);
    let (url, grpc, image) = (server.url.as_str(), server.grpc.as_str(), fixture.text("green.png"));
    let common = ["-m", "red-green-blue", "--shared-memory", "system"];
    let load = ["--request-count", "20", "--concurrency-range", "1:4:x2", "-b", "2"];
    let ways: [&[&str]; 4] = [
        &[url],
        &[url, "--input-tensor-format", "json", "--output-shared-memory-size", "64"],
        &[grpc, "-i", "grpc"],
        &["-u", grpc, "-i", "grpc", "--max-threads", "2", "--input-data", "zero", "--input-data", "random"],
    ];
    for way in ways {
        let report = bench(&[way, &common, &load].concat());
        assert_eq!(report["shared_memory"], true);
        assert_eq!(complete(&report, 20)["server"]["inferences"], 40, "{way:?}");
        assert_eq!(report["levels"].as_array().unwrap().len(), 3);
        assert_eq!(regions(&server), serde_json::json!([]), "{way:?}");
    }
    let image = bench(
        &[&[url, &image], &common[..], &["--request-rate-range", "200", "--request-count", "9"]].concat(),
    );
    complete(&image, 9);
    let served = bench(&[mar.to_str().unwrap(), "--shared-memory", "system", "--request-count", "9"]);
    complete(&served, 9);
    let open = bench(&[&[url], &common[..], &["--request-count", "9", "--max-outstanding", "3"]].concat());
    complete(&open, 9);
}

#[test]
fn shared_memory_is_given_back_on_ctrl_c_too() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.mar(), &["--allow-client-shm", "true"]);
    let args = [server.url.as_str(), "-m", "red-green-blue", "--shared-memory", "system"];
    let bench = Interrupted::start(&args);
    let known = regions(&server);
    assert_eq!(known.as_array().map(Vec::len), Some(2), "inputs and outputs: {known}");
    for region in known.as_array().unwrap() {
        let key = region["key"].as_str().unwrap();
        assert!(!std::path::Path::new("/dev/shm").join(&key[1..]).exists(), "`{key}` has lost its name");
    }
    let rest = bench.finish();
    assert!(rest.contains("Interrupted"), "{rest}");
    assert_eq!(regions(&server), serde_json::json!([]));
}

#[test]
fn recorded_intervals_are_replayed() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.mar(), &[]);
    let intervals = fixture.text("intervals");
    std::fs::write(&intervals, "1000\n3000\n").unwrap();
    let args =
        [&server.url, &fixture.text("green.png"), "--request-intervals", &intervals, "--request-count", "20"];
    let report = bench(&args);
    let level = complete(&report, 20);
    assert_eq!((&report["settings"]["load"], &level["load"]), (&"recorded".into(), &500.0.into()));
    // The last of twenty starts 40 ms after the beginning, and is answered later.
    assert!(level["seconds"].as_f64().unwrap() >= 0.04, "{level:#}");
}

/// Answers every request with `body`, for as long as the test runs; where it listens.
fn answering(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            // The first line is there with the first bytes, and is all that matters.
            let _ = stream.read(&mut [0; 1024]).expect("a request");
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).expect("the answer is taken");
        }
    });
    address
}

#[test]
fn metrics_are_read_meanwhile() {
    let fixture = Fixture::new();
    let mar = fixture.mar();
    let server = Server::start(&mar, &["--allow-gpu-metrics", "false"]);
    let (url, image, csv) = (server.url.as_str(), fixture.text("green.png"), fixture.text("a.csv"));
    let load = ["--request-count", "20", "--collect-metrics"];
    let gpu =
        answering("nv_gpu_utilization{gpu_uuid=\"GPU-a\"} 0.5\nnv_gpu_power_usage{gpu_uuid=\"GPU-a\"} 70\n");
    let files = ["--metrics-url", &gpu, "--metrics-interval", "5", "-f", &csv, "--verbose-csv"];
    let report = bench(&[&[url, &image][..], &load, &files].concat());
    let metrics = &complete(&report, 20)["metrics"];
    assert!(metrics["samples"].as_u64().unwrap() > 0, "{metrics}");
    let told = serde_json::json!({
        "utilization": 0.5, "power_w": 70.0, "memory_used_bytes": null, "memory_total_bytes": null
    });
    assert_eq!(metrics["gpus"]["GPU-a"], told);
    let csv = std::fs::read_to_string(&csv).unwrap();
    assert!(csv.contains(",Avg GPU Utilization,") && csv.contains(",GPU-a:0.5;,GPU-a:70;,,,"), "{csv}");

    let own = ["--metrics-url", &server.metrics];
    let text = tintype([&["bench", url, &image][..], &load, &own].concat()).success().stdout;
    assert!(text.contains("The server's metrics name no GPU"), "{text}");
    let served = tintype([&["bench", mar.to_str().unwrap(), &image][..], &load].concat());
    assert!(served.success().stdout.contains("Server Prometheus Metrics"), "its own address is known");
    let nowhere = tintype([&["bench", url, &image][..], &load, &["--metrics-url", "127.0.0.1:1"]].concat());
    assert_eq!(nowhere.status.code(), Some(74), "{}", nowhere.stderr);
}

#[test]
fn requests_are_exported_as_perf_analyzer_does() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.mar(), &[]);
    let (image, broken, file) =
        (fixture.text("green.png"), fixture.text("broken.jpg"), fixture.text("p.json"));
    let load = ["--request-count", "10", "--concurrency-range", "1:2", "--profile-export-file", &file];
    tintype([&["bench", &server.url, &image, &broken][..], &load].concat());
    let export: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!((&export["service_kind"], &export["endpoint"]), (&"tintype".into(), &"".into()));
    let experiments = export["experiments"].as_array().unwrap();
    assert_eq!(experiments.len(), 2);
    assert_eq!(experiments[1]["experiment"], serde_json::json!({"mode": "concurrency", "value": 2}));
    for experiment in experiments {
        let times = |value: &Value| -> Vec<u64> {
            value.as_array().unwrap().iter().map(|time| time.as_u64().unwrap()).collect()
        };
        let window = times(&experiment["window_boundaries"]);
        assert!(
            window.len() == 2 && window[0] > 1_700_000_000_000_000_000,
            "nanoseconds since 1970: {window:?}"
        );
        let requests = experiment["requests"].as_array().unwrap();
        assert_eq!(requests.len(), 5, "every second one is refused");
        for request in requests {
            let (began, ended) =
                (request["timestamp"].as_u64().unwrap(), times(&request["response_timestamps"]));
            assert!(
                window[0] <= began && began < ended[0] && ended[0] <= window[1],
                "{request} in {window:?}"
            );
        }
    }
}
