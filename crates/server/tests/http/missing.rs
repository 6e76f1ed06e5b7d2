//! Requests that no route takes.

use crate::support::*;

#[tokio::test]
async fn an_unknown_route_is_not_found() {
    let server = Setup::default().start().await;
    assert_eq!(server.get("/predictions").await.is_error(404, "not_found"), "no route `/predictions`");
    server.post("/health/", "image/png", b"").await.is_error(404, "not_found");
}

#[tokio::test]
async fn a_wrong_method_is_told_which_is_right() {
    let server = Setup::default().start().await;
    let answer = server.get("/predict").await;
    answer.is_error(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
    let answer = server.post("/health", "image/png", b"").await;
    answer.is_error(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
}
