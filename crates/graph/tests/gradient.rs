//! What a training graph looks like, and what is refused. That its numbers are right is tested in `tintype-engine`,
//! which can run it.

use tintype_core::{Error, ErrorKind};
use tintype_graph::arch::{ArchSpec, find};
use tintype_graph::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use tintype_graph::{GradientOptions, Model, TrainingGraph, differentiate};
use tintype_testkit::onnx;

/// A `small_cnn` of a few channels, so that its graph is quick to build and to run.
fn small_cnn(dropout: f32) -> Model {
    let sizes = ArchSpec { image: 16, dropout: Some(dropout), ..ArchSpec::new(5) };
    let spec = ArchSpec { widths: Some([2, 3, 4, 5]), hidden: Some(6), ..sizes };
    find("small_cnn").and_then(|arch| arch.build(&spec)).expect("the network is built")
}

fn train(model: &Model, fused: bool) -> Result<TrainingGraph, Error> {
    differentiate(model, &GradientOptions { batch: 4, fused, trainable: &|_| true })
}

/// `input` `f32[N, 3, 4, 4]` → `nodes` from `input` to `maps` → a linear layer on all of `maps` → `logits` `[N, 2]`.
fn model(nodes: Vec<NodeProto>, initializers: Vec<TensorProto>) -> Model {
    let mut model =
        Model::from_bytes(&onnx::scores(&[3, 4, 4], &[0.1; 96], &[0.0; 2])).expect("it is a model");
    let graph: &mut GraphProto = model.graph_mut();
    graph.node[0].input[0] = "maps".to_owned();
    graph.node.splice(0..0, nodes);
    graph.initializer.extend(initializers);
    model
}

fn shift(name: &str) -> TensorProto {
    TensorProto::from_f32(name, &[3, 1, 1], &[0.1, 0.2, 0.3])
}

fn listed(values: &[tintype_core::TensorSpec]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

#[test]
fn inputs_and_outputs_are_in_the_promised_order() {
    let trained = train(&small_cnn(0.5), true).unwrap();
    let inputs = listed(&trained.model.inputs().unwrap());
    let outputs = listed(&trained.model.outputs().unwrap());
    assert_eq!(
        inputs[..5],
        [
            "input: f32[4,3,16,16]",
            "targets: f32[4,5]",
            "seed: i64[1]",
            "conv1.weight: f32[2,3,3,3]",
            "bn1.weight: f32[2]"
        ]
    );
    assert_eq!(inputs.len(), 3 + trained.parameters.len());
    assert_eq!(trained.parameters.len(), 4 * 3 + 4);
    assert_eq!(outputs[..3], ["loss: f32[]", "logits: f32[4,5]", "gradient/conv1.weight: f32[2,3,3,3]"]);
    assert_eq!(outputs.len(), 2 + trained.parameters.len() + 2 * 4);
    assert!(outputs[18].ends_with(": f32[2]") && outputs[25].ends_with(": f32[5]"), "{outputs:?}");
    let norm = &trained.batch_norms[1];
    assert_eq!((norm.mean.as_str(), norm.variance.as_str()), ("bn2.running_mean", "bn2.running_var"));
    assert_eq!((norm.momentum, norm.epsilon, norm.count), (0.9, 1e-5, 4 * 8 * 8));
}

#[test]
fn what_the_graph_needs_and_nothing_else_is_in_it() {
    let trained = train(&small_cnn(0.5), true).unwrap();
    let graph = trained.model.graph();
    let float = |t: &&TensorProto| t.dims.iter().product::<i64>() > 1 && t.data_type == 1;
    assert_eq!(
        graph.initializer.iter().filter(float).count(),
        0,
        "weights and statistics are not stored twice"
    );
    let ops: Vec<&str> = graph.node.iter().map(|n| n.op_type.as_str()).collect();
    assert!(!ops.contains(&"BatchNormalization"));
    assert_eq!(ops.iter().filter(|op| **op == "Relu").count(), 1, "four of five are part of a batch norm");
    assert!(trained.has_seed);
}

#[test]
fn without_dropout_there_is_no_seed() {
    let trained = train(&small_cnn(0.0), true).unwrap();
    assert!(!trained.has_seed);
    assert!(trained.model.inputs().unwrap().iter().all(|i| i.name != "seed"));
}

#[test]
fn an_operator_without_a_gradient_is_named_where_it_matters() {
    let mut foo = NodeProto::new("Foo", &["moved"], &["maps"]);
    "/layer/Foo_3".clone_into(&mut foo.name);
    let add = NodeProto::new("Add", &["input", "shift"], &["moved"]);
    // What comes after it has no known shape, which is not to be the error.
    let error = train(&model(vec![add, foo], vec![shift("shift")]), true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.message(), "node `/layer/Foo_3` (`Foo`) has no gradient");

    // Before the first parameter it does not matter.
    let frozen = NodeProto::new("Hardmax", &["input"], &["moved"]);
    let add = NodeProto::new("Add", &["moved", "shift"], &["maps"]);
    let names: Vec<String> = train(&model(vec![frozen, add], vec![shift("shift")]), true)
        .unwrap()
        .parameters
        .into_iter()
        .map(|p| p.name)
        .collect();
    assert_eq!(names, ["weight", "bias", "shift"]);
}

#[test]
fn a_resize_is_differentiated_only_where_its_places_are_known() {
    // 1.2 times 4 pixels are 4, and a part that `half_pixel_symmetric` divides between both ends.
    let resized = |place: &str, factor: f32| {
        let resize = NodeProto::new("Resize", &["moved", "", "factors"], &["maps"])
            .with("mode", "linear")
            .with("coordinate_transformation_mode", place);
        let add = NodeProto::new("Add", &["input", "shift"], &["moved"]);
        let factors = TensorProto::from_f32("factors", &[4], &[1.0, 1.0, factor, factor]);
        train(&model(vec![add, resize], vec![shift("shift"), factors]), true)
    };
    let error = resized("half_pixel_symmetric", 1.2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().ends_with("has no gradient in its mode of interpolation"), "{error}");
    let products = |trained: TrainingGraph| {
        trained.model.graph().node.iter().filter(|n| n.op_type == "MatMul" || n.op_type == "Gemm").count()
    };
    let plain = products(resized("half_pixel_symmetric", 1.0).unwrap());
    let moved = products(resized("half_pixel", 1.2).unwrap());
    assert!(moved > plain, "the same size, other pixels: {moved} products, {plain} without");
}

#[test]
fn settings_are_not_parameters() {
    let factor = TensorProto::from_f32("factor", &[1], &[2.0]);
    let mul = NodeProto::new("Mul", &["input", "factor"], &["maps"]);
    let trained = train(&model(vec![mul], vec![factor]), true).unwrap();
    let names: Vec<&str> = trained.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["weight", "bias"]);
    assert!(trained.model.initializer("factor").is_some());
}

