use super::place::Placement;
use super::range::Parameters;
use super::weights::Weights;
use super::*;
use crate::builder::{Builder, Conv, Pool};
use crate::proto::{GraphProto, TensorProto};

/// A stem with a pooling, a block with a shortcut, and a linear head:
/// `conv → bn → relu → pool → [conv → relu6 → conv] + → relu → mean → flatten → linear`.
fn residual() -> Model {
    let mut b = Builder::new(3);
    let x = b.input("input", &[3, 8, 8]);
    let x = b.conv("stem", &x, Conv::bare(3, 4, 3));
    let x = b.batch_norm("bn", &x, 4);
    let x = b.relu("relu", &x);
    let x = b.max_pool_by("pool", &x, Pool { kernel: 2, stride: 2, padding: 0 });
    let y = b.conv("expand", &x, Conv::same(4, 6, 1));
    let y = b.relu6("relu6", &y);
    let y = b.conv("project", &y, Conv::same(6, 4, 1));
    let x = b.add_values("sum", &x, &y);
    let x = b.relu("closed", &x);
    let x = b.global_average_pool("mean", &x);
    let x = b.flatten("flat", &x);
    let x = b.linear("head", &x, 4, 5);
    b.finish(&x, "logits", &[5])
}

fn ranges(quantizer: &Quantizer, range: Range) -> HashMap<String, Range> {
    quantizer.observed().iter().map(|name| (name.clone(), range)).collect()
}

fn ops(model: &Model) -> Vec<&str> {
    model.graph().node.iter().map(|node| node.op_type.as_str()).collect()
}

fn makers(model: &Model) -> HashMap<&str, &NodeProto> {
    model.graph().node.iter().flat_map(|node| node.output.iter().map(move |o| (o.as_str(), node))).collect()
}

const SIX: Range = Range { min: 0.0, max: 6.0 };

#[test]
fn a_network_becomes_integers_from_its_first_layer_to_its_last() {
    let quantizer = Quantizer::new(&residual()).unwrap();
    assert!(!ops(quantizer.model()).contains(&"BatchNormalization"));
    let names: Vec<String> = quantizer.layers().into_iter().map(|layer| layer.name).collect();
    assert_eq!(names, ["stem", "expand", "project", "head"]);
    let placed = Placement::of(&quantizer.model, &quantizer.layers, &HashSet::new()).unwrap();
    let source = |name: &str| placed.values.get(name).map(|v| (v.source.as_str(), v.made));
    assert_eq!(source("input"), Some(("input", false)), "the input stays float for whoever else reads it");
    assert_eq!(source("stem"), None, "between a convolution and its relu there is nothing to round");
    assert_eq!(source("relu"), Some(("relu", true)));
    assert_eq!(source("pool"), Some(("relu", true)), "what is picked keeps its scale");
    assert_eq!(source("closed"), Some(("closed", true)));
    assert_eq!(source("flat"), Some(("mean", true)));
    assert_eq!(source("logits"), None, "scores stay float");

    let model = quantizer.quantize(&ranges(&quantizer, SIX), &QuantizeOptions::default()).unwrap();
    let found = ops(&model);
    assert!(!found.contains(&"Relu") && !found.contains(&"Clip"), "{found:?}");
    let makers = makers(&model);
    for node in &model.graph().node {
        let reads = |input: usize| makers.get(node.input[input].as_str()).map(|maker| maker.op_type.as_str());
        let inputs = match node.op_type.as_str() {
            "Conv" | "Gemm" => 3,
            "Add" => 2,
            "MaxPool" | "GlobalAveragePool" | "Flatten" => 1,
            _ => continue,
        };
        for input in 0..inputs {
            assert_eq!(reads(input), Some("DequantizeLinear"), "{}, input {input}", node.name);
        }
        let readers = model.graph().node.iter().filter(|other| other.input.contains(&node.output[0]));
        let readers: Vec<&str> = readers.map(|other| other.op_type.as_str()).collect();
        let expected: &[&str] = if node.op_type == "Gemm" { &[] } else { &["QuantizeLinear"] };
        assert_eq!(readers, expected, "{}", node.name);
    }
    assert_eq!(model.outputs().unwrap(), residual().outputs().unwrap());
}

