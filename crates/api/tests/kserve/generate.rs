//! Requests of names and values.

use std::time::Duration;

use tintype_api::kserve::generate::{self, InputSpec};
use tintype_api::kserve::{Content, Reply, ReplyOutput, Value};
use tintype_core::{DType, Tensor};

#[test]
fn members_become_the_inputs_of_their_names() {
    let spec = |name: &str, dtype, batched| InputSpec { name: name.into(), dtype, batched };
    let specs = [
        spec("text_input", DType::Bytes, true),
        spec("n", DType::I32, false),
        spec("absent", DType::F32, true),
    ];
    let body =
        br#"{"id":"7","text_input":"hello","n":[1,2],"parameters":{"priority":1},"other":{"deep":[1]}}"#;
    let request = generate::decode(&specs, body).unwrap();
    assert_eq!((request.id.as_str(), request.options.priority), ("7", 1));
    let inputs: Vec<_> = request.inputs.iter().map(|input| (input.name.as_str(), &input.value)).collect();
    assert_eq!(
        inputs,
        [
            ("text_input", &Value::Tensor(Tensor::new([1, 1], vec![b"hello".to_vec()]).unwrap())),
            ("n", &Value::Tensor(Tensor::new([2], vec![1i32, 2]).unwrap())),
        ]
    );
    let body = br#"{"text_input":"hello","parameters":{"n":[1,2],"timeout":5,"text_input":"not this"}}"#;
    let nested = generate::decode(&specs, body).unwrap();
    assert_eq!((nested.inputs, nested.options.timeout), (request.inputs, Some(Duration::from_micros(5))));
    let error = generate::decode(&specs, br#"{"n":"x"}"#).unwrap_err();
    assert!(error.message().contains("expected a whole number within i32"), "{error}");
    assert!(generate::decode(&specs, b"[]").is_err());
}

#[test]
fn outputs_are_members_and_one_element_stands_alone() {
    let output = |name: &str, tensor| ReplyOutput { name: name.into(), tensor, content: Content::Json };
    let outputs = vec![
        output("text_output", Tensor::new([1, 1], vec![b"a \"dog\"".to_vec()]).unwrap()),
        output("scores", Tensor::new([1, 2], vec![0.5f32, 0.25]).unwrap()),
    ];
    let reply = Reply { id: "7".into(), model: "m".into(), version: 1, outputs };
    assert_eq!(
        String::from_utf8(generate::encode(&reply).unwrap()).unwrap(),
        r#"{"id":"7","model_name":"m","model_version":"1","text_output":"a \"dog\"","scores":[0.5,0.25]}"#
    );
}
