//! The typed client against the server.

use tintype_api::{Client, HealthStatus, PredictResponse};
use tintype_core::ErrorKind;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_client_reads_what_the_server_writes() {
    let server = Setup::default().start().await;
    let raw = server.post("/predict", "image/png", &image(1)).await;
    let raw: PredictResponse = serde_json::from_slice(&raw.body).unwrap();
    let client = Client::new(&format!("http://{}/", server.address));
    let asked = tokio::task::spawn_blocking(move || {
        (client.predict(&image(1)), client.predict(b"hello"), client.health(), client.classes())
    });
    let (answer, refusal, health, classes) = asked.await.unwrap();
    assert_eq!(answer.unwrap(), raw);
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::InvalidRequest);
    assert!(refusal.message().starts_with("the server answered with status 400: "), "{refusal}");
    assert_eq!(health.unwrap().status, HealthStatus::Healthy);
    assert_eq!(classes.unwrap().classes, LABELS);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_that_names_it() {
    // Port 1 needs a privilege to listen on, and nobody does.
    let error = Client::new("http://127.0.0.1:1").health().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.message().starts_with("`http://127.0.0.1:1/health`"), "{error}");
}