#[test]
fn activations_go_only_where_rounding_does_their_work() {
    let quantizer = Quantizer::new(&residual()).unwrap();
    // A range that goes below zero is not cut off by a relu's zero point.
    let wide = ranges(&quantizer, Range { min: -2.0, max: 6.0 });
    let model = quantizer.quantize(&wide, &QuantizeOptions::default()).unwrap();
    assert_eq!(ops(&model).iter().filter(|op| matches!(**op, "Relu" | "Clip")).count(), 3);
}

#[test]
fn layers_that_stay_float_read_and_write_floats() {
    let quantizer = Quantizer::new(&residual()).unwrap();
    let options = QuantizeOptions { exclude: HashSet::from(["project".to_owned()]), ..Default::default() };
    let model = quantizer.quantize(&ranges(&quantizer, SIX), &options).unwrap();
    let makers = makers(&model);
    let weight = model.graph().node.iter().find(|node| node.name == "project").unwrap().input[1].clone();
    assert!(!makers.contains_key(weight.as_str()), "the weight is stored as it was");
    assert!(ops(&model).contains(&"Relu"), "the sum is float, and so is what follows");
    assert_eq!(ops(&model).iter().filter(|op| **op == "Clip").count(), 0);
    let mistyped = QuantizeOptions { exclude: HashSet::from(["projekt".to_owned()]), ..Default::default() };
    let error = quantizer.quantize(&HashMap::new(), &mistyped).unwrap_err();
    assert_eq!(error.hint(), Some("the most similar name is `project`"));
    let all = quantizer.layers().into_iter().map(|layer| layer.name).collect();
    let error = quantizer.quantize(&HashMap::new(), &QuantizeOptions { exclude: all, ..Default::default() });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn whoever_quantises_fewer_layers_observes_no_other_tensors() {
    let quantizer = Quantizer::new(&residual()).unwrap();
    let all: HashSet<&String> = quantizer.observed().iter().collect();
    for layers in 0..1u32 << 4 {
        let named = quantizer.layers().into_iter().enumerate();
        let exclude = named.filter(|(i, _)| layers >> i & 1 == 1).map(|(_, layer)| layer.name).collect();
        let placed = Placement::of(&quantizer.model, &quantizer.layers, &exclude).unwrap();
        let sources = placed.values.values().map(|value| &value.source);
        assert!(placed.values.keys().chain(sources).all(|name| all.contains(name)), "{exclude:?}");
    }
}

#[test]
fn weights_are_rounded_by_channel_and_biases_to_the_accumulators_step() {
    let weight = [0.5f32, -1.27, 0.0101, 0.02, 0.0, 0.0];
    let bias = [0.3f32, -0.2, 1000.0];
    let layer = |axis| LayerNode {
        described: Layer { name: "l".into(), op: "Gemm".into(), weights: 6 },
        index: 0,
        axis,
    };
    let stored = |shape: &[usize], values: &[f32]| TensorProto::from_f32("w", shape, values);
    let (w, b) = (stored(&[3, 2], &weight), stored(&[3], &bias));
    let found = Weights::new(&layer(0), &w, Some(&b), (0.1, WeightBits::Eight)).unwrap();
    assert_eq!(found.values, [50, -127, 64, 127, 0, 0]);
    assert_eq!(found.scales[..2], [0.01, 0.02f32 / 127.0]);
    let rounded = found.bias.unwrap();
    assert_eq!(rounded.values[0], 300);
    for (c, bias) in bias.iter().enumerate() {
        let value = rounded.values[c] as f32 * rounded.scales[c];
        // A step at most, and the precision of the scale.
        assert!((value - bias).abs() <= rounded.scales[c] + 1e-4 * bias.abs(), "channel {c}: {value}");
    }
    // By columns, as `MatMul` has its channels.
    let w = stored(&[2, 3], &[0.5, 0.0101, 0.0, -1.27, 0.02, 0.0]);
    let columns = Weights::new(&layer(1), &w, Some(&b), (0.1, WeightBits::Eight)).unwrap();
    assert_eq!(columns.scales, found.scales);
    assert_eq!(columns.values, [50, 64, 0, -127, 127, 0]);
    let seven = Weights::new(&layer(0), &stored(&[3, 2], &weight), None, (0.1, WeightBits::Seven)).unwrap();
    assert_eq!((seven.values[1], seven.scales[0]), (-64, 1.27f32 / 64.0));
}

#[test]
fn zero_is_always_a_step() {
    let cases = [
        (Range { min: 0.0, max: 2.55 }, 0.01, 0),
        (Range { min: -1.0, max: 1.55 }, 0.01, 100),
        (Range { min: 0.5, max: 2.55 }, 0.01, 0),
        (Range { min: -2.55, max: -1.0 }, 0.01, 255),
        (Range { min: 0.0, max: 0.0 }, 1.0, 0),
    ];
    for (range, scale, zero) in cases {
        let Parameters { scale: found, zero: place } = range.parameters();
        assert!((found - scale).abs() < 1e-8 && place == zero, "{range:?}: {found} {place}");
    }
}

#[test]
fn entropy_finds_what_onnxruntime_finds() {
    let cases: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/data/entropy.json")).unwrap();
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let number = |key: &str| case[key].as_f64().unwrap() as f32;
        let counts = case["counts"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        let histogram = Histogram::from_counts(Range { min: number("min"), max: number("max") }, counts);
        let found = histogram.entropy_at(case["levels"].as_u64().unwrap() as usize);
        for (found, expected) in [(found.min, number("low")), (found.max, number("high"))] {
            assert!((found - expected).abs() < 1e-5, "{}: {found}, expected {expected}", case["name"]);
        }
    }
}

#[test]
fn percentiles_leave_out_the_ends() {
    let mut histogram = Histogram::new(Range { min: -100.0, max: 100.0 });
    let values: Vec<f32> = (0..10_000).map(|i| (i % 100) as f32 / 100.0).collect();
    histogram.add(&values);
    histogram.add(&[100.0, -100.0, f32::NAN]);
    let mut halves = [Histogram::new(Range { min: -100.0, max: 100.0 }), histogram.clone()];
    let [empty, full] = &mut halves;
    empty.merge(full);
    assert_eq!(*empty, histogram);
    let whole = histogram.without(0.0);
    assert_eq!(whole, Range { min: -100.0, max: 100.0 });
    let Range { min, max } = histogram.without(0.001);
    assert!(min > -0.2 && max < 1.2 && max > 0.9, "{min} {max}");
    let nothing = Histogram::new(Range { min: 0.0, max: 0.0 });
    assert_eq!(nothing.entropy(), Range { min: 0.0, max: 0.0 });
}

#[test]
fn what_cannot_be_quantised_is_said() {
    let quantizer = Quantizer::new(&residual()).unwrap();
    let done = quantizer.quantize(&ranges(&quantizer, SIX), &QuantizeOptions::default()).unwrap();
    let error = Quantizer::new(&done).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("quantised already"), "{error}");

    let mut b = Builder::new(1);
    let x = b.input("x", &[4]);
    let x = b.relu("y", &x);
    let error = Quantizer::new(&b.finish(&x, "y", &[4])).unwrap_err();
    assert!(error.message().starts_with("nothing to quantise"), "{error}");

    let mut missing = ranges(&quantizer, SIX);
    missing.insert("relu".to_owned(), Range { min: 0.0, max: f32::INFINITY });
    let error = quantizer.quantize(&missing, &QuantizeOptions::default()).unwrap_err();
    assert_eq!(error.message(), "tensor `relu` has no finite range");
}

