//! Cutting and replacing heads, on graphs of each shape and on real models where they are at hand.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "in a test a panic is the report"
)]

use std::path::{Path, PathBuf};

use tintype_core::ErrorKind;
use tintype_graph::Model;
use tintype_graph::head::{self, Source};
use tintype_graph::proto::{GraphProto, NodeProto, TensorProto};
use tintype_testkit::onnx;

/// A model of `nodes` between an input `image` `[N, 3, 8, 8]` and an output `scores` `[N, 4]`.
fn model(nodes: Vec<NodeProto>, initializers: Vec<TensorProto>) -> Model {
    let like = Model::from_bytes(&onnx::scores(&[3, 8, 8], &[0.0; 4 * 192], &[0.0; 4])).unwrap();
    let (mut input, mut output) = (like.graph().input[0].clone(), like.graph().output[0].clone());
    "image".clone_into(&mut input.name);
    "scores".clone_into(&mut output.name);
    let graph = GraphProto {
        node: nodes,
        initializer: initializers,
        input: vec![input],
        output: vec![output],
        ..GraphProto::default()
    };
    let mut model = Model::new(graph, 17);
    model.set_metadata("origin", "test");
    model
}

fn weight(name: &str, shape: &[usize]) -> TensorProto {
    TensorProto::from_f32(name, shape, &vec![0.5; shape.iter().product()])
}

fn ops(model: &Model) -> Vec<&str> {
    model.graph().node.iter().map(|n| n.op_type.as_str()).collect()
}

#[test]
fn each_kind_of_head_is_found_and_replaced() {
    let conv = || NodeProto::new("Conv", &["pooled", "w", "b"], &["maps"]);
    let pool = || NodeProto::new("GlobalAveragePool", &["image"], &["pooled"]);
    let conv_parameters = || vec![weight("w", &[4, 3, 1, 1]), weight("b", &[4])];
    let cases = [
        (
            "gemm then softmax",
            vec![
                NodeProto::new("Flatten", &["image"], &["flat"]),
                NodeProto::new("Gemm", &["flat", "w", "b"], &["raw"]),
                NodeProto::new("Softmax", &["raw"], &["scores"]),
            ],
            vec![weight("w", &[192, 4]), weight("b", &[4])],
            (Source::Rows, 192),
            vec!["Flatten", "Identity", "Gemm"],
        ),
        (
            "matmul and add",
            vec![
                NodeProto::new("Flatten", &["image"], &["features"]),
                NodeProto::new("MatMul", &["features", "w"], &["product"]),
                NodeProto::new("Add", &["b", "product"], &["scores"]),
            ],
            vec![weight("w", &[192, 4]), weight("b", &[4])],
            (Source::Rows, 192),
            vec!["Flatten", "Gemm"],
        ),
        (
            "convolution of averages",
            vec![pool(), conv(), NodeProto::new("Flatten", &["maps"], &["scores"])],
            conv_parameters(),
            (Source::Pixel, 3),
            vec!["GlobalAveragePool", "Flatten", "Gemm"],
        ),
        (
            "average of a convolution",
            vec![
                NodeProto::new("Relu", &["image"], &["pooled"]),
                conv(),
                NodeProto::new("Dropout", &["maps"], &["dropped"]),
                NodeProto::new("GlobalAveragePool", &["dropped"], &["averages"]),
                NodeProto::new("Flatten", &["averages"], &["scores"]),
            ],
            conv_parameters(),
            (Source::Map, 3),
            vec!["Relu", "GlobalAveragePool", "Flatten", "Gemm"],
        ),
    ];
    for (name, nodes, initializers, expected, replaced_ops) in cases {
        let model = model(nodes, initializers);
        let head = head::find(&model, "scores").unwrap();
        assert_eq!((head.source, head.features, head.classes), (expected.0, expected.1, 4), "{name}");
        let features = head::cut(&model, "scores").unwrap();
        assert_eq!(
            features.outputs().unwrap()[0].to_string(),
            format!("features: f32[?,{}]", head.features),
            "{name}"
        );
        assert_eq!(features.graph().initializer.len(), 0, "{name}: dead initializers are pruned");
        let replaced = head::replace(&model, "scores", &vec![0.1; 2 * head.features], &[1.0, 2.0]).unwrap();
        assert_eq!(ops(&replaced), replaced_ops, "{name}");
        assert_eq!(replaced.outputs().unwrap()[0].to_string(), "logits: f32[?,2]", "{name}");
        assert_eq!(replaced.inputs().unwrap()[0].to_string(), "image: f32[?,3,8,8]", "{name}");
        assert_eq!(replaced.metadata("origin"), Some("test"), "{name}");
        assert_eq!(replaced.f32s("head.bias").unwrap(), [1.0, 2.0], "{name}");
        let again = head::replace(&replaced, "logits", &vec![0.1; 5 * head.features], &[0.0; 5]).unwrap();
        assert_eq!(ops(&again), replaced_ops, "{name}: a second replacement adds nothing");
    }
}

