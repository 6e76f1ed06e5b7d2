use tintype_api::kserve::ask::InputForm;
use tintype_api::kserve::{Form, Input, Options, Output, Region, Request, Value, ask, grpc, request};
use tintype_core::{DType, Tensor, TensorData};

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

/// `a_request` with an input and an output in shared memory too.
fn a_shared_request() -> Request {
    let region = |offset| Region { name: "tensors".to_owned(), offset, byte_size: 16 };
    let mut asked = a_request(Form::Binary);
    let value = Value::Shared { region: region(0), dtype: DType::F32, shape: vec![1, 4] };
    asked.inputs.insert(1, Input { name: "shared".to_owned(), value });
    let form = Some(Form::Shared(region(64)));
    asked.outputs.push(Output { name: "features".to_owned(), form, classes: 0 });
    asked
}

#[test]
fn what_is_asked_is_what_is_read() {
    let read = |asked: &Request, inputs| {
        let encoded = ask::encode(asked, inputs).unwrap();
        request::decode("m", encoded.header_len, &encoded.body).unwrap()
    };
    for form in [Form::Json, Form::Binary] {
        let asked = a_request(form);
        assert_eq!(read(&asked, InputForm::Json), asked);
        assert_eq!(read(&asked, InputForm::Binary), asked);
    }
    let mut none = a_request(Form::Binary);
    none.outputs.clear();
    assert_eq!(read(&none, InputForm::Binary), none);
    let mut forms = a_request(Form::Json);
    let output = |form| Output { name: "scores".to_owned(), form, classes: 0 };
    forms.outputs = [Some(Form::Binary), Some(Form::Json)].map(output).into();
    assert_eq!(read(&forms, InputForm::Json), forms);
}

#[test]
fn what_lies_in_shared_memory_is_only_spoken_of() {
    let mut asked = a_shared_request();
    for form in [InputForm::Json, InputForm::Binary] {
        let encoded = ask::encode(&asked, form).unwrap();
        assert_eq!(request::decode("m", encoded.header_len, &encoded.body).unwrap(), asked);
    }
    assert_eq!(grpc::decode(ask::message("m", "", &asked).unwrap()).unwrap(), asked);
    asked.inputs.retain(|input| input.name == "shared");
    let encoded = ask::encode(&asked, InputForm::Binary).unwrap();
    assert_eq!(encoded.header_len, None, "nothing lies behind the JSON");
    asked.form = asked.outputs[1].form.clone().unwrap();
    assert!(ask::encode(&asked, InputForm::Binary).is_err(), "outputs would overwrite each other");
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
    assert!(ask::encode(&asked, InputForm::Json).is_err());
    assert!(ask::encode(&asked, InputForm::Binary).is_ok());
}
