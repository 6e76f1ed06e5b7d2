//! `GET /metrics`.

use crate::support::*;

#[tokio::test]
async fn requests_and_stages_are_counted() {
    let server = Setup::default().start().await;
    server.post("/predict", "image/png", &image(1)).await;
    server.post("/predict", "image/png", b"hello").await;
    server.get("/some/path/of/a/scanner").await;
    let metrics = server.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; charset=utf-8"));
    for line in [
        "tintype_http_requests_total{route=\"/predict\",status=\"200\"} 1",
        "tintype_http_requests_total{route=\"/predict\",status=\"400\"} 1",
        "tintype_http_requests_total{route=\"unmatched\",status=\"404\"} 1",
        "tintype_requests_total{model=\"m\",outcome=\"ok\"} 1",
        "tintype_requests_total{model=\"m\",outcome=\"not_an_image\"} 1",
        "tintype_stage_seconds_count{model=\"m\",stage=\"prepare\"} 2",
        "tintype_stage_seconds_count{model=\"m\",stage=\"infer\"} 1",
    ] {
        assert!(metrics.text().contains(line), "`{line}` is not in\n{}", metrics.text());
    }
    let alone = server.on(server.metrics_address, "/metrics/").await;
    assert_eq!((alone.status, alone.text().lines().next()), (200, metrics.text().lines().next()));
    assert_eq!(server.on(server.metrics_address, "/v2").await.status, 404);
}
