//! `POST /predict`.

use serde_json::json;
use tintype_core::ErrorKind;
use tintype_core::image::Limits;
use tintype_engine::mock::Step;
use tintype_runtime::RuntimeConfig;

use crate::support::*;

fn json_of(image: &[u8]) -> Vec<u8> {
    let text = base64_simd::STANDARD.encode_to_string(image);
    serde_json::to_vec(&json!({"image": text})).expect("a string is JSON")
}

#[tokio::test]
async fn an_image_is_answered_the_same_however_it_comes() {
    let server = Setup::default().start().await;
    let image = image(1);
    let expected = server.post("/predict", "image/png", &image).await;
    assert_eq!(expected.status, 200, "{}", expected.text());
    let body = expected.json();
    assert_eq!(body["predictions"].as_array().unwrap().len(), 2);
    assert_eq!(body["prediction"], body["predictions"][0]["label"]);
    assert_eq!(body["top_prediction"], body["predictions"][0]);
    assert_eq!(body["top_prediction"]["confidence"], body["top_prediction"]["probability"]);
    assert!(body["predictions"][0]["confidence"].as_f64() >= body["predictions"][1]["confidence"].as_f64());
    assert_eq!(expected.header("content-type"), Some("application/json"));

    let data_url = format!(
        "{{\"image\": \"data:image/png;base64,{}\"}}",
        base64_simd::STANDARD.encode_to_string(&image)
    );
    for (content_type, bytes) in [
        ("application/octet-stream", image.clone()),
        ("IMAGE/PNG", image.clone()),
        ("application/json", json_of(&image)),
        ("application/json; charset=utf-8", data_url.into_bytes()),
        (FORM, form("file", &image)),
        ("multipart/form-data; charset=utf-8; boundary=\"XX\"", form("file", &image)),
    ] {
        for path in ["/predict", "/predict/"] {
            let answer = server.post(path, content_type, &bytes).await;
            assert_eq!((answer.status, answer.json()), (200, body.clone()), "{content_type}");
        }
    }
}

#[tokio::test]
async fn a_body_may_come_in_chunks() {
    let server = Setup::default().start().await;
    let image = image(1);
    let mut request =
        b"POST /predict HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: image/png\r\n\
                        Transfer-Encoding: chunked\r\n\r\n"
            .to_vec();
    for chunk in image.chunks(7) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let expected = server.post("/predict", "image/png", &image).await;
    assert_eq!(server.ask(request).await.json(), expected.json());
}

#[tokio::test]
async fn the_query_chooses_how_many_and_which_model() {
    let server = Setup { names: vec!["a", "b"], ..Setup::default() }.start().await;
    let count = |answer: &Answer| answer.json()["predictions"].as_array().unwrap().len();
    let image = image(1);
    assert_eq!(count(&server.post("/predict?top_k=1", "image/png", &image).await), 1);
    assert_eq!(count(&server.post("/predict?top_k=3&model=b", "image/png", &image).await), 3);
    assert_eq!(count(&server.post("/predict?top_k=1000", "image/png", &image).await), 3);
    let stats = |name: &str| server.runtime.status(Some(name)).unwrap().stats.unwrap().ok;
    assert_eq!((stats("a"), stats("b")), (2, 1));

    server.post("/predict?model=c", "image/png", &image).await.is_error(404, "unknown_model");
    server.post("/predict?top_k=0", "image/png", &image).await.is_error(422, "invalid_request");
    server.post("/predict?top_k=many", "image/png", &image).await.is_error(422, "invalid_request");
    let message = server.post("/predict?topk=1", "image/png", &image).await.is_error(422, "invalid_request");
    assert!(message.contains("unknown field `topk`"), "{message}");
}

