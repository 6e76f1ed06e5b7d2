//! What goes over the wire, to the letter.

use std::borrow::Cow;

use tintype_api::{Audience, ErrorBody, PredictJson, PredictResponse, decode_base64, status};
use tintype_core::{Error, ErrorKind, Prediction};

fn prediction(index: usize, label: &str, confidence: f32) -> Prediction {
    Prediction { index, label: label.to_owned(), confidence }
}

#[test]
fn an_answer_names_the_best_class_three_times() {
    let answer =
        PredictResponse::new(vec![prediction(1, "rime", 0.75), prediction(0, "snow", 0.25)]).unwrap();
    assert_eq!(
        serde_json::to_string(&answer).unwrap(),
        r#"{"prediction":"rime","predictions":[{"label":"rime","confidence":0.75,"probability":0.75},{"label":"snow","confidence":0.25,"probability":0.25}],"top_prediction":{"label":"rime","confidence":0.75,"probability":0.75}}"#
    );
    assert_eq!(PredictResponse::new(vec![]).unwrap_err().kind(), ErrorKind::Internal);
}

#[test]
fn a_probability_survives_the_wire_bit_for_bit() {
    for confidence in [0.1f32, 1.0 / 3.0, 0.999_999_94, f32::MIN_POSITIVE, 1e-45, 0.0, 1.0] {
        let sent = PredictResponse::new(vec![prediction(0, "x", confidence)]).unwrap();
        let read: PredictResponse = serde_json::from_str(&serde_json::to_string(&sent).unwrap()).unwrap();
        assert_eq!(read.top_prediction.probability.to_bits(), confidence.to_bits());
    }
}

#[test]
fn the_image_is_borrowed_from_the_body() {
    let body = br#"{"image": "aGk="}"#;
    let request = PredictJson::parse(body).unwrap();
    assert!(matches!(request.image, Cow::Borrowed("aGk=")));
    assert_eq!(PredictJson::parse(br#"{"image":"a\/b="}"#).unwrap().image, "a/b=");
}

#[test]
fn a_wrong_json_body_is_refused_with_the_reason() {
    for (body, reason) in [
        (&b"{}"[..], "missing field `image`"),
        (b"{\"image\": 3}", "expected"),
        (b"{\"image\": null}", "expected"),
        (b"{\"image\": \"\", \"top_k\": 3}", "unknown field `top_k`"),
        (b"[]", ""),
        (b"", ""),
        (b"{\"image\": \"aGk", ""),
        (b"{\"image\": \"\xff\"}", ""),
    ] {
        let error = PredictJson::parse(body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{body:?}");
        assert!(error.message().contains(reason), "{body:?}: {}", error.message());
        assert!(!error.message().contains('\n'), "{body:?}: {}", error.message());
    }
}

#[test]
fn base64_is_standard_with_padding_or_a_data_url() {
    assert_eq!(decode_base64("aGk=").unwrap(), b"hi");
    assert_eq!(decode_base64("data:image/png;base64,aGk=").unwrap(), b"hi");
    assert_eq!(decode_base64("").unwrap(), b"");
    for wrong in ["aGk", "aG k=", "a-_=", "data:image/png,hi", "data:;base64", "aGk=\n"] {
        assert_eq!(decode_base64(wrong).unwrap_err().kind(), ErrorKind::InvalidRequest, "{wrong:?}");
    }
}

#[test]
fn an_error_speaks_to_fastapi_clients_and_to_programs() {
    let error = Error::new(ErrorKind::NotAnImage, "not an image").with_hint("send a JPEG");
    assert_eq!(
        serde_json::to_string(&ErrorBody::from(&error)).unwrap(),
        r#"{"detail":"not an image","error":{"kind":"not_an_image","message":"not an image","hint":"send a JPEG"}}"#
    );
}

#[test]
fn what_is_the_operators_stays_with_the_operator() {
    for kind in [ErrorKind::Engine, ErrorKind::Internal, ErrorKind::Io, ErrorKind::InvalidModel] {
        let error = Error::new(kind, "`/srv/models/secret.onnx`: node 7 failed").with_hint("look at /srv");
        assert_eq!(status(kind).http, 500);
        assert_eq!(status(kind).audience, Audience::Operator);
        assert_eq!(
            serde_json::to_string(&ErrorBody::from(&error)).unwrap(),
            r#"{"detail":"internal error","error":{"kind":"internal","message":"internal error"}}"#
        );
    }
}
