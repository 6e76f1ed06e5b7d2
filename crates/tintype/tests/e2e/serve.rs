use std::process::Command;

use crate::binary::{Fixture, Server, finish, tintype};

#[test]
fn curl_and_predict_get_the_same_answer_however_they_ask() {
    let fixture = Fixture::new();
    let mar = fixture.mar();
    let mut server = Server::start(&mar, &[]);
    let image = fixture.text("green.png");
    let cli = tintype(["predict", mar.to_str().unwrap(), "--json", &image]).success().json_lines().remove(0);

    let body = fixture.path("body.json");
    let encoded = finish(Command::new("base64").args(["-w0", &image])).success().stdout;
    std::fs::write(&body, format!("{{\"image\": \"{encoded}\"}}")).unwrap();
    let (form, json) = (format!("file=@{image}"), format!("@{}", body.display()));
    let raw = format!("@{image}");
    let ways: [&[&str]; 3] = [
        &["-F", &form],
        &["-H", "content-type: application/json", "--data-binary", &json],
        &["-H", "content-type: image/png", "--data-binary", &raw],
    ];
    for way in ways {
        for path in ["/predict", "/predict/"] {
            let (status, answer) = server.curl_json(path, way);
            assert_eq!(status, 200, "{way:?}: {answer}");
            assert_eq!(answer["prediction"], "green");
            assert_eq!(answer["top_prediction"], answer["predictions"][0]);
            let pairs =
                answer["predictions"].as_array().unwrap().iter().zip(cli["predictions"].as_array().unwrap());
            for (http, cli) in pairs {
                assert_eq!(http["label"], cli["label"]);
                assert_eq!(http["probability"], http["confidence"]);
                let (a, b) = (http["confidence"].as_f64().unwrap(), cli["confidence"].as_f64().unwrap());
                assert!((a - b).abs() <= 1e-6, "{a} over HTTP, {b} from the command line");
            }
        }
    }
    assert!(server.terminate().success(), "SIGTERM ends it with exit code 0");
}

#[test]
fn the_small_routes_answer() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.mar(), &[]);
    let classes = serde_json::json!(["red", "green", "blue"]);
    assert_eq!(
        server.curl_json("/health", &[]),
        (
            200,
            serde_json::json!({"status": "healthy", "model_loaded": true, "num_classes": 3, "classes": classes})
        )
    );
    assert_eq!(
        server.curl_json("/classes", &[]),
        (200, serde_json::json!({"num_classes": 3, "classes": classes}))
    );
    assert_eq!(server.curl_json("/openapi.json", &[]).0, 200);
    let (status, answer) = server.curl_json("/predict", &["-H", "content-type: image/png", "-d", "nonsense"]);
    assert_eq!((status, answer["error"]["kind"].as_str()), (400, Some("not_an_image")), "{answer}");
    assert_eq!(server.curl_json("/nowhere", &[]).0, 404);
    let metrics = server.curl("/metrics", &[]).success().stdout;
    assert!(metrics.contains("# TYPE"), "{metrics}");
}

/// The page is a page: a browser runs its script, which lists the routes out of `/openapi.json`.
#[test]
fn a_browser_renders_the_docs() {
    if Command::new("chromium").arg("--version").output().is_err() {
        eprintln!("skipped: `chromium` is not installed");
        return;
    }
    let fixture = Fixture::new();
    let server = Server::start(&fixture.mar(), &[]);
    let profile = fixture.text("chromium");
    let page = finish(Command::new("chromium").args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        &format!("--user-data-dir={profile}"),
        "--virtual-time-budget=5000",
        "--dump-dom",
        &format!("{}/docs", server.url),
    ]))
    .success()
    .stdout;
    for route in ["/predict", "/health", "/classes", "/metrics"] {
        assert!(page.contains(route), "`{route}` is not on the rendered page:\n{page}");
    }
}
