//! Requests and answers over gRPC.

use proptest::prelude::*;
use tintype_api::kserve::proto::infer_parameter::ParameterChoice;
use tintype_api::kserve::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use tintype_api::kserve::proto::{InferParameter, InferTensorContents, ModelInferRequest};
use tintype_api::kserve::{Content, Form, Region, Reply, ReplyOutput, Request, Value, binary, grpc};
use tintype_core::{DType, ErrorKind, Tensor};

use crate::identity::any_tensor;
use crate::support::only;

fn parameter(choice: ParameterChoice) -> InferParameter {
    InferParameter { parameter_choice: Some(choice) }
}

fn input(datatype: &str, shape: &[i64], contents: Option<InferTensorContents>) -> InferInputTensor {
    InferInputTensor {
        name: "x".into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
        contents,
        ..InferInputTensor::default()
    }
}

fn request(inputs: Vec<InferInputTensor>, raw: Vec<&'static [u8]>) -> ModelInferRequest {
    let raw_input_contents = raw.into_iter().map(bytes::Bytes::from_static).collect();
    ModelInferRequest { model_name: "m".into(), inputs, raw_input_contents, ..ModelInferRequest::default() }
}

fn typed(contents: InferTensorContents) -> Option<InferTensorContents> {
    Some(contents)
}

#[test]
fn each_type_has_its_field() {
    let none = InferTensorContents::default;
    for (datatype, contents, expected) in [
        ("BOOL", InferTensorContents { bool_contents: vec![true], ..none() }, Tensor::new([1], vec![true])),
        ("INT8", InferTensorContents { int_contents: vec![-1], ..none() }, Tensor::new([1], vec![-1i8])),
        ("INT16", InferTensorContents { int_contents: vec![-1], ..none() }, Tensor::new([1], vec![-1i16])),
        ("INT32", InferTensorContents { int_contents: vec![-1], ..none() }, Tensor::new([1], vec![-1i32])),
        ("INT64", InferTensorContents { int64_contents: vec![-1], ..none() }, Tensor::new([1], vec![-1i64])),
        ("UINT8", InferTensorContents { uint_contents: vec![7], ..none() }, Tensor::new([1], vec![7u8])),
        ("UINT16", InferTensorContents { uint_contents: vec![7], ..none() }, Tensor::new([1], vec![7u16])),
        ("UINT32", InferTensorContents { uint_contents: vec![7], ..none() }, Tensor::new([1], vec![7u32])),
        ("UINT64", InferTensorContents { uint64_contents: vec![7], ..none() }, Tensor::new([1], vec![7u64])),
        ("FP32", InferTensorContents { fp32_contents: vec![0.5], ..none() }, Tensor::new([1], vec![0.5f32])),
        ("FP64", InferTensorContents { fp64_contents: vec![0.5], ..none() }, Tensor::new([1], vec![0.5f64])),
        (
            "BYTES",
            InferTensorContents { bytes_contents: vec!["hi".into()], ..none() },
            Tensor::new([1], vec![b"hi".to_vec()]),
        ),
    ] {
        let request = grpc::decode(request(vec![input(datatype, &[1], typed(contents))], vec![])).unwrap();
        assert_eq!(only(request), expected.unwrap(), "{datatype}");
    }
}

#[test]
fn what_is_asked_is_read_whole() {
    let region = [
        ("shared_memory_region", ParameterChoice::StringParam("r".into())),
        ("shared_memory_offset", ParameterChoice::Int64Param(4)),
        ("shared_memory_byte_size", ParameterChoice::Int64Param(8)),
    ];
    let region = region.map(|(key, value)| (key.to_owned(), parameter(value)));
    let shared = InferInputTensor { parameters: region.clone().into(), ..input("FP32", &[2], None) };
    let classes = [("classification".to_owned(), parameter(ParameterChoice::Int64Param(3)))];
    let output = |name: &str, parameters| InferRequestedOutputTensor { name: name.into(), parameters };
    let mut message = request(vec![shared, input("INT8", &[2], None)], vec![&[1, 2]]);
    message.id = "42".into();
    message.parameters = [
        ("priority".to_owned(), parameter(ParameterChoice::Uint64Param(1))),
        ("timeout".to_owned(), parameter(ParameterChoice::Int64Param(5))),
        ("sequence_end".to_owned(), parameter(ParameterChoice::BoolParam(true))),
        ("triton_enable_empty_final_response".to_owned(), parameter(ParameterChoice::BoolParam(false))),
    ]
    .into();
    message.outputs = vec![output("p", classes.into()), output("q", region.into())];
    let Request { id, options, inputs, outputs, form } = grpc::decode(message).unwrap();
    assert_eq!((id.as_str(), options.priority, form), ("42", 1, Form::Binary));
    assert_eq!(options.timeout.unwrap().as_micros(), 5);
    let region = Region { name: "r".into(), offset: 4, byte_size: 8 };
    assert_eq!(
        inputs.into_iter().map(|input| input.value).collect::<Vec<_>>(),
        [
            Value::Shared { region: region.clone(), dtype: DType::F32, shape: vec![2] },
            Value::Tensor(Tensor::new([2], vec![1i8, 2]).unwrap())
        ]
    );
    assert_eq!((outputs[0].classes, &outputs[0].form), (3, &None));
    assert_eq!(outputs[1].form, Some(Form::Shared(region)));
}

