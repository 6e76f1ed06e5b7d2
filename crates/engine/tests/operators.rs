//! The fused operators through ONNX Runtime: that they are registered, get their attributes, run on the session's
//! threads, and answer a model that misuses them with an error. What they compute is tested beside each of them.

use tintype_core::{ErrorKind, ModelSource, Result, Tensor};
use tintype_engine::ort::OrtBackend;
use tintype_engine::ort::operators::DOMAIN;
use tintype_engine::{Backend, Session, SessionOptions};
use tintype_graph::Model;
use tintype_graph::proto::{
    DataType, Dimension, DimensionValue, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    TypeProtoValue, TypeTensor, ValueInfoProto,
};
use tintype_testkit::assert_close;

/// An input or output of `rank` axes, all dynamic.
fn value(name: &str, dtype: DataType, rank: usize) -> ValueInfoProto {
    let axis =
        |i| Dimension { value: Some(DimensionValue::Name(format!("{name}{i}"))), ..Dimension::default() };
    let shape = TensorShapeProto { dim: (0..rank).map(axis).collect() };
    let tensor = TypeTensor { elem_type: dtype as i32, shape: Some(shape) };
    let kind = TypeProto { value: Some(TypeProtoValue::Tensor(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(Box::new(kind)), ..ValueInfoProto::default() }
}

/// The session of a model of one node of ours; inputs and outputs are names with their rank, all `f32` but `seed`.
fn load(node: NodeProto, inputs: &[(&str, usize)], outputs: &[(&str, usize)]) -> Result<Box<dyn Session>> {
    let dtype = |name: &str| if name == "seed" { DataType::Int64 } else { DataType::Float };
    let values =
        |values: &[(&str, usize)]| values.iter().map(|&(n, rank)| value(n, dtype(n), rank)).collect();
    let names = |values: &[(&str, usize)]| values.iter().map(|&(name, _)| name.to_owned()).collect();
    let node = NodeProto {
        domain: DOMAIN.into(),
        name: "it".into(),
        input: names(inputs),
        output: names(outputs),
        ..node
    };
    let (input, output) = (values(inputs), values(outputs));
    let graph = GraphProto { name: "one".into(), node: vec![node], input, output, ..GraphProto::default() };
    let mut model = Model::new(graph, 17);
    model.import_opset(DOMAIN, 1);
    let options = SessionOptions { intra_threads: 2, custom_operators: true, ..SessionOptions::default() };
    OrtBackend::new()?.load(&ModelSource::Bytes(model.to_bytes().into()), &options)
}

fn node(op: &str) -> NodeProto {
    NodeProto::new(op, &[], &[])
}

fn run(mut session: Box<dyn Session>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    session.run(&inputs.iter().collect::<Vec<_>>())
}

fn f32s(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::new(shape, values.to_vec()).expect("the test's shape fits its values")
}

const NORM: [(&str, usize); 3] = [("x", 4), ("gamma", 1), ("beta", 1)];
const NORM_OUT: [(&str, usize); 3] = [("y", 4), ("mean", 1), ("var", 1)];

/// Sizes that no name stands for are unknown behind an operator of ours too, not -1.
#[test]
fn axes_without_a_name_fit_what_comes_after() {
    let mut x = value("x", DataType::Float, 2);
    if let Some(TypeProtoValue::Tensor(tensor)) = x.r#type.as_mut().and_then(|t| t.value.as_mut()) {
        tensor.shape = Some(TensorShapeProto { dim: vec![Dimension::default(); 2] });
    }
    let norm =
        NodeProto::new("BatchNormTrain", &["x", "gamma", "beta"], &["y", "mean", "var"]).of_domain(DOMAIN);
    let graph = GraphProto {
        name: "two".into(),
        node: vec![norm, NodeProto::new("MatMul", &["y", "w"], &["z"])],
        input: vec![x, value("gamma", DataType::Float, 1), value("beta", DataType::Float, 1)],
        output: vec![value("z", DataType::Float, 2)],
        initializer: vec![TensorProto::from_f32("w", &[3, 1], &[1.0, 1.0, 1.0])],
        ..GraphProto::default()
    };
    let mut model = Model::new(graph, 17);
    model.import_opset(DOMAIN, 1);
    let options = SessionOptions { custom_operators: true, ..SessionOptions::default() };
    let source = ModelSource::Bytes(model.to_bytes().into());
    let session = OrtBackend::new().unwrap().load(&source, &options).unwrap();
    let inputs = [f32s(&[2, 3], &[1.0; 6]), f32s(&[3], &[1.0; 3]), f32s(&[3], &[0.0, 1.0, 2.0])];
    assert_close(run(session, &inputs).unwrap()[0].values::<f32>().unwrap(), &[3.0, 3.0], 1e-6);
}

#[test]
fn batch_norm_and_its_gradient() {
    let forward = node("BatchNormTrain").with("epsilon", 0.0f32).with("relu", 1i64);
    let forward = load(forward, &NORM, &NORM_OUT).unwrap();
    let x = f32s(&[2, 1, 1, 2], &[1.0, 3.0, 1.0, 3.0]);
    let (gamma, beta) = (f32s(&[1], &[2.0]), f32s(&[1], &[0.5]));
    let outputs = run(forward, &[x.clone(), gamma.clone(), beta]).unwrap();
    let [y, mean, var] = outputs.try_into().unwrap();
    // (1 - 2) / 1 · 2 + 0.5 = -1.5, which ReLU cuts.
    assert_eq!(y, f32s(&[2, 1, 1, 2], &[0.0, 2.5, 0.0, 2.5]));
    assert_eq!((&mean, &var), (&f32s(&[1], &[2.0]), &f32s(&[1], &[1.0])));

    let backward = node("BatchNormTrainGrad").with("epsilon", 0.0f32).with("relu", 1i64);
    let inputs = [("dy", 4), ("x", 4), ("y", 4), ("gamma", 1), ("mean", 1), ("var", 1)];
    let backward = load(backward, &inputs, &[("dx", 4), ("dgamma", 1), ("dbeta", 1)]).unwrap();
    let dy = f32s(&[2, 1, 1, 2], &[9.0, 1.0, 9.0, 3.0]);
    let [dx, dgamma, dbeta] = run(backward, &[dy, x, y, gamma, mean, var]).unwrap().try_into().unwrap();
    assert_eq!((dgamma, dbeta), (f32s(&[1], &[4.0]), f32s(&[1], &[4.0])));
    // 2 · (t - 1 - x̂ · 1) with t = 0, 1, 0, 3 and x̂ = -1, 1, -1, 1
    assert_close(dx.values().unwrap(), &[0.0, -2.0, 0.0, 2.0], 1e-6);
}

#[test]
fn max_pool_gradient_with_and_without_pads() {
    let inputs = [("dy", 4), ("x", 4), ("y", 4)];
    let halves = node("MaxPoolGrad").with("kernel_shape", vec![2, 2]).with("strides", vec![2, 2]);
    let session = load(halves, &inputs, &[("dx", 4)]).unwrap();
    let x = f32s(&[1, 1, 2, 4], &[1.0, 5.0, 2.0, 2.0, 5.0, 0.0, 2.0, 1.0]);
    let (y, dy) = (f32s(&[1, 1, 1, 2], &[5.0, 2.0]), f32s(&[1, 1, 1, 2], &[10.0, 20.0]));
    let dx = run(session, &[dy, x, y]).unwrap().remove(0);
    assert_eq!(dx, f32s(&[1, 1, 2, 4], &[0.0, 10.0, 20.0, 0.0, 0.0, 0.0, 0.0, 0.0]));

    let padded = node("MaxPoolGrad").with("kernel_shape", vec![1, 2]).with("pads", vec![0, 1, 0, 1]);
    let session = load(padded, &inputs, &[("dx", 4)]).unwrap();
    let (y, dy) = (f32s(&[1, 1, 1, 3], &[4.0, 7.0, 7.0]), f32s(&[1, 1, 1, 3], &[1.0, 2.0, 4.0]));
    let dx = run(session, &[dy, f32s(&[1, 1, 1, 2], &[4.0, 7.0]), y]).unwrap().remove(0);
    assert_eq!(dx, f32s(&[1, 1, 1, 2], &[1.0, 6.0]));
}

#[test]
fn dropout_keeps_the_same_elements_for_the_same_seed() {
    let dropout = |salt: i64| {
        let node = node("Dropout").with("ratio", 0.25f32).with("salt", salt);
        load(node, &[("x", 2), ("seed", 1)], &[("y", 2)]).unwrap()
    };
    let x = f32s(&[100, 1000], &vec![3.0; 100_000]);
    let mask = |salt, seed: i64| {
        let y = run(dropout(salt), &[x.clone(), Tensor::new([1], vec![seed]).unwrap()]).unwrap().remove(0);
        assert!(y.values::<f32>().unwrap().iter().all(|&v| v == 0.0 || v == 4.0));
        y
    };
    assert_eq!(mask(0, 1), mask(0, 1));
    assert_ne!(mask(0, 1), mask(0, 2));
    assert_ne!(mask(0, 1), mask(1, 1));
}

#[test]
fn relu_gradient_sums_and_depthwise_weights() {
    let session = load(node("ReluGrad"), &[("dy", 1), ("y", 1)], &[("dx", 1)]).unwrap();
    let dx = run(session, &[f32s(&[3], &[1.0, 2.0, 3.0]), f32s(&[3], &[0.0, -1.0, 0.5])]).unwrap().remove(0);
    assert_eq!(dx, f32s(&[3], &[0.0, 0.0, 3.0]));

    let session = load(node("SumToChannels"), &[("x", 3)], &[("y", 1)]).unwrap();
    let x = f32s(&[2, 2, 2], &[1.0, 2.0, 10.0, 20.0, 3.0, 4.0, 30.0, 40.0]);
    assert_eq!(run(session, &[x]).unwrap(), [f32s(&[2], &[10.0, 100.0])]);

    let weights =
        node("DepthwiseConvGradWeight").with("kernel_shape", vec![1, 3]).with("pads", vec![0, 1, 0, 1]);
    let session = load(weights, &[("x", 4), ("dy", 4)], &[("dw", 4)]).unwrap();
    let (x, dy) = (f32s(&[1, 1, 1, 3], &[1.0, 2.0, 3.0]), f32s(&[1, 1, 1, 3], &[1.0, 10.0, 100.0]));
    assert_eq!(run(session, &[x, dy]).unwrap(), [f32s(&[1, 1, 1, 3], &[210.0, 321.0, 32.0])]);
}

#[test]
fn a_model_that_misuses_them_is_an_error_that_names_the_node() {
    let error =
        load(node("MaxPoolGrad"), &[("dy", 4), ("x", 4), ("y", 4)], &[("dx", 4)]).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
    assert!(error.message().contains("attribute `kernel_shape` is missing"), "{error}");

    let dropout = node("Dropout").with("ratio", 1.0f32);
    let error = load(dropout, &[("x", 1), ("seed", 1)], &[("y", 1)]).map(drop).unwrap_err();
    assert!(error.message().contains("attribute `ratio`: expected"), "{error}");

    let session = load(node("BatchNormTrain"), &NORM, &NORM_OUT).unwrap();
    let inputs = [f32s(&[1, 2, 1, 1], &[1.0, 2.0]), f32s(&[3], &[0.0; 3]), f32s(&[2], &[0.0; 2])];
    let error = run(session, &inputs).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("expected `gamma` of 2 elements, found 3"), "{error}");
    assert!(error.message().contains("'it'"), "{error}");
}

#[test]
fn without_the_option_they_are_unknown() {
    let mut node = node("ReluGrad");
    (node.domain, node.input, node.output) = (DOMAIN.into(), vec!["x".into(), "x".into()], vec!["y".into()]);
    let graph = GraphProto {
        node: vec![node],
        name: "one".into(),
        input: vec![value("x", DataType::Float, 1)],
        output: vec![value("y", DataType::Float, 1)],
        ..GraphProto::default()
    };
    let mut model = Model::new(graph, 17);
    model.import_opset(DOMAIN, 1);
    let source = ModelSource::Bytes(model.to_bytes().into());
    let error = OrtBackend::new().unwrap().load(&source, &SessionOptions::default()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
}