#[tokio::test]
async fn what_is_wrong_with_an_image_is_said() {
    let limits = Limits { max_pixels: 100, ..Limits::default() };
    let runtime = RuntimeConfig { prepare_threads: 1, limits, ..RuntimeConfig::default() };
    let server = Setup { runtime, ..Setup::default() }.start().await;
    let image = image(1);
    let large = tintype_testkit::image::png(11, 10, 1);
    for (bytes, kind) in [
        (&b"hello"[..], "not_an_image"),
        (b"", "not_an_image"),
        (&image[..60], "corrupt_image"),
        (&large, "image_too_large"),
    ] {
        for (content_type, body) in
            [("image/png", bytes.to_vec()), ("application/json", json_of(bytes)), (FORM, form("file", bytes))]
        {
            server.post("/predict", content_type, &body).await.is_error(400, kind);
        }
    }
    assert_eq!(server.post("/predict", "image/png", &image).await.status, 200);
}

#[tokio::test]
async fn a_wrong_body_is_refused_with_the_reason() {
    let server = Setup::default().start().await;
    let (json, form_type) = ("application/json", FORM);
    for (content_type, body, reason) in [
        (json, b"{\"image\": ".to_vec(), "JSON"),
        (json, b"{}".to_vec(), "missing field `image`"),
        (json, b"{\"image\": 7}".to_vec(), "JSON"),
        (json, b"{\"image\": \"a b\"}".to_vec(), "base64"),
        (json, b"{\"image\": \"\", \"top_k\": 1}".to_vec(), "unknown field `top_k`"),
        (json, b"{\"image\": \"\xff\"}".to_vec(), "JSON"),
        (form_type, b"hello".to_vec(), "boundary"),
        (form_type, form("image", b"x"), "unknown field `image`, expected `file`"),
        (form_type, b"--XX--\r\n".to_vec(), "missing field `file`"),
        (form_type, form("file", b"x")[..40].to_vec(), "ends early"),
        ("multipart/form-data", form("file", b"x"), "`boundary`"),
    ] {
        let message = server.post("/predict", content_type, &body).await.is_error(422, "invalid_request");
        assert!(message.contains(reason), "{:?}: {message}", String::from_utf8_lossy(&body));
    }
}

#[tokio::test]
async fn another_content_type_is_refused_by_name() {
    let server = Setup::default().start().await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "imagepng", ""] {
        let message =
            server.post("/predict", content_type, &image(1)).await.is_error(415, "unsupported_media_type");
        assert!(message.contains(&format!("found `{content_type}`")), "{message}");
    }
    server.ask(post("/predict", &[], &image(1))).await.is_error(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_fault_of_the_server_says_nothing_of_its_insides() {
    let secret = "node 7 of `/srv/models/secret.onnx` failed";
    let server = Setup { model: model([Step::Fail(ErrorKind::Engine, secret.into())]), ..Setup::default() };
    let answer = server.start().await.post("/predict", "image/png", &image(1)).await;
    assert_eq!(answer.is_error(500, "internal"), "internal error");
    assert!(!answer.text().contains("secret"));
}

#[tokio::test]
async fn without_a_model_the_server_is_not_ready() {
    let server = Setup { names: vec![], ..Setup::default() }.start().await;
    let answer = server.post("/predict", "image/png", &image(1)).await;
    answer.is_error(503, "not_ready");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn an_unsure_answer_says_so_where_asked() {
    let unsure = |name: &str| {
        let mut package = package(name);
        package.spec.postprocess.thresholds = vec![1.0; 3];
        package
    };
    let server = Setup { package: unsure, ..Setup::default() }.start().await;
    let image = image(1);
    let plain = server.post("/predict", "image/png", &image).await.json();
    assert!(plain.get("abstain").is_none(), "{plain}");
    let mut asked = server.post("/predict?abstain=true", "image/png", &image).await.json();
    assert_eq!(asked.as_object_mut().unwrap().remove("abstain"), Some(true.into()));
    assert_eq!(asked, plain);

    let server = Setup::default().start().await;
    let refused = server.post("/predict?abstain=true", "image/png", &image).await;
    assert_eq!(
        refused.json()["error"]["kind"].as_str().or(refused.json()["error"].as_str()),
        Some("invalid_argument")
    );
}