#[test]
fn what_is_wrong_is_said() {
    let ints = |values: &[i32]| InferTensorContents {
        int_contents: values.to_vec(),
        ..InferTensorContents::default()
    };
    let reserved = ModelInferRequest {
        parameters: [("triton_x".to_owned(), parameter(ParameterChoice::BoolParam(true)))].into(),
        ..request(vec![], vec![])
    };
    let empty = ModelInferRequest {
        parameters: [("x".to_owned(), InferParameter::default())].into(),
        ..request(vec![], vec![])
    };
    for (message, expected) in [
        (request(vec![input("INT8", &[1], typed(ints(&[200])))], vec![]), "out of the range of 'INT8'"),
        (request(vec![input("INT8", &[2], typed(ints(&[2])))], vec![]), "expected 2, got 1"),
        (request(vec![input("INT8", &[1], None)], vec![]), "expected 1, got 0"),
        (request(vec![input("FP32", &[1], typed(ints(&[2])))], vec![]), "unexpected 'int_contents'"),
        (request(vec![input("FP16", &[1], typed(ints(&[])))], vec![]), "needs raw_input_contents"),
        (
            request(vec![input("INT8", &[1], typed(ints(&[1])))], vec![&[1]]),
            "contents field must not be specified",
        ),
        (
            request(vec![input("INT8", &[1], None)], vec![&[1], &[2]]),
            "unexpected number of raw input contents",
        ),
        (
            request(vec![input("INT8", &[1], None), input("INT8", &[1], None)], vec![&[1]]),
            "expected raw_input_contents for input 'x'",
        ),
        (
            request(vec![input("INT8", &[2], None)], vec![&[1]]),
            "[request id: <id_unknown>] input byte size mismatch for input 'x' for model 'm'. Expected 2, got 1",
        ),
        (request(vec![input("INT8", &[-1], None)], vec![&[1]]), "is not a whole number of at least 0"),
        (request(vec![input("WHAT", &[1], None)], vec![&[1]]), "unknown datatype 'WHAT'"),
        (reserved, "reserved"),
        (empty, "parameter `x` has no value"),
    ] {
        let error = grpc::decode(message).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn an_output_in_shared_memory_keeps_its_place_among_the_raw_ones() {
    let output = |name: &str, content| ReplyOutput {
        name: name.into(),
        tensor: Tensor::new([2], vec![1u8, 2]).unwrap(),
        content,
    };
    let region = Region { name: "r".into(), offset: 4, byte_size: 2 };
    let outputs = vec![output("s", Content::Shared(region)), output("b", Content::Binary)];
    let response = grpc::encode(Reply { id: "i".into(), model: "m".into(), version: 2, outputs }).unwrap();
    assert_eq!(
        (response.model_name.as_str(), response.model_version.as_str(), response.id.as_str()),
        ("m", "2", "i")
    );
    assert_eq!(response.raw_output_contents, [&b""[..], &[1, 2]]);
    let size = &response.outputs[0].parameters["shared_memory_byte_size"];
    assert_eq!(size.parameter_choice, Some(ParameterChoice::Int64Param(2)));
    assert_eq!((response.outputs[1].datatype.as_str(), &*response.outputs[1].shape), ("UINT8", &[2i64][..]));
}

proptest! {
    #[test]
    fn through_raw_contents(tensor in any_tensor(false)) {
        let output = ReplyOutput { name: "x".into(), tensor: tensor.clone(), content: Content::Json };
        let reply = Reply { id: String::new(), model: "m".into(), version: 1, outputs: vec![output] };
        let response = grpc::encode(reply).unwrap();
        let output = &response.outputs[0];
        let mut message = request(vec![input(&output.datatype, &output.shape, None)], vec![]);
        message.raw_input_contents = response.raw_output_contents;
        let read = only(grpc::decode(message).unwrap());
        prop_assert_eq!(read.shape(), tensor.shape());
        prop_assert_eq!(binary::encode(read.data()).unwrap(), binary::encode(tensor.data()).unwrap());
    }
}
