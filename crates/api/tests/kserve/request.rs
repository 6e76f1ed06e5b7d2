//! Requests over HTTP.

use std::time::Duration;

use tintype_api::kserve::raw::{self, Shape};
use tintype_api::kserve::{Form, Output, Region, Value, request};
use tintype_core::{DType, Tensor};

use crate::support::*;

#[test]
fn a_request_is_read_whole() {
    let request = decode(
        r#"{"id":"42","parameters":{"priority":2,"timeout":1500,"binary_data_output":true,"sequence_id":"s","mine":1.5},
            "inputs":[{"name":"a","shape":[2,2],"datatype":"FP32","data":[[1,2.5],[-3,4e1]]},
                      {"data":["x","é\n"],"datatype":"BYTES","shape":[2],"name":"b"}],
            "outputs":[{"name":"p"},{"name":"q","parameters":{"binary_data":false,"classification":3}},
                       {"name":"r","parameters":{"shared_memory_region":"z","shared_memory_offset":8,"shared_memory_byte_size":16}}]}"#,
    )
    .unwrap();
    assert_eq!(request.id, "42");
    assert_eq!((request.options.priority, request.options.timeout), (2, Some(Duration::from_micros(1500))));
    assert_eq!(request.form, Form::Binary);
    let tensors: Vec<_> = request.inputs.iter().map(|input| (input.name.as_str(), &input.value)).collect();
    assert_eq!(
        tensors,
        [
            ("a", &Value::Tensor(Tensor::new([2, 2], vec![1f32, 2.5, -3.0, 40.0]).unwrap())),
            ("b", &Value::Tensor(Tensor::new([2], vec![b"x".to_vec(), "é\n".into()]).unwrap())),
        ]
    );
    let region = Region { name: "z".into(), offset: 8, byte_size: 16 };
    assert_eq!(
        request.outputs,
        [
            Output { name: "p".into(), form: None, classes: 0 },
            Output { name: "q".into(), form: Some(Form::Json), classes: 3 },
            Output { name: "r".into(), form: Some(Form::Shared(region)), classes: 0 },
        ]
    );
}

#[test]
fn binary_inputs_take_their_parts_in_turn() {
    let json = r#"{"inputs":[{"name":"a","shape":[2],"datatype":"INT16","parameters":{"binary_data_size":4}},
        {"name":"j","shape":[1],"datatype":"UINT8","data":[9]},
        {"name":"b","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":6}}]}"#;
    let body = [json.as_bytes(), &[1, 0, 2, 0, 2, 0, 0, 0, b'h', b'i']].concat();
    let request = request::decode("m", Some(json.len()), &body).unwrap();
    let values: Vec<_> = request.inputs.into_iter().map(|input| input.value).collect();
    assert_eq!(
        values,
        [
            Value::Tensor(Tensor::new([2], vec![1i16, 2]).unwrap()),
            Value::Tensor(Tensor::new([1], vec![9u8]).unwrap()),
            Value::Tensor(Tensor::new([1], vec![b"hi".to_vec()]).unwrap()),
        ]
    );
}

#[test]
fn an_input_may_lie_in_shared_memory() {
    let json = r#"{"inputs":[{"name":"a","shape":[2],"datatype":"FP32",
        "parameters":{"shared_memory_region":"r","shared_memory_byte_size":8}}]}"#;
    let region = Region { name: "r".into(), offset: 0, byte_size: 8 };
    assert_eq!(
        decode(json).unwrap().inputs[0].value,
        Value::Shared { region, dtype: DType::F32, shape: vec![2] }
    );
}

