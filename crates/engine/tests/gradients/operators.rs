//! The operators of plain convolutional networks.

use tintype_core::Tensor;
use tintype_graph::proto::{NodeProto, TensorProto};
use tintype_graph::{Builder, GradientOptions, Parameter};

use crate::differences::Case;
use crate::step::{Step, noise};

/// `y = op(x, more…)`
pub fn node(op: &str, more: &[&str]) -> NodeProto {
    NodeProto::new(op, &[&["x"], more].concat(), &["y"])
}

pub fn pads(node: NodeProto, pads: [i64; 4]) -> NodeProto {
    node.with("pads", pads.to_vec())
}

pub fn strides(node: NodeProto, stride: i64) -> NodeProto {
    node.with("strides", vec![stride; 2])
}

pub fn check(cases: Vec<Case>) {
    let complaints: Vec<String> = cases.iter().flat_map(Case::complaints).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn convolution() {
    let conv = || node("Conv", &["w", "b"]);
    let case = |name, image: &[usize], features, node: NodeProto, weight: &[usize]| {
        Case::new(name, image, features, vec![node]).parameter("w", weight).parameter("b", &weight[..1])
    };
    check(vec![
        case("3×3", &[2, 5, 6], 120, pads(conv(), [1; 4]), &[4, 2, 3, 3]),
        case("3×3 without padding", &[2, 5, 6], 48, conv(), &[4, 2, 3, 3]),
        case("padding on some sides", &[2, 5, 6], 96, pads(conv(), [0, 2, 1, 0]), &[4, 2, 3, 3]),
        case("stride 2, odd", &[2, 5, 7], 48, strides(pads(conv(), [1; 4]), 2), &[4, 2, 3, 3]),
        case("stride 2, even", &[2, 6, 8], 48, strides(pads(conv(), [1; 4]), 2), &[4, 2, 3, 3]),
        case(
            "same padding, stride 2",
            &[2, 6, 7],
            48,
            strides(conv(), 2).with("auto_pad", "SAME_UPPER"),
            &[4, 2, 3, 3],
        ),
        case("stride 3 past the end", &[2, 6, 8], 24, strides(conv(), 3), &[4, 2, 2, 2]),
        case("dilation", &[2, 6, 7], 168, pads(conv(), [2; 4]).with("dilations", vec![2; 2]), &[4, 2, 3, 3]),
        case("1×1", &[3, 3, 4], 48, conv(), &[4, 3, 1, 1]),
        case("1×1, stride 2", &[3, 5, 4], 24, strides(conv(), 2), &[4, 3, 1, 1]),
        case("many channels on few pixels", &[24, 3, 3], 144, pads(conv(), [1; 4]), &[16, 24, 3, 3]),
        case("groups", &[4, 4, 5], 120, pads(conv(), [1; 4]).with("group", 2), &[6, 2, 3, 3]),
        case(
            "groups, stride 2",
            &[4, 5, 4],
            36,
            strides(pads(conv(), [1; 4]), 2).with("group", 2),
            &[6, 2, 3, 3],
        ),
        case("depthwise", &[4, 4, 5], 80, pads(conv(), [1; 4]).with("group", 4), &[4, 1, 3, 3]),
        case(
            "depthwise, stride 2",
            &[4, 6, 5],
            36,
            strides(pads(conv(), [1; 4]), 2).with("group", 4),
            &[4, 1, 3, 3],
        ),
        case("depthwise, 5×5", &[3, 4, 5], 60, pads(conv(), [2; 4]).with("group", 3), &[3, 1, 5, 5]),
        case(
            "depthwise, 5×5, stride 2",
            &[3, 6, 5],
            27,
            strides(pads(conv(), [2; 4]), 2).with("group", 3),
            &[3, 1, 5, 5],
        ),
        case(
            "depthwise, two kernels a channel",
            &[3, 4, 4],
            96,
            pads(conv(), [1; 4]).with("group", 3),
            &[6, 1, 3, 3],
        ),
        Case::new("no bias", &[2, 4, 4], 32, vec![pads(node("Conv", &["w"]), [1; 4])])
            .parameter("w", &[2, 2, 3, 3]),
    ]);
}

fn batch_norm_case(name: &'static str, output: &str) -> Case {
    let norm = NodeProto::new("BatchNormalization", &["x", "gamma", "beta", "mean", "var"], &[output]);
    let mut case = Case::new(name, &[3, 3, 2], 18, vec![norm.with("epsilon", 1e-3f32)]);
    case = case.parameter("gamma", &[3]).parameter("beta", &[3]);
    case.settings.push(TensorProto::from_f32("mean", &[3], &[0.1, -0.2, 0.3]));
    case.settings.push(TensorProto::from_f32("var", &[3], &[0.5, 1.0, 2.0]));
    case
}

#[test]
fn batch_norm() {
    let mut frozen = batch_norm_case("frozen", "y");
    frozen.frozen = vec!["gamma", "beta"];
    let mut exported = batch_norm_case("frozen, exported in training mode", "y");
    exported.frozen = vec!["gamma", "beta"];
    exported.nodes[0] = exported.nodes[0].clone().with("training_mode", 1);
    exported.nodes[0].output.extend(["running mean", "running variance"].map(str::to_owned));
    let mut shift = batch_norm_case("frozen but for its bias", "y");
    shift.frozen = vec!["gamma"];
    let mut with_relu = batch_norm_case("with relu", "z");
    with_relu.nodes.push(NodeProto::new("Relu", &["z"], &["y"]));
    let mut read_twice = batch_norm_case("with relu and another reader", "z");
    read_twice.nodes.push(NodeProto::new("Relu", &["z"], &["r"]));
    read_twice.nodes.push(NodeProto::new("Add", &["z", "r"], &["y"]));
    let shape = |name, values: &[i64]| TensorProto::from_i64(name, &[values.len()], values);
    let standardised = vec![
        NodeProto::new("Reshape", &["w", "taps"], &["flat"]),
        NodeProto::new("BatchNormalization", &["flat", "gamma", "zeros", "mean", "var"], &["even"])
            .with("training_mode", 1),
        NodeProto::new("Reshape", &["even", "kernels"], &["kernel"]),
        NodeProto::new("Conv", &["x", "kernel"], &["y"]),
    ];
    let mut standardised = Case::new("of weights", &[3, 4, 4], 16, standardised)
        .parameter("w", &[4, 3, 3, 3])
        .parameter("gamma", &[4])
        .setting(shape("taps", &[1, 4, 27]))
        .setting(shape("kernels", &[4, 3, 3, 3]));
    for (name, value) in [("zeros", 0.0), ("mean", 0.3), ("var", 2.0)] {
        standardised = standardised.setting(TensorProto::from_f32(name, &[4], &[value; 4]));
        standardised.frozen.push(name);
    }
    standardised.nodes[1].output.extend(["running mean", "running variance"].map(str::to_owned));
    check(vec![
        standardised,
        batch_norm_case("trained", "y"),
        frozen,
        exported,
        shift,
        with_relu,
        read_twice,
    ]);
}

#[test]
fn activation() {
    let dropout = Case {
        settings: vec![TensorProto::from_f32("ratio", &[], &[0.4])],
        plain: false,
        ..Case::new("dropout", &[3, 4, 4], 48, vec![node("Dropout", &["ratio"])])
    };
    let none = Case {
        settings: vec![TensorProto::from_f32("ratio", &[], &[0.0])],
        ..Case::new("dropout of nothing", &[2, 3, 3], 18, vec![node("Dropout", &["ratio"])])
    };
    check(vec![Case::new("relu", &[2, 4, 5], 40, vec![node("Relu", &[])]), dropout, none]);
}

#[test]
fn a_plain_dropout_and_its_gradient_drop_the_same() {
    const WIDE: usize = 400;
    let mut builder = Builder::new(0);
    let image = builder.input("x", &[1, 20, 20]);
    let flat = builder.flatten("flat", &image);
    let scaled = builder.linear("fc", &flat, WIDE, WIDE);
    let dropped = builder.dropout("drop", &scaled, 0.25);
    let model = builder.finish(&dropped, "logits", &[WIDE]);
    let options = GradientOptions { batch: 2, fused: false, trainable: &|name| name == "fc.bias" };
    let image = Tensor::new([2, 1, 20, 20], noise(1, 2 * WIDE)).unwrap();
    let targets = Tensor::new([2, WIDE], vec![1.0 / WIDE as f32; 2 * WIDE]).unwrap();
    let mut step = Step::new(&model, &options, image, targets);
    assert!(!step.graph.has_seed);
    let parameters = vec![Parameter { values: vec![0.3; WIDE], ..step.graph.parameters[0].clone() }];
    let mut dropped = Vec::new();
    for _ in 0..2 {
        let outputs = step.run(&parameters);
        let mut expected = vec![0.0; WIDE];
        for row in outputs.logits.chunks(WIDE) {
            let total: f32 = row.iter().map(|v| v.exp()).sum();
            for (sum, &v) in expected.iter_mut().zip(row) {
                let gradient = (v.exp() / total - 1.0 / WIDE as f32) / 2.0;
                *sum += if v == 0.0 { 0.0 } else { gradient / 0.75 };
            }
        }
        tintype_testkit::assert_close(&outputs.gradients[0], &expected, 1e-7);
        dropped.push(outputs.logits.iter().map(|&v| v == 0.0).collect::<Vec<_>>());
        let share = dropped.last().unwrap().iter().filter(|&&d| d).count() as f64 / (2 * WIDE) as f64;
        // A quarter of 800, give or take five standard deviations.
        assert!((share - 0.25).abs() < 0.077, "{share}");
    }
    assert_ne!(dropped[0], dropped[1], "every run draws anew");
}

#[test]
fn pooling() {
    let max = |kernel: i64| node("MaxPool", &[]).with("kernel_shape", vec![kernel; 2]);
    let average = |kernel: i64| node("AveragePool", &[]).with("kernel_shape", vec![kernel; 2]);
    let mean = |keep: i64, axes: Vec<i64>| node("ReduceMean", &[]).with("axes", axes).with("keepdims", keep);
    let case = |name, image: &[usize], features, node| Case::new(name, image, features, vec![node]);
    check(vec![
        case("max 2", &[2, 4, 6], 12, strides(max(2), 2)),
        case("max 2 past the end", &[2, 5, 5], 8, strides(max(2), 2)),
        case("max 3, overlapping", &[2, 5, 6], 18, pads(strides(max(3), 2), [1; 4])),
        case("max 2, part of a window", &[2, 5, 5], 18, strides(max(2), 2).with("ceil_mode", 1)),
        case("average 2", &[2, 4, 6], 12, strides(average(2), 2)),
        case("average 3, overlapping", &[2, 5, 5], 18, average(3)),
        case("average with padding", &[2, 5, 5], 50, pads(average(3), [1; 4]).with("count_include_pad", 1)),
        case("global average", &[3, 4, 5], 3, node("GlobalAveragePool", &[])),
        case("mean of pixels", &[3, 4, 5], 3, mean(0, vec![2, 3])),
        case("mean of a middle axis", &[4, 4, 5], 20, mean(0, vec![2])),
        case("mean that stays", &[3, 4, 5], 15, mean(1, vec![-2])),
    ]);
}

#[test]
fn products() {
    let gemm = || node("Gemm", &["w", "b"]);
    let gemm_case = |name, node: NodeProto, weight: &[usize], bias: &[usize]| {
        Case::new(name, &[5], 4, vec![node]).parameter("w", weight).parameter("b", bias)
    };
    // Aᵀ has the batch as its rows again after the product with a matrix that a parameter makes.
    let transposed = vec![
        NodeProto::new("Transpose", &["x"], &["xt"]),
        NodeProto::new("Gemm", &["xt", "w"], &["y"]).with("transA", 1),
    ];
    let transposed_both = vec![
        NodeProto::new("Transpose", &["x"], &["xt"]),
        NodeProto::new("Gemm", &["xt", "w"], &["y"]).with("transA", 1).with("transB", 1),
    ];
    let matmul = |name, image: &[usize], features, weight: &[usize]| {
        Case::new(name, image, features, vec![node("MatMul", &["w"])]).parameter("w", weight)
    };
    let attention = vec![
        NodeProto::new("Transpose", &["x"], &["xt"]).with("perm", vec![0, 2, 1]),
        NodeProto::new("MatMul", &["x", "xt"], &["y"]),
    ];
    check(vec![
        gemm_case("gemm", gemm(), &[5, 4], &[4]),
        gemm_case("gemm, transposed", gemm().with("transB", 1), &[4, 5], &[4]),
        gemm_case("gemm with factors", gemm().with("alpha", 0.5f32).with("beta", 2.0f32), &[5, 4], &[1, 4]),
        Case::new("gemm, first transposed", &[5], 4, transposed).parameter("w", &[5, 4]),
        Case::new("gemm, both transposed", &[5], 4, transposed_both).parameter("w", &[4, 5]),
        matmul("matmul", &[5], 4, &[5, 4]),
        matmul("matmul of a sequence", &[3, 5], 12, &[5, 4]),
        matmul("matmul, broadcast", &[3, 2, 5], 24, &[3, 5, 4]),
        Case::new("matmul with itself", &[3, 5], 9, attention),
    ]);
}

#[test]
fn arithmetic() {
    let case = |name, op: &str, parameter: &[usize]| {
        Case::new(name, &[3, 2, 4], 24, vec![node(op, &["w"])]).parameter("w", parameter)
    };
    check(vec![
        case("add", "Add", &[1, 3, 2, 4]),
        case("add to channels", "Add", &[3, 1, 1]),
        case("add to columns", "Add", &[4]),
        case("sub", "Sub", &[4]),
        case("mul", "Mul", &[3, 1, 1]),
        case("div", "Div", &[4]),
        Case::new("the parameter first", &[3, 2, 4], 24, vec![NodeProto::new("Sub", &["w", "x"], &["y"])])
            .parameter("w", &[2, 1]),
        Case::new("a value twice", &[6], 6, vec![node("Mul", &["x"])]),
    ]);
}

#[test]
fn layout() {
    let sizes = |name, values: &[i64]| TensorProto::from_i64(name, &[values.len()], values);
    let reshaped = Case {
        settings: vec![sizes("shape", &[0, -1, 2]), sizes("axis", &[1]), sizes("axes", &[1, 4])],
        ..Case::new(
            "there and back",
            &[3, 4, 2],
            24,
            vec![
                NodeProto::new("Transpose", &["x"], &["a"]).with("perm", vec![0, 3, 1, 2]),
                NodeProto::new("Reshape", &["a", "shape"], &["b"]),
                NodeProto::new("Unsqueeze", &["b", "axes"], &["c"]),
                NodeProto::new("Squeeze", &["c", "axis"], &["d"]),
                NodeProto::new("Flatten", &["d"], &["e"]).with("axis", 1),
                NodeProto::new("Identity", &["e"], &["y"]),
            ],
        )
    };
    check(vec![reshaped]);
}