#[test]
fn what_is_in_the_way_is_named() {
    let through_relu = model(
        vec![
            NodeProto::new("Conv", &["image", "w"], &["maps"]),
            NodeProto::new("Relu", &["maps"], &["positive"]),
            NodeProto::new("GlobalAveragePool", &["positive"], &["averages"]),
            NodeProto::new("Flatten", &["averages"], &["scores"]),
        ],
        vec![weight("w", &[4, 3, 1, 1])],
    );
    let error = head::find(&through_relu, "scores").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().starts_with("node `Relu:positive` (`Relu`) stands between"), "{error}");

    let wide = model(
        vec![
            NodeProto::new("Conv", &["image", "w"], &["maps"]),
            NodeProto::new("Flatten", &["maps"], &["scores"]),
        ],
        vec![weight("w", &[4, 3, 3, 3])],
    );
    let error = head::find(&wide, "scores").unwrap_err();
    assert!(
        error.message().starts_with("node `Conv:maps` (`Conv`) makes the scores `scores`, expected"),
        "{error}"
    );
    assert_eq!(head::find(&wide, "other").unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_cycle_is_an_error() {
    let cyclic = model(
        vec![NodeProto::new("Identity", &["b"], &["a"]), NodeProto::new("Identity", &["a"], &["b"])],
        Vec::new(),
    );
    assert_eq!(head::find(&cyclic, "scores").unwrap_err().kind(), ErrorKind::InvalidModel);
}

/// A model of the shared data, or `None` with the reason printed.
fn shared(name: &str) -> Option<Model> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("TINTYPE_SHARED").map_or(beside, PathBuf::from);
    let path = root.join("data/models").join(name);
    match Model::read(&path) {
        Ok(model) => Some(model),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            println!("skipped: {e}");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn real_models_have_heads() {
    for (name, features, source) in [
        ("derived_onnx/mobilenet_v2_1.0_224_fp32.onnx", 1280, Source::Pixel),
        ("derived_onnx/mobilenet_v2_1.0_224_qdq_uint8.onnx", 1280, Source::Pixel),
        ("random/mobilenet_v3_small.onnx", 1024, Source::Rows),
        ("derived_onnx/resnet20_cifar10_fp32.onnx", 64, Source::Rows),
    ] {
        let Some(model) = shared(name) else { continue };
        let output = model.graph().output[0].name.clone();
        let head = head::find(&model, &output).unwrap();
        assert_eq!((head.features, head.source), (features, source), "{name}");
        let replaced = head::replace(&model, &output, &vec![0.0; 3 * features], &[0.0; 3]).unwrap();
        assert_eq!(Model::from_bytes(&replaced.to_bytes()).unwrap(), replaced, "{name}");
        assert_eq!(replaced.inputs().unwrap(), model.inputs().unwrap(), "{name}");
    }
}