/// A group norm as exporters write it, and an attention's mask.
#[test]
fn what_a_file_brings_along_is_not_trained() {
    let ones = |name| TensorProto::from_f32(name, &[2], &[1.0; 2]);
    let sizes = |name, values: &[i64]| TensorProto::from_i64(name, &[values.len()], values);
    let nodes = vec![
        NodeProto::new("Mul", &["input", "shift"], &["scaled"]),
        NodeProto::new("Reshape", &["scaled", "groups"], &["rows"]),
        NodeProto::new("InstanceNormalization", &["rows", "one", "zero"], &["even"]),
        NodeProto::new("Reshape", &["even", "picture"], &["back"]),
        NodeProto::new("Add", &["back", "mask"], &["maps"]),
    ];
    let mask = TensorProto::from_f32("mask", &[1, 4], &[0.0, -100.0, 0.0, f32::NEG_INFINITY]);
    let stored = vec![
        shift("shift"),
        ones("one"),
        ones("zero"),
        mask,
        sizes("groups", &[0, 2, -1]),
        sizes("picture", &[0, 3, 4, 4]),
    ];
    let trained = train(&model(nodes, stored), true).unwrap();
    let names: Vec<&str> = trained.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["weight", "bias", "shift"]);
}

#[test]
fn a_softmax_at_the_end_is_left_out_and_names_make_way() {
    let mut model = model(vec![NodeProto::new("Identity", &["input"], &["maps"])], Vec::new());
    let graph = model.graph_mut();
    graph.node.last_mut().unwrap().output[0] = "loss".to_owned();
    graph.node.push(NodeProto::new("Softmax", &["loss"], &["targets"]));
    graph.output[0].name = "targets".to_owned();
    let trained = train(&model, true).unwrap();
    assert_eq!(listed(&trained.model.outputs().unwrap())[..2], ["loss: f32[]", "logits: f32[4,2]"]);
    let gemm = trained.model.graph().node.iter().find(|n| n.op_type == "Gemm").unwrap();
    assert_eq!(gemm.output, ["logits"]);
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let identity = || vec![NodeProto::new("Identity", &["input"], &["maps"])];
    let plain = model(identity(), Vec::new());
    let nothing = GradientOptions { batch: 4, fused: true, trainable: &|_| false };
    assert_eq!(
        differentiate(&plain, &nothing).unwrap_err().message(),
        "the model has no trainable parameter"
    );

    let mut two = plain.clone();
    let second = ValueInfoProto { name: "maps".to_owned(), ..two.graph().output[0].clone() };
    two.graph_mut().output.push(second);
    assert!(train(&two, true).unwrap_err().message().ends_with("found 1 and 2"));

    let old = Model::new(plain.graph().clone(), 6);
    assert_eq!(
        train(&old, true).unwrap_err().message(),
        "changing a graph needs operator set 7 or later, found 6"
    );
}

#[test]
fn trained_values_go_back_into_the_model() {
    let model = small_cnn(0.5);
    let trained = train(&model, true).unwrap();
    let values: Vec<Vec<f32>> = trained.parameters.iter().map(|p| vec![0.25; p.values.len()]).collect();
    let pairs: Vec<(&str, &[f32])> =
        trained.parameters.iter().zip(&values).map(|(p, v)| (p.name.as_str(), v.as_slice())).collect();
    let updated = model.with_parameters(&pairs).unwrap();
    assert_eq!(updated.f32s("conv4.weight").unwrap(), vec![0.25; 5 * 4 * 9]);
    assert_eq!(updated.outputs().unwrap(), model.outputs().unwrap());
}

#[test]
fn the_page_on_gradients_shows_what_is_there() {
    let page = include_str!("../../../docs/adding-a-gradient.md");
    let source = include_str!("../src/gradient/activation/smooth.rs");
    let example = page.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(example.starts_with("/// `y = x / (1 + |x|)`") && source.contains(example), "{example}");
}
