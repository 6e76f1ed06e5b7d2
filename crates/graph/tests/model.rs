//! Reading and writing whole files.

use std::path::{Path, PathBuf};

use tintype_core::{DType, ErrorKind};
use tintype_graph::Model;
use tintype_testkit::onnx;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

#[test]
fn no_field_is_lost() {
    let bytes = std::fs::read(data("all_fields.onnx")).unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    let written = model.to_bytes();
    assert!(Model::from_bytes(&written).unwrap() == model);
    // Python writes some fields in another order, so the same bytes are expected in any order.
    let sorted = |mut bytes: Vec<u8>| {
        bytes.sort_unstable();
        bytes
    };
    assert!(sorted(written) == sorted(bytes), "a field was lost");
}

#[test]
fn a_small_model_tells_its_interface() {
    let model = Model::from_bytes(&onnx::scores(&[3, 2, 2], &[0.5; 24], &[0.0, 1.0])).unwrap();
    assert_eq!(model.opset(), 17);
    let inputs: Vec<String> = model.inputs().unwrap().iter().map(ToString::to_string).collect();
    let outputs: Vec<String> = model.outputs().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        (inputs, outputs),
        (vec!["input: f32[?,3,2,2]".to_owned()], vec!["logits: f32[?,2]".to_owned()])
    );
    assert_eq!(model.f32s("bias").unwrap(), [0.0, 1.0]);
    assert_eq!(model.f32s("other").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn every_dtype_has_its_name() {
    for &dtype in DType::ALL {
        let model = Model::from_bytes(&onnx::identity(dtype.as_str(), &[2])).unwrap();
        assert_eq!(model.inputs().unwrap()[0].dtype, dtype);
    }
}

#[test]
fn initializers_listed_as_inputs_are_not_inputs() {
    let mut model = Model::from_bytes(&onnx::scores(&[2], &[1.0, 2.0], &[0.0])).unwrap();
    let mut weight = model.graph().input[0].clone();
    weight.name = "weight".to_owned();
    model.graph_mut().input.insert(0, weight);
    assert_eq!(model.inputs().unwrap().iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["input"]);
}

#[test]
fn what_is_not_a_model_is_an_error() {
    for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n", &[0x3a, 0xff, 0xff], &[8, 1]] {
        assert_eq!(Model::from_bytes(bytes).unwrap_err().kind(), ErrorKind::InvalidModel, "{bytes:?}");
    }
}

#[test]
fn metadata_is_set_and_replaced() {
    let mut model = Model::from_bytes(&onnx::identity("f32", &[])).unwrap();
    assert_eq!(model.metadata("task"), None);
    model.set_metadata("task", "classify");
    model.set_metadata("task", "detect");
    let again = Model::from_bytes(&model.to_bytes()).unwrap();
    assert_eq!(again.metadata("task"), Some("detect"));
    assert_eq!(again.proto().metadata_props.len(), 1);
}

#[test]
fn parameters_take_as_many_values_as_they_have() {
    let model = Model::from_bytes(&onnx::scores(&[2], &[1.0, 2.0], &[0.0])).unwrap();
    let changed = model.with_parameters(&[("weight", &[3.0, 4.0])]).unwrap();
    assert_eq!(changed.f32s("weight").unwrap(), [3.0, 4.0]);
    assert_eq!(changed.initializer("weight").unwrap().dims, [1, 2]);
    let error = model.with_parameters(&[("weight", &[3.0])]).unwrap_err();
    assert_eq!(error.message(), "initializer `weight` has 2 elements, found 1");
}

#[test]
fn elements_beside_the_model_are_brought_in_and_stay_in_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.onnx");
    std::fs::write(directory.path().join("weights.bin"), [[9u8; 4], 1.5f32.to_le_bytes()].concat()).unwrap();
    for (location, length, message) in [
        ("weights.bin", "4", None),
        (
            "../weights.bin",
            "4",
            Some("tensor `bias` keeps its elements in `../weights.bin`, outside of the model's directory"),
        ),
        (
            "weights.bin",
            "5",
            Some("tensor `bias` keeps its elements beyond the end of `weights.bin`, which has 8 bytes"),
        ),
    ] {
        let mut model = Model::from_bytes(&onnx::scores(&[1], &[2.0], &[0.0])).unwrap();
        let bias = model.graph_mut().initializer.iter_mut().find(|t| t.name == "bias").unwrap();
        bias.raw_data = None;
        bias.data_location = 1;
        for (key, value) in [("location", location), ("offset", "4"), ("length", length)] {
            bias.external_data.push(tintype_graph::proto::StringStringEntryProto {
                key: key.to_owned(),
                value: value.to_owned(),
            });
        }
        model.write(&path).unwrap();
        match message {
            None => assert_eq!(Model::read(&path).unwrap().f32s("bias").unwrap(), [1.5]),
            Some(message) => assert_eq!(Model::read(&path).unwrap_err().message(), message),
        }
    }
}
