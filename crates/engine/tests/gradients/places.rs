//! Operators that move elements, leave some out or repeat some.

use tintype_graph::proto::{NodeProto, TensorProto};

use crate::differences::Case;
use crate::operators::{check, node};

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto::from_i64(name, &[values.len()], values)
}

fn floats(name: &str, values: &[f32]) -> TensorProto {
    TensorProto::from_f32(name, &[values.len()], values)
}

#[test]
fn parts() {
    let concat = NodeProto::new("Concat", &["x", "x", "w"], &["y"]).with("axis", -1);
    let split = |counts: &[&str]| NodeProto::new("Split", &["x", "counts"], counts).with("axis", 2);
    let join = |parts: &[&str]| NodeProto::new("Concat", parts, &["y"]).with("axis", 2);
    let settings = |mut case: Case, settings: Vec<TensorProto>| {
        case.settings = settings;
        case
    };
    let slice = |name, starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64], features| {
        let node = node("Slice", &["s", "e", "a", "t"]);
        settings(
            Case::new(name, &[5, 6, 4], features, vec![node]),
            vec![integers("s", starts), integers("e", ends), integers("a", axes), integers("t", steps)],
        )
    };
    let counts = || vec![integers("counts", &[1, 2, 1])];
    let mut concat = Case::new("concat", &[3, 4], 33, vec![concat]).parameter("w", &[2, 3, 3]);
    concat.features = 33;
    check(vec![
        concat,
        settings(
            Case::new("split", &[3, 4, 2], 18, vec![split(&["a", "b", "c"]), join(&["c", "b"])]),
            counts(),
        ),
        settings(
            Case::new(
                "split into products",
                &[3, 4, 2],
                6,
                vec![split(&["a", "b", "c"]), NodeProto::new("Mul", &["a", "c"], &["y"])],
            ),
            counts(),
        ),
        slice("slice", &[1, 2], &[4, i64::MAX], &[1, 2], &[1, 1], 48),
        slice("slice from the end", &[-3], &[-1], &[2], &[1], 40),
        slice("slice with a stride", &[1], &[6], &[2], &[2], 60),
        slice("slice with strides", &[0, 1], &[5, 6], &[1, 2], &[3, 4], 16),
        slice("turned round", &[-1], &[i64::MIN], &[3], &[-1], 120),
        slice("turned round with a stride", &[4], &[0], &[2], &[-2], 40),
    ]);
}

#[test]
fn copies() {
    let with = |mut case: Case, settings: Vec<TensorProto>| {
        case.settings = settings;
        case
    };
    let gather = |name, axis: i64, indices: TensorProto, features| {
        with(
            Case::new(name, &[4, 3, 2], features, vec![node("Gather", &["i"]).with("axis", axis)]),
            vec![indices],
        )
    };
    let pad = |name, mode: &str, pads: &[i64], features| {
        with(
            Case::new(name, &[2, 4, 5], features, vec![node("Pad", &["p"]).with("mode", mode)]),
            vec![integers("p", pads)],
        )
    };
    let elements = TensorProto::from_i64("i", &[2, 1, 3], &[0, 1, 1, 3, 3, 3]);
    check(vec![
        gather("gather one", 1, TensorProto::from_i64("i", &[], &[-1]), 6),
        gather("gather one as a list", 2, integers("i", &[1]), 8),
        gather("gather several", 1, integers("i", &[2, 0, 2, -1, 2]), 30),
        gather("gather by a table", 2, TensorProto::from_i64("i", &[2, 2], &[0, 2, 2, 1]), 32),
        with(
            Case::new("gather elements", &[4, 3], 3, vec![node("GatherElements", &["i"]).with("axis", 1)]),
            vec![elements],
        ),
        with(
            Case::new("gather points", &[4, 3], 3, vec![node("GatherND", &["i"])]),
            vec![TensorProto::from_i64(
                "i",
                &[2, 3, 3],
                &[0, 1, 1, 0, 3, 2, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1],
            )],
        ),
        with(
            Case::new("sums from the start", &[4, 3], 12, vec![node("CumSum", &["a"]).with("exclusive", 1)]),
            vec![TensorProto::from_i64("a", &[], &[1])],
        ),
        Case::new(
            "gather a table of biases",
            &[2, 2],
            12,
            vec![
                NodeProto::new("Gather", &["table", "i"], &["picked"]).with("axis", 0),
                NodeProto::new("Mul", &["x", "one"], &["z"]),
                NodeProto::new("MatMul", &["z", "picked"], &["y"]),
            ],
        )
        .parameter("table", &[3, 6])
        .setting(TensorProto::from_i64("i", &[2], &[2, 2]))
        .setting(TensorProto::from_f32("one", &[], &[1.0])),
        with(
            Case::new("expand", &[3, 1, 4], 24, vec![node("Expand", &["s"])]),
            vec![integers("s", &[2, 1, 2, 1])],
        ),
        with(Case::new("tile", &[3, 2], 24, vec![node("Tile", &["s"])]), vec![integers("s", &[1, 2, 2])]),
        pad("pad", "constant", &[0, 0, 1, 2, 0, 0, 0, 1], 80),
        pad("pad that cuts", "constant", &[0, 0, -1, 0, 0, 0, 1, -2], 24),
        pad("pad by reflection", "reflect", &[0, 0, 2, 1, 0, 0, 0, 3], 108),
        pad("pad by repetition", "edge", &[0, 1, 0, 2, 0, 0, 0, 1], 96),
        Case::new("depth to space", &[8, 2, 3], 48, vec![node("DepthToSpace", &[]).with("blocksize", 2)]),
        Case::new(
            "depth to space, columns first",
            &[8, 2, 3],
            48,
            vec![node("DepthToSpace", &[]).with("blocksize", 2).with("mode", "CRD")],
        ),
        Case::new("space to depth", &[2, 4, 6], 48, vec![node("SpaceToDepth", &[]).with("blocksize", 2)]),
        Case::new("cast", &[3, 4], 12, vec![node("Cast", &[]).with("to", 1)]),
    ]);
}

#[test]
fn resizing() {
    let case = |name, mode: &str, place: &str, sizes: [i64; 2]| {
        let node = node("Resize", &["", "", "s"])
            .with("mode", mode)
            .with("coordinate_transformation_mode", place)
            .with("nearest_mode", "floor");
        let features = 2 * sizes[0] as usize * sizes[1] as usize;
        Case::new(name, &[2, 4, 3], features, vec![node]).setting(integers("s", &[2, 2, sizes[0], sizes[1]]))
    };
    let scaled = node("Resize", &["", "f"]).with("mode", "linear");
    check(vec![
        case("nearest", "nearest", "asymmetric", [8, 6]),
        case("nearest, odd", "nearest", "half_pixel", [7, 5]),
        case("linear", "linear", "half_pixel", [8, 5]),
        case("linear, corners", "linear", "align_corners", [7, 6]),
        case("linear, symmetric", "linear", "half_pixel_symmetric", [8, 5]),
        case("linear, smaller", "linear", "pytorch_half_pixel", [3, 2]),
        Case::new("linear by factors", &[2, 4, 3], 48, vec![scaled])
            .setting(floats("f", &[1.0, 1.0, 1.5, 1.5])),
    ]);
}
