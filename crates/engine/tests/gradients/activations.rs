//! Activations and functions of one number.

use tintype_graph::proto::{NodeProto, TensorProto};

use crate::differences::Case;
use crate::operators::{check, node};

/// A chain of nodes from `x` to `y`; each reads the one before and writes `a`, `b`, ….
fn chain(nodes: Vec<NodeProto>) -> Vec<NodeProto> {
    let last = nodes.len() - 1;
    let linked = nodes.into_iter().enumerate().map(|(i, mut node)| {
        node.input[0] = if i == 0 { "x".to_owned() } else { format!("v{i}") };
        node.output[0] = if i == last { "y".to_owned() } else { format!("v{}", i + 1) };
        node
    });
    linked.collect()
}

#[test]
fn activations_with_corners() {
    let case = |name, node| Case::new(name, &[2, 4, 5], 40, vec![node]);
    let bounds = |mut case: Case| {
        case.settings =
            vec![TensorProto::from_f32("low", &[], &[-0.3]), TensorProto::from_f32("high", &[], &[0.4])];
        case
    };
    let wide =
        chain(vec![NodeProto::new("Mul", &["", "four"], &[""]), NodeProto::new("HardSwish", &[""], &[""])]);
    let mut swish = Case::new("hard swish beyond its corners", &[2, 4, 5], 40, wide);
    swish.settings = vec![TensorProto::from_f32("four", &[], &[4.0])];
    check(vec![
        bounds(case("clip", node("Clip", &["low", "high"]))),
        bounds(case("clip from above", node("Clip", &["", "high"]))),
        bounds(case("clip from below", node("Clip", &["low"]))),
        case("leaky relu", node("LeakyRelu", &[]).with("alpha", 0.2f32)),
        case("hard sigmoid", node("HardSigmoid", &[]).with("alpha", 0.4f32)),
        case("hard swish", node("HardSwish", &[])),
        swish,
        case("elu", node("Elu", &[]).with("alpha", 1.5f32)),
        case("celu", node("Celu", &[]).with("alpha", 0.7f32)),
        case("selu", node("Selu", &[])),
        case("thresholded relu", node("ThresholdedRelu", &[]).with("alpha", 0.1f32)),
        case("prelu", node("PRelu", &["slope"])).parameter("slope", &[2, 1, 1]),
        case("prelu with one slope", node("PRelu", &["slope"])).parameter("slope", &[1]),
    ]);
}

#[test]
fn smooth_activations() {
    let cases = ["Sigmoid", "Tanh", "Erf", "Softplus", "Softsign"];
    let mut cases: Vec<Case> = cases.map(|op| Case::new(op, &[2, 3, 4], 24, vec![node(op, &[])])).into();
    let own = |node: NodeProto| node.of_domain("com.microsoft");
    cases.push(Case::new("Gelu", &[2, 3, 4], 24, vec![own(node("Gelu", &[]))]));
    cases.push(Case::new("QuickGelu", &[2, 3, 4], 24, vec![own(node("QuickGelu", &[]))]));
    for (name, op, opset) in [("new Gelu", "Gelu", 20), ("Mish", "Mish", 18)] {
        cases.push(Case { opset, ..Case::new(name, &[2, 3, 4], 24, vec![node(op, &[])]) });
    }
    let tanh = node("Gelu", &[]).with("approximate", "tanh");
    cases.push(Case { opset: 20, ..Case::new("Gelu by tanh", &[2, 3, 4], 24, vec![tanh]) });
    check(cases);
}

#[test]
fn functions_of_one_number() {
    let ops = ["Exp", "Neg", "Abs", "Sin", "Cos", "Identity"];
    let mut cases: Vec<Case> = ops.map(|op| Case::new(op, &[2, 3, 4], 24, vec![node(op, &[])])).into();
    for op in ["Log", "Sqrt", "Reciprocal"] {
        // Of what is well above 0.
        let nodes = chain(vec![
            NodeProto::new("Sigmoid", &[""], &[""]),
            NodeProto::new("Add", &["", "half"], &[""]),
            NodeProto::new(op, &[""], &[""]),
        ]);
        let mut case = Case::new(op, &[2, 3, 4], 24, nodes);
        case.settings = vec![TensorProto::from_f32("half", &[], &[0.5])];
        cases.push(case);
    }
    check(cases);
}

#[test]
fn powers_and_extremes() {
    let power = |name, exponent: f32| {
        let nodes =
            chain(vec![NodeProto::new("Exp", &[""], &[""]), NodeProto::new("Pow", &["", "p"], &[""])]);
        let mut case = Case::new(name, &[3, 4], 12, nodes);
        case.settings = vec![TensorProto::from_f32("p", &[], &[exponent])];
        case
    };
    let trained = chain(vec![NodeProto::new("Exp", &[""], &[""]), NodeProto::new("Pow", &["", "p"], &[""])]);
    let case =
        |name, op: &str| Case::new(name, &[3, 2, 4], 24, vec![node(op, &["w"])]).parameter("w", &[3, 1, 1]);
    let mut square = power("square of any number", 2.0);
    square.nodes.remove(0);
    square.nodes[0].input[0] = "x".to_owned();
    let three = NodeProto::new("Max", &["x", "w", "low"], &["y"]);
    let mut three = Case::new("max of three", &[3, 2, 4], 24, vec![three]).parameter("w", &[4]);
    three.settings = vec![TensorProto::from_f32("low", &[], &[-0.2])];
    let condition = vec![
        NodeProto::new("Greater", &["x", "edge"], &["c"]),
        NodeProto::new("Where", &["c", "x", "w"], &["y"]),
    ];
    let mut condition = Case::new("where", &[3, 2, 4], 24, condition).parameter("w", &[2, 1]);
    condition.settings = vec![TensorProto::from_f32("edge", &[], &[0.1])];
    check(vec![
        power("square", 2.0),
        power("square root", 0.5),
        power("cube", 3.0),
        power("inverse root", -0.5),
        square,
        Case::new("trained exponent", &[3, 4], 12, trained).parameter("p", &[4]),
        case("max", "Max"),
        case("min", "Min"),
        three,
        case("sum", "Sum"),
        case("mean", "Mean"),
        condition,
    ]);
}

#[test]
fn softmax() {
    let case = |name, op: &str, axis: i64, opset| {
        let node = node(op, &[]).with("axis", axis);
        Case { opset, ..Case::new(name, &[3, 2, 4], 24, vec![node]) }
    };
    check(vec![
        case("softmax", "Softmax", -1, 17),
        case("softmax of a middle axis", "Softmax", 1, 17),
        case("log softmax", "LogSoftmax", 2, 17),
        case("softmax over what follows an axis", "Softmax", 2, 11),
        case("log softmax over what follows an axis", "LogSoftmax", 1, 12),
    ]);
}
