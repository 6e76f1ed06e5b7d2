//! Clients that hang up, connections that stay, and a server that stops.

use std::time::Duration;

use tintype_core::ErrorKind;
use tintype_engine::mock::{Gate, Step};
use tintype_server::{Listen, Server, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

const PNG: [(&str, &str); 1] = [("Content-Type", "image/png")];

#[tokio::test]
async fn nothing_is_computed_for_a_client_that_hung_up() {
    let gate = Gate::new();
    let model = model([Step::Hold(gate.clone())]);
    let server = Setup { model: model.clone(), ..Setup::default() }.start().await;
    let mut first = server.connect().await;
    first.write_all(&post("/predict", &PNG, &image(1))).await.unwrap();
    until("the first runs", || gate.waiting() == 1).await;
    let mut gone = server.connect().await;
    gone.write_all(&post("/predict", &PNG, &image(2))).await.unwrap();
    until("the second waits", || server.stats().queued == 1).await;
    drop(gone);
    until("the second is cancelled", || server.stats().cancelled == 1).await;
    gate.open();
    assert_eq!(answer(&mut first).await.status, 200);
    assert_eq!(server.post("/predict", "image/png", &image(3)).await.status, 200);
    assert_eq!(model.batches(), [1, 1]);
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = Setup::default().start().await;
    let mut connection = server.connect().await;
    let image = image(1);
    for _ in 0..3 {
        let request =
            String::from_utf8_lossy(&post("/predict", &PNG, b"")).replace("Connection: close\r\n", "");
        let request = request.replace("Content-Length: 0", &format!("Content-Length: {}", image.len()));
        connection.write_all(request.as_bytes()).await.unwrap();
        connection.write_all(&image).await.unwrap();
        assert_eq!(answer(&mut connection).await.status, 200);
        // An error leaves the connection usable too.
        connection.write_all(b"GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
        assert_eq!(answer(&mut connection).await.status, 404);
    }
}

#[tokio::test]
async fn stopping_answers_what_was_accepted_and_accepts_no_more() {
    let gate = Gate::new();
    let server = Setup { model: model([Step::Hold(gate.clone())]), ..Setup::default() }.start().await;
    let address = server.address;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    assert_eq!(answer(&mut idle).await.status, 200);
    let _silent = server.connect().await;
    let mut running = server.connect().await;
    running.write_all(&post("/predict", &PNG, &image(1))).await.unwrap();
    until("it runs", || gate.waiting() == 1).await;

    let served = server.stop();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0, "an idle connection is closed");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is closed");
    assert!(!served.is_finished());
    gate.open();
    assert_eq!(answer(&mut running).await.status, 200);
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_is_bounded() {
    let gate = Gate::new();
    let mut setup = Setup { model: model([Step::Hold(gate.clone())]), ..Setup::default() };
    setup.server.drain_timeout = Duration::from_millis(20);
    let server = setup.start().await;
    let mut running = server.connect().await;
    running.write_all(&post("/predict", &PNG, &image(1))).await.unwrap();
    until("it runs", || gate.waiting() == 1).await;
    assert_eq!(server.stop().await.unwrap().unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    gate.open();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_to_be_accepted() {
    let mut setup = Setup::default();
    setup.server.max_connections = 1;
    let server = setup.start().await;
    let mut first = server.connect().await;
    first.write_all(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    assert_eq!(answer(&mut first).await.status, 200);
    let mut second = server.connect().await;
    second.write_all(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(20), second.read_u8()).await;
    assert!(early.is_err(), "the second was served beside the first");
    drop(first);
    assert_eq!(answer(&mut second).await.status, 200);
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let server = Setup::default().start().await;
    let listen = Listen { http: Some(server.address), grpc: None, metrics: None };
    let config = ServerConfig { listen, ..ServerConfig::default() };
    let error = Server::bind(config, server.runtime.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.message().starts_with(&format!("listening on `{}`", server.address)), "{error}");
}