#[test]
fn what_is_wrong_is_said_in_tritons_words() {
    let input = |rest: &str| format!(r#"{{"inputs":[{{"name":"x",{rest}}}]}}"#);
    let binary = |size: usize| {
        input(&format!(r#""shape":[2],"datatype":"INT16","parameters":{{"binary_data_size":{size}}}"#))
    };
    let strings = |size: usize| {
        input(&format!(r#""shape":[1],"datatype":"BYTES","parameters":{{"binary_data_size":{size}}}"#))
    };
    let parameters = |text: &str| format!(r#"{{"inputs":[],"parameters":{{{text}}}}}"#);
    let output =
        |text: &str| format!(r#"{{"inputs":[],"outputs":[{{"name":"y","parameters":{{{text}}}}}]}}"#);
    let other_shape = "Unable to parse 'data': Shape does not match true shape of 'data' field for input 'x'";
    let no_header = "must specify valid 'Infer-Header-Content-Length' in request header and 'binary_data_size' when \
                     passing inputs in binary data format";
    for (json, bytes, expected) in [
        (input(r#""shape":[2],"datatype":"INT8","data":[1]"#), &b""[..], other_shape),
        (input(r#""shape":[2],"datatype":"INT8","data":[1,2,3]"#), b"", other_shape),
        (input(r#""shape":[2],"datatype":"INT8","data":[[[1]],[]]"#), b"", other_shape),
        (
            input(r#""shape":[2],"datatype":"INT8","data":[1,128]"#),
            b"",
            "Unable to parse 'data': expected a whole number within i8 at element 1 for input 'x'",
        ),
        (
            input(r#""shape":[1],"datatype":"INT8","data":[1.5]"#),
            b"",
            "Unable to parse 'data': expected a whole number within i8 at element 0 for input 'x'",
        ),
        (
            input(r#""shape":[1],"datatype":"FP16","data":[65536]"#),
            b"",
            "Unable to parse 'data': expected a number within f16 at element 0 for input 'x'",
        ),
        (
            input(r#""shape":[1],"datatype":"BOOL","data":[1]"#),
            b"",
            "Unable to parse 'data': expected `true` or `false` at element 0 for input 'x'",
        ),
        (
            input(r#""shape":[1],"datatype":"BYTES","data":[1]"#),
            b"",
            "Unable to parse 'data': expected text at element 0 for input 'x'",
        ),
        (
            input(r#""shape":[1],"datatype":"INT8","data":1"#),
            b"",
            "Unable to parse 'data': expected an array for input 'x'",
        ),
        (input(r#""shape":[1],"datatype":"INT9","data":[1]"#), b"", "input 'x' has unknown datatype 'INT9'"),
        (
            input(r#""shape":[-1],"datatype":"INT8","data":[1]"#),
            b"",
            "the shape of input 'x' has a size that is not a whole number of at least 0: [-1]",
        ),
        (
            input(r#""shape":[4294967296,4294967296,4294967296],"datatype":"INT8","data":[1]"#),
            b"",
            "the shape of input 'x' has more elements than can be counted",
        ),
        (
            input(r#""shape":[1],"datatype":"INT8""#),
            b"",
            "input 'x' has neither `data`, nor `binary_data_size`, nor a region of shared memory",
        ),
        (binary(4), b"", no_header),
        (binary(4), b"1234567", "unexpected additional input data for model 'm'"),
        (binary(6), b"1234", "unexpected size for input 'x', expecting 2 additional bytes for model 'm'"),
        (
            binary(3),
            b"123",
            "[request id: <id_unknown>] input byte size mismatch for input 'x' for model 'm'. Expected 4, got 3",
        ),
        (
            strings(3),
            b"\x01\0\0",
            "[request id: <id_unknown>] incomplete string length indicator for inference input 'x', expecting 4 \
             bytes but only 3 bytes available. Please make sure the string length indicator is in one contiguous \
             buffer.",
        ),
        (
            strings(5),
            b"\x02\0\0\0a",
            "[request id: <id_unknown>] incomplete string data for inference input 'x', expecting string of length \
             2 but only 1 bytes available.",
        ),
        (
            strings(8),
            b"\0\0\0\0\0\0\0\0",
            "[request id: <id_unknown>] unexpected number of string elements 2 for inference input 'x', expecting 1",
        ),
        (
            parameters(r#""triton_x":1"#),
            b"",
            "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified, found 'triton_x'",
        ),
        (parameters(r#""headers":"x""#), b"", "parameter `headers` is reserved"),
        (parameters(r#""priority":-1"#), b"", "parameter `priority`: expected a whole number of at least 0"),
        (parameters(r#""sequence_start":1"#), b"", "parameter `sequence_start`: expected `true` or `false`"),
        (
            input(r#""shape":[1],"datatype":"INT8","parameters":{"shared_memory_offset":1}"#),
            b"",
            "'shared_memory_offset' can not be specified for 'x' without 'shared_memory_region'",
        ),
        (
            input(r#""shape":[1],"datatype":"INT8","parameters":{"shared_memory_region":"r"}"#),
            b"",
            "'shared_memory_byte_size' must be specified along with 'shared_memory_region' for 'x'",
        ),
        (
            input(
                r#""shape":[1],"datatype":"INT8","data":[1],"parameters":{"shared_memory_region":"r","shared_memory_byte_size":1}"#,
            ),
            b"",
            "unexpected 'data' or 'binary_data_size' for input 'x', which lies in shared memory",
        ),
        (
            output(r#""shared_memory_region":"r","shared_memory_byte_size":8,"classification":1"#),
            b"",
            "Output can't set both 'shared_memory_region' and 'classification'",
        ),
        (
            output(r#""shared_memory_region":"r","shared_memory_byte_size":8,"binary_data":true"#),
            b"",
            "Output can't set both 'shared_memory_region' and 'binary_data'",
        ),
    ] {
        assert_eq!(refusal(&json, bytes), expected, "{json}");
    }
    // What it is called here is nobody's business.
    for json in ["[]", "null", r#"{"inputs":[[]]}"#, r#"{"inputs":[],"outputs":[1]}"#] {
        let refusal = refusal(json, b"");
        assert!(refusal.contains("object") && !refusal.contains("Wire"), "{json}: {refusal}");
    }
    assert!(refusal("{", b"").starts_with("failed to parse the request JSON buffer: "));
    assert!(refusal(r#"{"id":"x"}"#, b"").contains("missing field `inputs`"));
    let error = request::decode("m", Some(5), b"{}").unwrap_err();
    assert_eq!(error.message(), "inference header size should be in range (0, 2), got: 5");
}

#[test]
fn deep_arrays_do_not_exhaust_the_stack() {
    for deep in ["[".repeat(1_000_000), format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))] {
        let json = format!(r#"{{"inputs":[{{"name":"x","shape":[1],"datatype":"INT8","data":{deep}}}]}}"#);
        refusal(&json, b"");
        refusal(&format!(r#"{{"inputs":[],"unknown":{deep}}}"#), b"");
        refusal(&format!(r#"{{"inputs":[],"parameters":{deep}}}"#), b"");
        refusal(&format!(r#"{{"inputs":[],"parameters":{{"a":{deep}}}}}"#), b"");
    }
}

#[test]
fn a_bare_body_is_the_only_input() {
    let shape = |dtype, dims: &[i64]| Shape {
        name: "x".into(),
        dtype,
        dims: dims.to_vec(),
        batched: true,
        images: false,
    };
    let decode = |shape: Shape, body: &[u8]| raw::decode("m", &[shape], body);
    let jpeg = b"\xff\xd8 some picture";
    let request = decode(shape(DType::Bytes, &[1]), jpeg).unwrap();
    assert_eq!(request.form, Form::Binary);
    assert_eq!(only(request), Tensor::new([1, 1], vec![jpeg.to_vec()]).unwrap());
    let flat = Shape { batched: false, ..shape(DType::I16, &[-1, 2]) };
    assert_eq!(
        only(decode(flat.clone(), &[1, 0, 2, 0]).unwrap()),
        Tensor::new([1, 2], vec![1i16, 2]).unwrap()
    );
    assert_eq!(
        only(decode(shape(DType::U8, &[2]), &[1, 2]).unwrap()),
        Tensor::new([1, 2], vec![1u8, 2]).unwrap()
    );
    // An image in place of the numbers that a model of images takes.
    let image = Shape { images: true, ..shape(DType::F32, &[3, 8, 8]) };
    assert_eq!(only(decode(image, jpeg).unwrap()), Tensor::new([1, 1], vec![jpeg.to_vec()]).unwrap());

    let wrong = |shape: Shape, body: &[u8]| decode(shape, body).unwrap_err().message().to_owned();
    assert_eq!(
        wrong(shape(DType::Bytes, &[2]), b""),
        "For BYTE datatype raw input 'x', the model must have input shape [1]"
    );
    assert_eq!(
        wrong(shape(DType::U8, &[-1, -1]), b"1234"),
        "The shape of Raw input 'x' can not be deduced because there are more than one variable-sized dimension"
    );
    for shape in
        [flat, shape(DType::U8, &[4]), shape(DType::U8, &[-1, 0]), shape(DType::U8, &[i64::MAX, i64::MAX])]
    {
        assert_eq!(
            wrong(shape, b"123"),
            "The shape of Raw input 'x' can not be deduced from a body of 3 bytes"
        );
    }
    let two = [shape(DType::U8, &[1]), shape(DType::U8, &[1])];
    assert_eq!(
        raw::decode("m", &two, b"").unwrap_err().message(),
        "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'm' model configuration"
    );
}
