mod options;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::binary::{Fixture, Server, tintype};

/// `tintype bench args… --json`, which succeeds.
#[track_caller]
fn bench(args: &[&str]) -> Value {
    tintype(["bench", "--json"].iter().chain(args)).success().json_lines().remove(0)
}

/// The first load of a report: every request was answered.
#[track_caller]
fn complete(report: &Value, requests: u64) -> &Value {
    let level = &report["levels"][0];
    assert_eq!(
        (level["requests"].as_u64(), &level["errors"]),
        (Some(requests), &serde_json::json!({})),
        "{report:#}"
    );
    assert!(
        level["throughput"].as_f64().expect("a number") > 0.0
            && level["latency"]["avg_us"].as_f64().expect("a number") > 0.0
    );
    level
}

#[test]
fn a_server_is_measured_however_it_is_asked() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.mar(), &[]);
    let (url, image) = (server.url.as_str(), fixture.text("green.png"));
    let eight = ["--request-count", "8", "--concurrency-range", "2"];
    let model = ["-m", "red-green-blue"];
    let ways: [&[&str]; 5] = [
        &[url, &image],
        &[url, &image, "--service-kind", "model-serving"],
        &[url, model[0], model[1]],
        &[url, model[0], model[1], "--input-tensor-format", "json", "--input-data", "zero", "-b", "2"],
        &[url, model[0], model[1], &image, "--shared-memory", "none", "--output-tensor-format", "json"],
    ];
    for way in ways {
        let report = bench(&[way, &eight].concat());
        let level = complete(&report, 8);
        if report["service"] != "MODEL_SERVING" {
            assert_eq!(level["server"]["requests"], 8, "the server tells the same: {way:?}");
        }
    }
    let streamed = [&server.grpc, "-i", "grpc", "--streaming", "-a", "-m", "red-green-blue"];
    let report = bench(&[&streamed[..], &eight].concat());
    assert_eq!(report["protocol"], "gRPC stream");
    assert_eq!(complete(&report, 8)["server"]["requests"], 8);
    let rates = [url, &image, "--request-rate-range", "200:400:x2", "--request-count", "10"];
    let report = bench(&[&rates[..], &["--request-distribution", "poisson"]].concat());
    assert_eq!(report["levels"].as_array().unwrap().len(), 2);
    assert_eq!(
        (complete(&report, 10)["unsent"].as_u64(), &report["settings"]["load"]),
        (Some(0), &"poisson-rate".into())
    );
}

