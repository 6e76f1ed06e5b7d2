//! Limits on bytes, time and requests.

use std::time::Duration;

use tintype_engine::mock::{Gate, Step};
use tintype_runtime::{LoadOptions, RuntimeConfig};
use tintype_server::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

fn with(change: impl FnOnce(&mut ServerConfig)) -> Setup {
    let mut setup = Setup::default();
    change(&mut setup.server);
    setup
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_refused_before_it_is_read() {
    let server = Setup::default().start().await;
    // Not one byte of the body is ever sent.
    let head =
        "POST /predict HTTP/1.1\r\nHost: test\r\nContent-Type: image/png\r\nContent-Length: 67108865\r\n\r\n";
    let message = server.ask(head).await.is_error(413, "payload_too_large");
    assert_eq!(message, "expected a body of at most 67108864 bytes, found 67108865");
}

#[tokio::test]
async fn a_small_body_over_the_limit_is_refused_in_a_way_that_the_client_sees() {
    let server = with(|config| config.max_body_bytes = 1000).start().await;
    server.post("/predict", "image/png", &vec![0; 500_000]).await.is_error(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_in_chunks_is_refused_when_it_grows_too_large() {
    let server = with(|config| config.max_body_bytes = 1000).start().await;
    let mut connection = server.connect().await;
    let head = "POST /predict HTTP/1.1\r\nHost: test\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write_all(format!("{head}3e9\r\n{}\r\n", "x".repeat(1001)).as_bytes()).await.unwrap();
    answer(&mut connection).await.is_error(413, "payload_too_large");
}

#[tokio::test]
async fn bytes_in_flight_are_bounded() {
    let runtime = RuntimeConfig { prepare_threads: 1, max_inflight_bytes: 2048, ..RuntimeConfig::default() };
    let server = Setup { runtime, ..Setup::default() }.start().await;
    let slow =
        "POST /predict HTTP/1.1\r\nHost: test\r\nContent-Type: image/png\r\nContent-Length: 2000\r\n\r\n";
    let mut holds = server.connect().await;
    holds.write_all(slow.as_bytes()).await.unwrap();
    until("the slow request is in", || server.stats().in_flight == 1).await;
    let answer = server.post("/predict", "image/png", &image(1)).await;
    answer.is_error(429, "overloaded");
    drop(holds);
    until("its place is given back", || server.stats().in_flight == 0).await;
    assert_eq!(server.post("/predict", "image/png", &image(1)).await.status, 200);
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_return() {
    let gate = Gate::new();
    let server = Setup {
        model: model([Step::Hold(gate.clone())]),
        config: LoadOptions { instances: 1, max_queue_size: 1, ..LoadOptions::default() },
        ..Setup::default()
    }
    .start()
    .await;
    let mut first = server.connect().await;
    first.write_all(&post("/predict", &[("Content-Type", "image/png")], &image(1))).await.unwrap();
    until("the first runs", || gate.waiting() == 1).await;
    let refused = server.post("/predict", "image/png", &image(2)).await;
    refused.is_error(429, "overloaded");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    gate.open();
    assert_eq!(answer(&mut first).await.status, 200);
}

#[tokio::test]
async fn a_deadline_is_kept() {
    let gate = Gate::new();
    let server = Setup { model: model([Step::Hold(gate.clone())]), ..Setup::default() }.start().await;
    let request = |ms: &str| {
        post("/predict", &[("Content-Type", "image/png"), ("X-Request-Timeout-Ms", ms)], &image(1))
    };
    server.ask(request("20")).await.is_error(504, "deadline_exceeded");
    gate.open();
    assert_eq!(server.ask(request("60000")).await.status, 200);
    for wrong in ["0", "-1", "soon", ""] {
        server.ask(request(wrong)).await.is_error(422, "invalid_request");
    }
}

#[tokio::test]
async fn the_servers_own_deadline_holds_where_a_client_asks_for_more() {
    let gate = Gate::new();
    let server = Setup {
        model: model([Step::Hold(gate.clone())]),
        ..with(|config| config.request_timeout = Duration::from_millis(20))
    }
    .start()
    .await;
    let request =
        post("/predict", &[("Content-Type", "image/png"), ("X-Request-Timeout-Ms", "60000")], &image(1));
    server.ask(request).await.is_error(504, "deadline_exceeded");
    gate.open();
}

#[tokio::test]
async fn a_body_that_pauses_is_given_up() {
    let server = with(|config| config.body_idle_timeout = Duration::from_millis(20)).start().await;
    let mut connection = server.connect().await;
    let mut request = post("/predict", &[("Content-Type", "image/png")], &image(1));
    request.truncate(request.len() - 10);
    connection.write_all(&request).await.unwrap();
    answer(&mut connection).await.is_error(408, "request_timeout");
    until("its place is given back", || server.stats().in_flight == 0).await;
}

#[tokio::test]
async fn a_head_that_pauses_is_given_up() {
    let server = with(|config| config.header_timeout = Duration::from_millis(20)).start().await;
    let mut connection = server.connect().await;
    connection.write_all(b"GET /health HT").await.unwrap();
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).await.unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
}

#[tokio::test]
async fn a_head_is_bounded() {
    let server = Setup::default().start().await;
    let long = format!("GET /health HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    assert_eq!(server.ask(long).await.status, 431);
    let many = format!("GET /health HTTP/1.1\r\nHost: test\r\n{}\r\n", "X: y\r\n".repeat(101));
    assert_eq!(server.ask(many).await.status, 431);
}
