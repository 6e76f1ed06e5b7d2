//! `GET /`, `/health` and `/classes`.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_server_with_a_model_is_healthy() {
    let server = Setup::default().start().await;
    let health = server.get("/health").await;
    assert_eq!(health.status, 200);
    assert_eq!(
        health.text(),
        r#"{"status":"healthy","model_loaded":true,"num_classes":3,"classes":["light","dark","none"]}"#
    );
    assert_eq!(server.get("/classes").await.json(), json!({"num_classes": 3, "classes": LABELS}));
    let root = server.get("/").await.json();
    assert_eq!(root["status"], "healthy");
}

#[tokio::test]
async fn a_server_without_a_model_says_so() {
    let server = Setup { names: vec![], ..Setup::default() }.start().await;
    let health = server.get("/health").await;
    let expected = json!({"status": "not_ready", "model_loaded": false, "num_classes": 0, "classes": []});
    assert_eq!((health.status, health.json()), (200, expected));
    server.get("/classes").await.is_error(503, "not_ready");
    assert_eq!(server.get("/").await.json()["status"], "not_ready");
}

#[tokio::test]
async fn another_model_is_asked_by_name() {
    let server = Setup { names: vec!["a", "b"], ..Setup::default() }.start().await;
    assert_eq!(server.get("/health?model=b").await.json()["status"], "healthy");
    assert_eq!(server.get("/classes?model=b").await.json()["num_classes"], 3);
    server.get("/health?model=c").await.is_error(404, "unknown_model");
    server.get("/classes?model=c").await.is_error(404, "unknown_model");
    server.get("/health?modle=b").await.is_error(422, "invalid_request");
}