#[test]
fn a_model_is_served_for_the_measurement() {
    let fixture = Fixture::new();
    let (mar, image) = (fixture.mar(), fixture.text("green.png"));
    let (json, csv, page) = (fixture.text("a.json"), fixture.text("a.csv"), fixture.text("a.html"));
    let mar = mar.to_str().unwrap();
    let files = ["--out", &json, "-f", &csv, "--report", &page, "--memory-interval", "5"];
    let text =
        tintype([&["bench", mar, &image, "--request-count", "20"][..], &files].concat()).success().stdout;
    assert!(text.starts_with("*** Measurement Settings ***") && text.contains("Request count: 20"), "{text}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let level = complete(&report, 20);
    assert!(report["start_up_s"].as_f64().unwrap() > 0.0);
    assert!(level["process"]["rss_peak_mib"].as_f64().unwrap() > 1.0, "{level:#}");
    assert!(std::fs::read_to_string(&csv).unwrap().starts_with("Concurrency,Inferences/Second,"));
    assert!(std::fs::read_to_string(&page).unwrap().contains("<svg"));
    let compared = tintype(["bench", "compare", &json, &json]).success().stdout;
    assert!(compared.contains("infer/sec") && compared.contains("+0.0 %"), "{compared}");

    let tensors = bench(&[mar, "-i", "grpc", "--request-count", "5"]);
    assert_eq!(tensors["protocol"], "gRPC");
    assert_eq!(complete(&tensors, 5)["server"]["requests"], 5);
    let within = bench(&[mar, &image, "--in-process", "--request-count", "5", "--concurrency-range", "2"]);
    assert_eq!(complete(&within, 5)["server"]["requests"], 5);
}

#[test]
fn what_cannot_be_measured_is_an_error() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.mar(), &[]);
    let (url, image, broken) = (server.url.as_str(), fixture.text("green.png"), fixture.text("broken.jpg"));
    let nowhere = "http://127.0.0.1:1";
    let (model, intervals) = ("red-green-blue", fixture.text("intervals"));
    std::fs::write(&intervals, "1000\nsoon\n").unwrap();
    let cases: [(&[&str], i32, &str); 21] = [
        (&[nowhere, &image], 74, "cannot connect to `127.0.0.1:1`"),
        (&[url, &broken], 65, "the first request failed: status 400"),
        (&[url], 64, "there is nothing to send"),
        (&[url, &image, "-b", "2"], 64, "`-b` is of tensors"),
        (&["absent.mar", &image, "--in-process", "-b", "2"], 64, "`-b` is of tensors"),
        (&[url, "-m", "absent"], 66, "absent"),
        (&[url, "-m", "red-green-blue", "--shape", "nix:3"], 64, "no such input"),
        (&[url, &image, "--concurrency-range", "1:2:0.5"], 64, "whole numbers"),
        (&[url, "-i", "grpc", "-m", model, "--output-tensor-format", "json"], 64, "`json` is for HTTP"),
        (&[url, &image, "--shared-memory", "system"], 64, "only servers of the kind `triton`"),
        (&[url, "-m", model, "--shared-memory", "cuda"], 69, "memory of GPUs is not supported"),
        (&[url, "-m", model, "--shared-memory", "system"], 64, "--allow-client-shm true"),
        (
            &[url, &image, "--request-intervals", &intervals],
            64,
            "line 2: expected microseconds, found `soon`",
        ),
        (&[url, &image, "--request-intervals", &image, "--concurrency-range", "2"], 2, "cannot be used with"),
        (&[url, "-m", model, "--streaming"], 64, "`--streaming` is of gRPC"),
        (&[url, "-m", model, "--streaming", "--sync"], 2, "cannot be used with"),
        (&[], 2, "required"),
        (&["-m", model, "-u", nowhere], 74, "cannot connect"),
        (&[nowhere, &image, "--server-command", "exit 3"], 74, "exit status: 3"),
        (&[url, &image, "--server-command", "sleep 1"], 65, "listens on"),
        (&["https://127.0.0.1:1", &image], 64, "expected `http` or `grpc`"),
    ];
    for (args, code, words) in cases {
        let failed = tintype(["bench"].iter().chain(args));
        assert!(failed.stderr.contains(words), "{args:?}: {}", failed.stderr);
        assert_eq!(failed.status.code(), Some(code), "{args:?}: {}", failed.stderr);
    }
}

#[test]
fn refusals_are_counted_and_the_exit_code_tells() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.mar(), &[]);
    // The first is answered, so the load begins; every second request is refused.
    let args = ["bench", "--json", &server.url, &fixture.text("green.png"), &fixture.text("broken.jpg")];
    let out = tintype(args.iter().chain(&["--request-count", "10"]));
    assert_eq!(out.status.code(), Some(1), "{}", out.stderr);
    let level = &out.json_lines()[0]["levels"][0];
    assert_eq!(level["requests"], 5);
    let errors = level["errors"].as_object().unwrap();
    let (error, count) = errors.iter().next().unwrap();
    assert!(errors.len() == 1 && error.starts_with("status 400: ") && count == 5, "{errors:?}");
}

#[test]
fn ctrl_c_ends_with_the_figures_so_far() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.mar(), &[]);
    let rest = Interrupted::start(&[&server.url, &fixture.text("green.png")]).finish();
    assert!(rest.contains("Interrupted") && rest.matches("Request concurrency").count() <= 1, "{rest}");
}

/// A measurement that would take an hour.
struct Interrupted {
    bench: Child,
    out: BufReader<ChildStdout>,
}

impl Interrupted {
    /// Starts `tintype bench args…`, and waits until it measures.
    fn start(args: &[&str]) -> Self {
        let mut bench = Command::new(env!("CARGO_BIN_EXE_tintype"))
            .arg("bench")
            .args(args)
            .args(["-p", "600000", "--concurrency-range", "1:4"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the command");
        let mut out = BufReader::new(bench.stdout.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("Protocol") {
            line.clear();
            assert!(out.read_line(&mut line).expect("a line") > 0, "it ended before it began");
        }
        Self { bench, out }
    }

    /// Interrupts it, as Ctrl-C does; what it printed from then on.
    fn finish(mut self) -> String {
        assert!(
            Command::new("kill")
                .args(["-INT", &self.bench.id().to_string()])
                .status()
                .expect("kill")
                .success()
        );
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("text");
        self.bench.wait().expect("its end");
        rest
    }
}