#[test]
fn older_operator_sets_are_brought_up() {
    let value = |name: &str, axes: &[usize]| ValueInfoProto::fixed(name, DataType::Float, axes);
    let graph = GraphProto {
        node: vec![
            NodeProto::new("MatMul", &["x", "w"], &["m"]),
            NodeProto::new("Dropout", &["m"], &["d"]),
            NodeProto::new("Clip", &["d"], &["y"]).with("min", 0.0f32),
        ],
        initializer: vec![TensorProto::from_f32("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0])],
        input: vec![value("x", &[1, 2])],
        output: vec![value("y", &[1, 2])],
        ..GraphProto::default()
    };
    let quantizer = Quantizer::new(&Model::new(graph.clone(), 10)).unwrap();
    assert_eq!(quantizer.model().opset(), 17);
    assert_eq!(ops(quantizer.model()), ["MatMul", "Clip"]);
    let model = quantizer.quantize(&ranges(&quantizer, SIX), &QuantizeOptions::default()).unwrap();
    let dequantize = model.graph().node.iter().rfind(|n| n.op_type == "DequantizeLinear").unwrap();
    assert_eq!(dequantize.int("axis"), Some(1), "a column is a channel");
    let old = Quantizer::new(&Model::new(graph, 6)).unwrap_err();
    assert_eq!(old.kind(), ErrorKind::Unsupported);
}
