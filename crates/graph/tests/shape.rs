//! Shapes, against those that a model declares and those that follow by hand.

use tintype_core::ErrorKind;
use tintype_graph::arch::{ArchSpec, find};
use tintype_graph::proto::{DataType, Dimension, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use tintype_graph::{Model, Shapes};

/// The shape of `y`, made by `nodes` of `x` `f32[N, axes…]` and of constants.
fn shape_of(
    axes: &[usize],
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
) -> Result<Option<Vec<usize>>, tintype_core::Error> {
    let axes = std::iter::once(Dimension::named("N")).chain(axes.iter().map(|&d| Dimension::of(d))).collect();
    let graph = GraphProto {
        node: nodes,
        initializer: constants,
        input: vec![ValueInfoProto::tensor("x", DataType::Float, axes)],
        output: vec![ValueInfoProto::tensor("y", DataType::Float, vec![])],
        ..GraphProto::default()
    };
    Ok(Shapes::infer(&Model::new(graph, 13), 2)?.get("y").map(<[usize]>::to_vec))
}

fn of_x(op: &str, more: &[&str]) -> NodeProto {
    NodeProto::new(op, &[&["x"], more].concat(), &["y"])
}

fn zeros(name: &str, shape: &[usize]) -> TensorProto {
    TensorProto::from_f32(name, shape, &vec![0.0; shape.iter().product()])
}

fn sizes(name: &str, values: &[i64]) -> TensorProto {
    TensorProto::from_i64(name, &[values.len()], values)
}

#[test]
fn shapes_follow_by_operator() {
    for (axes, node, constant, expected) in [
        (
            &[3, 8, 9][..],
            of_x("Conv", &["c"]).with("pads", vec![1; 4]),
            zeros("c", &[6, 3, 3, 3]),
            &[2, 6, 8, 9][..],
        ),
        (&[4, 8, 9], of_x("Conv", &["c"]).with("group", 4), zeros("c", &[8, 1, 3, 3]), &[2, 8, 6, 7]),
        (&[5], of_x("Gemm", &["c"]).with("transB", 1), zeros("c", &[7, 5]), &[2, 7]),
        (&[3, 5], of_x("MatMul", &["c"]), zeros("c", &[5, 4]), &[2, 3, 4]),
        (&[3, 5], of_x("Add", &["c"]), zeros("c", &[3, 1]), &[2, 3, 5]),
        (&[3, 4, 5], of_x("Flatten", &[]), zeros("c", &[1]), &[2, 60]),
        (&[3, 4, 5], of_x("Flatten", &[]).with("axis", -1), zeros("c", &[1]), &[24, 5]),
        (&[3, 4, 5], of_x("Reshape", &["c"]), sizes("c", &[0, -1, 10]), &[2, 6, 10]),
        (&[1, 4], of_x("Squeeze", &["c"]), sizes("c", &[1]), &[2, 4]),
        (&[4], of_x("Unsqueeze", &["c"]), sizes("c", &[-1, 0]), &[1, 2, 4, 1]),
        (&[3, 4], of_x("Transpose", &[]).with("perm", vec![1, 2, 0]), zeros("c", &[1]), &[3, 4, 2]),
        (&[3, 4, 4], of_x("GlobalAveragePool", &[]), zeros("c", &[1]), &[2, 3, 1, 1]),
        (
            &[3, 4, 4],
            of_x("ReduceMean", &[]).with("axes", vec![2, 3]).with("keepdims", 0),
            zeros("c", &[1]),
            &[2, 3],
        ),
        (&[3, 4], of_x("Concat", &["c"]).with("axis", -1), zeros("c", &[2, 3, 5]), &[2, 3, 9]),
        (
            &[3, 7, 7],
            of_x("MaxPool", &[]).with("kernel_shape", vec![3; 2]).with("strides", vec![2; 2]),
            zeros("c", &[1]),
            &[2, 3, 3, 3],
        ),
    ] {
        let found = shape_of(axes, vec![node.clone()], vec![constant]).unwrap();
        assert_eq!(found.as_deref(), Some(expected), "{} of {axes:?}", node.op_type);
    }
}

/// `x.view(x.size(0), -1)` as PyTorch exports it.
#[test]
fn arithmetic_on_sizes_is_followed() {
    let nodes = vec![
        NodeProto::new("Shape", &["x"], &["sizes"]),
        NodeProto::new("Gather", &["sizes", "zero"], &["batch"]),
        NodeProto::new("Unsqueeze", &["batch", "axis"], &["list"]),
        NodeProto::new("Concat", &["list", "rest"], &["shape"]).with("axis", 0),
        NodeProto::new("Reshape", &["x", "shape"], &["y"]),
    ];
    let constants = vec![TensorProto::from_i64("zero", &[], &[0]), sizes("axis", &[0]), sizes("rest", &[-1])];
    assert_eq!(shape_of(&[3, 4], nodes, constants).unwrap(), Some(vec![2, 12]));
}

#[test]
fn contradictions_are_errors_and_unknown_operators_are_not() {
    let wrong = of_x("Gemm", &["c"]);
    let error = shape_of(&[5], vec![wrong], vec![zeros("c", &[4, 3])]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
    assert_eq!(error.message(), "node `Gemm:y` (`Gemm`) cannot work on inputs of the shapes [2, 5], [4, 3]");
    let impossible = of_x("Reshape", &["c"]);
    assert!(shape_of(&[5], vec![impossible], vec![sizes("c", &[3, -1])]).is_err());
    let huge = of_x("Reshape", &["c"]);
    assert!(shape_of(&[5], vec![huge], vec![sizes("c", &[i64::MAX, i64::MAX, -1])]).is_err());
    assert_eq!(shape_of(&[5], vec![of_x("Foo", &[])], vec![]).unwrap(), None);
}

#[test]
fn the_small_network_ends_as_it_declares() {
    let spec = ArchSpec { image: 64, widths: Some([4, 6, 8, 10]), hidden: Some(9), ..ArchSpec::new(7) };
    let shapes = Shapes::infer(&find("small_cnn").unwrap().build(&spec).unwrap(), 3).unwrap();
    assert_eq!(shapes.get("pool4"), Some(&[3, 10, 4, 4][..]));
    assert_eq!(shapes.get("logits"), Some(&[3, 7][..]));
}

/// The borders of `F.pad` as PyTorch's older exporter writes them: pairs from the last axis on, turned round.
#[test]
fn borders_of_an_exported_pad_are_followed() {
    let nodes = vec![
        NodeProto::new("Reshape", &["pairs", "two"], &["a"]),
        NodeProto::new("Slice", &["a", "last", "before", "first", "last"], &["b"]),
        NodeProto::new("Transpose", &["b"], &["c"]).with("perm", vec![1, 0]),
        NodeProto::new("Reshape", &["c", "last"], &["pads"]),
        NodeProto::new("Pad", &["x", "pads"], &["y"]),
    ];
    let constants = vec![
        sizes("pairs", &[1, 2, 3, 4, 0, 0]),
        sizes("two", &[-1, 2]),
        sizes("last", &[-1]),
        sizes("first", &[0]),
        sizes("before", &[-i64::MAX]),
    ];
    assert_eq!(shape_of(&[5, 6], nodes, constants).unwrap(), Some(vec![2, 12, 9]));
}
