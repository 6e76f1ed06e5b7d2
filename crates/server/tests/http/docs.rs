//! `GET /docs` and `/openapi.json`.

use crate::support::*;

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let server = Setup::default().start().await;
    let page = server.get("/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    for outside in ["http://", "https://", "src=\"//", "@import"] {
        assert!(!page.text().contains(outside), "the page mentions `{outside}`");
    }
    let browser = "GET / HTTP/1.1\r\nHost: test\r\nAccept: text/html,*/*\r\nConnection: close\r\n\r\n";
    assert_eq!(server.ask(browser).await.body, page.body);
}

#[tokio::test]
async fn every_path_of_the_document_is_served() {
    let server = Setup::default().start().await;
    let document = server.get("/openapi.json").await.json();
    assert_eq!(document["info"]["title"], "tintype");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 5);
    for (path, item) in paths {
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let answer = server
                .ask(format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
                .await;
            assert!(![404, 405].contains(&answer.status), "`{method} {path}` is not served");
            let documented = &item[method.to_lowercase()]["responses"];
            assert!(
                documented.get(answer.status.to_string()).is_some(),
                "{} is not documented",
                answer.status
            );
        }
    }
}
