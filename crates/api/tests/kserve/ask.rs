use tintype_api::kserve::{Form, Input, Options, Output, Request, Value, ask, grpc, request};
use tintype_core::{Tensor, TensorData};

fn a_request(form: Form) -> Request {
    let tensor = |name: &str, shape: &[usize], data| Input {
        name: name.to_owned(),
        value: Value::Tensor(Tensor::from_data(shape, data).expect("a shape that fits")),
    };
    Request {
        id: "a \"quoted\" id".to_owned(),
        options: Options::default(),
        inputs: vec![
            tensor("floats", &[2, 2], TensorData::F32(vec![0.1, -2.5, 3e-8, 4.0])),
            tensor("numbers", &[3], TensorData::I64(vec![1, -2, i64::MAX])),
            tensor("flags", &[2], TensorData::Bool(vec![true, false])),
            tensor("texts", &[1, 2], TensorData::Bytes(vec![b"cat".to_vec(), "\u{e9}\n".into()])),
        ],
        outputs: vec![Output { name: "scores".to_owned(), form: None, classes: 0 }],
        form,
    }
}

#[test]
fn what_is_asked_is_what_is_read() {
    for form in [Form::Json, Form::Binary] {
        let asked = a_request(form);
        let encoded = ask::encode(&asked).unwrap();
        assert_eq!(request::decode("m", encoded.header_len, &encoded.body).unwrap(), asked);
    }
    let mut none = a_request(Form::Binary);
    none.outputs.clear();
    let encoded = ask::encode(&none).unwrap();
    assert_eq!(request::decode("m", encoded.header_len, &encoded.body).unwrap(), none);
}

#[test]
fn a_message_is_read_the_same() {
    let asked = a_request(Form::Binary);
    let message = ask::message("m", "3", &asked).unwrap();
    assert_eq!((message.model_name.as_str(), message.model_version.as_str()), ("m", "3"));
    assert_eq!(grpc::decode(message).unwrap(), asked);
}

#[test]
fn bytes_that_json_cannot_hold_are_refused_there() {
    let mut asked = a_request(Form::Json);
    let raw = Tensor::new([1], vec![vec![0xff, 0xd8]]).unwrap();
    asked.inputs = vec![Input { name: "image".to_owned(), value: Value::Tensor(raw) }];
    assert!(ask::encode(&asked).is_err());
    asked.form = Form::Binary;
    assert!(ask::encode(&asked).is_ok());
}
