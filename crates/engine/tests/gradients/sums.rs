//! Normalisations, reductions, convolutions and other sums.

use tintype_graph::proto::{NodeProto, TensorProto};

use crate::differences::Case;
use crate::operators::{check, node, pads, strides};

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto::from_i64(name, &[values.len()], values)
}

#[test]
fn normalisations() {
    let layer =
        |axis: i64| node("LayerNormalization", &["g", "b"]).with("axis", axis).with("epsilon", 1e-3f32);
    let case = |name, node, shape: &[usize]| {
        Case::new(name, &[4, 3, 2], 24, vec![node]).parameter("g", shape).parameter("b", shape)
    };
    let group = |name, opset, groups: i64, parameters: &[usize]| {
        let node = node("GroupNormalization", &["g", "b"]).with("num_groups", groups);
        Case { opset, ..case(name, node, parameters) }
    };
    check(vec![
        case("layer", layer(-1), &[2]),
        case("layer of two axes", layer(2), &[3, 2]),
        Case::new("layer without a shift", &[4, 5], 20, vec![node("LayerNormalization", &["g"])])
            .parameter("g", &[5]),
        case("instance", node("InstanceNormalization", &["g", "b"]), &[4]),
        group("group of 21", 21, 2, &[4]),
    ]);
}

#[test]
fn reductions() {
    let case = |name, op: &str, axes: Option<Vec<i64>>, keep: i64, features| {
        let node = node(op, &[]).with("keepdims", keep);
        let node = match axes {
            Some(axes) => node.with("axes", axes),
            None => node,
        };
        Case::new(name, &[3, 4, 5], features, vec![node])
    };
    let by_input = |name, op: &str, opset, axes: &[i64], features| {
        let node = node(op, &["axes"]).with("keepdims", 0);
        let mut case = Case { opset, ..Case::new(name, &[3, 4, 5], features, vec![node]) };
        case.settings = vec![integers("axes", axes)];
        case
    };
    check(vec![
        by_input("sum", "ReduceSum", 17, &[2, 3], 3),
        by_input("mean, axes as an input", "ReduceMean", 18, &[-1], 12),
        by_input("max, axes as an input", "ReduceMax", 18, &[2], 15),
        case("max", "ReduceMax", Some(vec![2, 3]), 1, 3),
        case("min", "ReduceMin", Some(vec![-1]), 0, 12),
        case("l1", "ReduceL1", Some(vec![3]), 0, 12),
        case("l2", "ReduceL2", Some(vec![1]), 1, 20),
        case("sum of squares", "ReduceSumSquare", Some(vec![2]), 1, 15),
        case("logarithm of a sum", "ReduceLogSumExp", Some(vec![3]), 0, 12),
        Case::new("global max", &[3, 4, 5], 3, vec![node("GlobalMaxPool", &[])]),
    ]);
}

#[test]
fn convolution_of_other_kinds() {
    let transposed = |name, image: &[usize], features, node: NodeProto, weight: &[usize], bias| {
        Case::new(name, image, features, vec![node]).parameter("w", weight).parameter("b", &[bias])
    };
    let node_of = |op: &str| node(op, &["w", "b"]);
    let up = || node_of("ConvTranspose");
    check(vec![
        transposed("transposed", &[3, 4, 5], 140, strides(up(), 1), &[3, 4, 2, 3], 4).of_features(4 * 5 * 7),
        transposed("transposed, stride 2", &[3, 4, 5], 0, strides(pads(up(), [1; 4]), 2), &[3, 2, 3, 3], 2)
            .of_features(2 * 7 * 9),
        transposed(
            "transposed, stride 2 with more rows",
            &[3, 4, 5],
            0,
            strides(pads(up(), [1; 4]), 2).with("output_padding", vec![1; 2]),
            &[3, 2, 3, 3],
            2,
        )
        .of_features(2 * 8 * 10),
        transposed("transposed, groups", &[4, 3, 3], 0, up().with("group", 2), &[4, 3, 2, 2], 6)
            .of_features(6 * 4 * 4),
        transposed("a row of pixels", &[3, 8], 0, node_of("Conv").with("pads", vec![1; 2]), &[4, 3, 3], 4)
            .of_features(4 * 8),
        transposed("a row, stride 2", &[3, 8], 0, node_of("Conv").with("strides", vec![2]), &[4, 3, 2], 4)
            .of_features(4 * 4),
        transposed(
            "dilated and strided",
            &[2, 8, 9],
            0,
            strides(pads(node_of("Conv"), [2; 4]), 2).with("dilations", vec![2; 2]),
            &[3, 2, 3, 3],
            3,
        )
        .of_features(3 * 4 * 5),
        transposed(
            "dilated groups",
            &[4, 6, 6],
            0,
            pads(node_of("Conv"), [2; 4]).with("dilations", vec![2; 2]).with("group", 4),
            &[4, 1, 3, 3],
            4,
        )
        .of_features(4 * 6 * 6),
    ]);
}

#[test]
fn pools_with_borders() {
    let pool = |op: &str, kernel: i64| node(op, &[]).with("kernel_shape", vec![kernel; 2]);
    let case = |name, image: &[usize], features, node| Case::new(name, image, features, vec![node]);
    check(vec![
        case("average without padding in it", &[2, 5, 6], 60, pads(pool("AveragePool", 3), [1; 4])),
        case(
            "average, part of a window",
            &[2, 5, 6],
            18,
            strides(pool("AveragePool", 2), 2).with("ceil_mode", 1),
        ),
        case(
            "average, part of a window and padding",
            &[2, 6, 6],
            32,
            strides(pads(pool("AveragePool", 3), [1; 4]), 2).with("ceil_mode", 1),
        ),
        case("max with dilations", &[2, 6, 6], 32, pool("MaxPool", 2).with("dilations", vec![2; 2])),
    ]);
}

#[test]
fn einstein_sums() {
    let case = |name, equation: &str, image: &[usize], weight: &[usize], features| {
        let node = node("Einsum", &["w"]).with("equation", equation);
        Case::new(name, image, features, vec![node]).parameter("w", weight)
    };
    check(vec![
        case("product", "nij,jk->nik", &[3, 4], &[4, 5], 15),
        case("turned product", "nij,kj->nki", &[3, 4], &[5, 4], 15),
        case("by channel", "nchw,cd->ndhw", &[3, 2, 2], &[3, 4], 16),
        Case::new(
            "one factor",
            &[3, 4],
            12,
            vec![NodeProto::new("Einsum", &["x"], &["y"]).with("equation", "nij->nji")],
        ),
    ]);
}
