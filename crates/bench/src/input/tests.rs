use tintype_api::kserve::{ModelMetadata, TensorMetadata};
use tintype_core::TensorData;

use super::*;

fn facts(inputs: &[(&str, &str, &[i64])], max_batch_size: u64) -> ModelFacts {
    let tensor = |(name, datatype, shape): &(&str, &str, &[i64])| TensorMetadata {
        name: (*name).to_owned(),
        datatype: (*datatype).to_owned(),
        shape: shape.to_vec(),
    };
    let metadata = ModelMetadata {
        name: "m".to_owned(),
        versions: vec!["1".to_owned()],
        platform: "onnxruntime_onnx".to_owned(),
        inputs: inputs.iter().map(tensor).collect(),
        outputs: Vec::new(),
    };
    ModelFacts { metadata, max_batch_size }
}

fn options() -> TensorOptions {
    TensorOptions { batch_size: 1, shapes: Vec::new(), outputs: Form::Binary }
}

fn tensors_of(request: &Request) -> Vec<(&str, &Tensor)> {
    request
        .inputs
        .iter()
        .map(|input| {
            (
                input.name.as_str(),
                match &input.value {
                    Value::Tensor(tensor) => tensor,
                    Value::Shared { .. } => unreachable!("nothing here lies in shared memory"),
                },
            )
        })
        .collect()
}

const RANDOM: Fill = Fill::Random { seed: 1, string_length: 5 };

#[test]
fn drawn_tensors_fit_the_model() {
    let facts = facts(&[("x", "FP32", &[-1, 3, 2]), ("ids", "INT64", &[-1, 4]), ("t", "BYTES", &[-1, 1])], 8);
    let two = TensorOptions { batch_size: 2, ..options() };
    let request = drawn(&facts, &RANDOM, &two).unwrap();
    let [("x", x), ("ids", ids), ("t", t)] = tensors_of(&request)[..] else { panic!("{request:?}") };
    assert_eq!((x.shape(), ids.shape(), t.shape()), (&[2, 3, 2][..], &[2, 4][..], &[2, 1][..]));
    assert!(x.values::<f32>().unwrap().iter().all(|v| (0.0..1.0).contains(v)));
    assert!(x.values::<f32>().unwrap().iter().any(|&v| v != x.values::<f32>().unwrap()[0]));
    assert!(ids.values::<i64>().unwrap().iter().all(|v| (0..128).contains(v)));
    assert!(t.values::<Vec<u8>>().unwrap().iter().all(|text| text.len() == 5));
    assert_eq!(drawn(&facts, &RANDOM, &two).unwrap(), request, "a seed repeats its tensors");

    let zeros = drawn(&facts, &Fill::Zero, &options()).unwrap();
    assert_eq!(tensors_of(&zeros)[0].1.data(), &TensorData::F32(vec![0.0; 6]));
    let nine = TensorOptions { batch_size: 9, ..options() };
    assert!(drawn(&facts, &RANDOM, &nine).is_err(), "more than the model takes");
}

#[test]
fn sizes_left_open_must_be_said() {
    let facts = facts(&[("x", "UINT8", &[-1, -1, 3])], 0);
    let error = drawn(&facts, &Fill::Zero, &options()).unwrap_err();
    assert!(error.hint().unwrap().contains("--shape x:"), "{error}");
    let said = TensorOptions { shapes: vec![("x".to_owned(), vec![4, 5, 3])], ..options() };
    assert_eq!(tensors_of(&drawn(&facts, &Fill::Zero, &said).unwrap())[0].1.shape(), [4, 5, 3]);
    let misspelt = TensorOptions { shapes: vec![("y".to_owned(), vec![1])], ..options() };
    assert!(drawn(&facts, &Fill::Zero, &misspelt).is_err());
}

#[test]
fn perf_analyzers_json_is_read_in_every_form() {
    let facts = facts(&[("x", "FP32", &[-1, 2, -1]), ("t", "BYTES", &[-1, 1])], 4);
    let json = br#"{"data": [
        {"x": [1, 2, 3, 4], "t": ["a"]},
        {"x": {"content": [[1, 2, 3], [4, 5, 6]], "shape": [2, 3]}, "t": {"b64": "/9g="}},
        [{"x": {"b64": "AACAPwAAAEA="}, "t": ["b"]}]
    ]}"#;
    assert!(is_data(json) && !is_data(br#"{"image": "aGk="}"#));
    let requests = tensors(json, &facts, &options()).unwrap();
    let shapes: Vec<_> = requests.iter().map(|r| tensors_of(r)[0].1.shape().to_vec()).collect();
    assert_eq!(shapes, [vec![1, 2, 2], vec![1, 2, 3], vec![1, 2, 1]]);
    assert_eq!(tensors_of(&requests[2])[0].1.values::<f32>().unwrap(), [1.0, 2.0]);
    assert_eq!(tensors_of(&requests[1])[1].1.values::<Vec<u8>>().unwrap(), [vec![0xff, 0xd8]]);
    let short = tensors(br#"{"data": [{"x": [1, 2, 3], "t": ["a"]}]}"#, &facts, &options()).unwrap_err();
    assert!(short.message().starts_with("data entry 0"), "{short}");
    assert!(tensors(br#"{"data": [{"x": [1, 2]}]}"#, &facts, &options()).is_err(), "an input is missing");
}

#[test]
fn perf_analyzers_directory_has_a_file_for_each_input() {
    let facts = facts(&[("x", "FP32", &[-1, 2]), ("t", "BYTES", &[-1, 2])], 4);
    let dir = tempfile::tempdir().unwrap();
    let read = || directory(dir.path(), &facts, &options());
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("cat.jpg", b"\xff\xd8");
    assert_eq!(read().unwrap(), None, "it is one of images");
    write("x", &[1.5f32.to_le_bytes(), 2.0f32.to_le_bytes()].concat());
    assert!(read().is_err(), "the other is missing");
    write("t", b"a cat\na dog\n");
    let request = read().unwrap().unwrap();
    let [("x", x), ("t", t)] = tensors_of(&request)[..] else { panic!("{request:?}") };
    assert_eq!((x.shape(), x.values::<f32>().unwrap()), (&[1, 2][..], &[1.5, 2.0][..]));
    assert_eq!(t.values::<Vec<u8>>().unwrap(), [b"a cat".to_vec(), b"a dog".to_vec()]);
    write("x", &[0; 12]);
    let error = read().unwrap_err();
    assert!(error.message().contains("/x`"), "it names the file: {error}");
}

#[test]
fn files_for_torchserve_are_listed() {
    let json = br#"{"data": [{"TORCHSERVE_INPUT": ["cat.jpg"]}, {"TORCHSERVE_INPUT": ["dog.jpg"]}]}"#;
    assert_eq!(files_in(json).unwrap(), [Path::new("cat.jpg"), Path::new("dog.jpg")]);
    assert!(files_in(br#"{"data": [{"x": [1]}]}"#).is_err());
}

#[test]
fn an_image_is_one_element_of_bytes() {
    let options = TensorOptions { batch_size: 2, ..options() };
    let request =
        image(&facts(&[("x", "BYTES", &[-1, 1])], 4), &Bytes::from_static(b"jpeg"), &options).unwrap();
    assert_eq!(tensors_of(&request)[0].1.shape(), [2, 1]);
    let two = facts(&[("x", "BYTES", &[-1, 1]), ("y", "BYTES", &[-1, 1])], 4);
    assert!(image(&two, &Bytes::new(), &options).is_err());
}
