//! Answers over HTTP.

use tintype_api::kserve::{Content, Form, Output, Region, Reply, ReplyOutput, Request, response};
use tintype_core::{NamedTensor, Tensor, TensorData};

use crate::support::*;

fn reply(outputs: Vec<(&str, Tensor, Content)>) -> Reply {
    let outputs = outputs.into_iter().map(|(name, tensor, content)| {
        let name = name.to_owned();
        ReplyOutput { name, tensor, content }
    });
    Reply { id: "42".into(), model: "m".into(), version: 3, outputs: outputs.collect() }
}

#[test]
fn members_come_in_tritons_order() {
    let region = Region { name: "r".into(), offset: 4, byte_size: 2 };
    let reply = reply(vec![
        ("j", Tensor::new([2], vec![0.1f32, 1.0]).unwrap(), Content::Json),
        ("b", Tensor::new([1, 2], vec![1i16, 2]).unwrap(), Content::Binary),
        ("s", Tensor::new([2], vec![1u8, 2]).unwrap(), Content::Shared(region)),
        ("t", Tensor::new([1], vec![b"q\"".to_vec()]).unwrap(), Content::Json),
        ("c", Tensor::new([1], vec![b"cd".to_vec()]).unwrap(), Content::Binary),
    ]);
    let encoded = response::encode(&reply).unwrap();
    let json = concat!(
        r#"{"id":"42","model_name":"m","model_version":"3","outputs":["#,
        r#"{"name":"j","datatype":"FP32","shape":[2],"data":[0.1,1.0]},"#,
        r#"{"name":"b","datatype":"INT16","shape":[1,2],"parameters":{"binary_data_size":4}},"#,
        r#"{"name":"s","datatype":"UINT8","shape":[2]},"#,
        r#"{"name":"t","datatype":"BYTES","shape":[1],"data":["q\""]},"#,
        r#"{"name":"c","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":6}}]}"#
    );
    assert_eq!(String::from_utf8_lossy(&encoded.body[..json.len()]), json);
    assert_eq!(encoded.header_len, Some(json.len()));
    assert_eq!(encoded.body[json.len()..], [1, 0, 2, 0, 2, 0, 0, 0, b'c', b'd']);
}

#[test]
fn an_answer_in_json_alone_has_no_header_length() {
    let none = Reply { id: String::new(), ..reply(vec![]) };
    let encoded = response::encode(&none).unwrap();
    assert_eq!(
        String::from_utf8(encoded.body).unwrap(),
        r#"{"model_name":"m","model_version":"3","outputs":[]}"#
    );
    assert_eq!(encoded.header_len, None);
}

#[test]
fn numbers_that_are_none_have_tritons_words() {
    let values = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.5];
    let encoded =
        response::encode(&reply(vec![("x", Tensor::new([4], values).unwrap(), Content::Json)])).unwrap();
    let text = String::from_utf8(encoded.body).unwrap();
    assert!(text.contains(r#""data":[NaN,Infinity,-Infinity,0.5]"#), "{text}");
}

#[test]
fn bytes_that_are_not_text_want_the_binary_form() {
    let tensor = Tensor::new([1], vec![vec![0xff]]).unwrap();
    let error = response::encode(&reply(vec![("x", tensor.clone(), Content::Json)])).unwrap_err();
    assert_eq!(error.message(), "output 'x' has bytes that are not UTF-8, which JSON cannot hold");
    assert!(response::encode(&reply(vec![("x", tensor, Content::Binary)])).is_ok());
}

fn request(form: Form, outputs: Vec<Output>) -> Request {
    Request { form, outputs, ..decode(r#"{"id":"i","inputs":[]}"#).expect("a request") }
}

fn scores() -> Vec<NamedTensor> {
    let tensor = Tensor::new([1, 3], vec![0.25f32, 0.5, 0.125]).expect("the shape fits");
    vec![NamedTensor { name: "y".into(), tensor }]
}

#[test]
fn an_output_is_answered_as_it_or_the_request_says() {
    let region = Region { name: "r".into(), offset: 4, byte_size: 100 };
    let used = Region { byte_size: 12, ..region.clone() };
    for (default, own, expected) in [
        (Form::Json, None, Content::Json),
        (Form::Binary, None, Content::Binary),
        (Form::Binary, Some(Form::Json), Content::Json),
        (Form::Json, Some(Form::Binary), Content::Binary),
        (Form::Json, Some(Form::Shared(region.clone())), Content::Shared(used)),
    ] {
        let output = Output { name: "y".into(), form: own, classes: 0 };
        let reply =
            Reply::new(&mut request(default, vec![output]), ("m".into(), 1), scores(), &PLAIN).unwrap();
        assert_eq!(reply.outputs[0].content, expected);
        assert_eq!(reply.id, "i");
    }
    let small = Region { byte_size: 11, ..region };
    let output = Output { name: "y".into(), form: Some(Form::Shared(small)), classes: 0 };
    let error =
        Reply::new(&mut request(Form::Json, vec![output]), ("m".into(), 1), scores(), &PLAIN).unwrap_err();
    assert_eq!(
        error.message(),
        "shared memory size specified with the request for output 'y' (11 bytes) should be at least 12 bytes to hold \
         the results"
    );
}

#[test]
fn classes_take_the_place_of_scores() {
    let known = Plain { labels: ["a", "b"].map(str::to_owned).to_vec(), ..PLAIN };
    let output = Output { name: "y".into(), form: None, classes: 2 };
    let reply =
        Reply::new(&mut request(Form::Json, vec![output]), ("m".into(), 1), scores(), &known).unwrap();
    assert_eq!(reply.outputs[0].tensor.shape(), [1, 2]);
    let expected = vec![b"0.500000:1:b".to_vec(), b"0.250000:0:a".to_vec()];
    assert_eq!(*reply.outputs[0].tensor.data(), TensorData::Bytes(expected));
}
