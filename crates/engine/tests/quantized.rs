//! Eight-bit graphs of `tintype_graph::quantize` on ONNX Runtime: against integer arithmetic, and against the float model.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::{HashMap, HashSet};

use tintype_core::{ModelSource, Tensor};
use tintype_engine::ort::OrtBackend;
use tintype_engine::{Backend, SessionOptions};
use tintype_graph::arch::{ArchSpec, find};
use tintype_graph::quantize::{QuantizeOptions, Quantizer, Range, WeightBits};
use tintype_graph::{Builder, Conv, Model};
use tintype_testkit::assert_close;

fn run(model: &Model, input: &Tensor) -> Vec<Tensor> {
    let source = ModelSource::Bytes(model.to_bytes().into());
    let mut session = OrtBackend::new().unwrap().load(&source, &SessionOptions::default()).unwrap();
    session.run(&[input]).unwrap()
}

fn scores(model: &Model, input: &Tensor) -> Vec<f32> {
    run(model, input)[0].values::<f32>().unwrap().to_vec()
}

/// Numbers between -1 and 1 that look random.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed * 2 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The ranges that `input` gives.
fn ranges(quantizer: &Quantizer, input: &Tensor) -> HashMap<String, Range> {
    let outputs = run(&quantizer.observing(), input);
    let ranges = outputs.iter().map(|output| Range::of(output.values::<f32>().unwrap()));
    quantizer.observed().iter().cloned().zip(ranges).collect()
}

/// The signal's power over the difference's, in decibels.
fn signal_to_noise(expected: &[f32], found: &[f32]) -> f64 {
    let power = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    let difference = power(&mut expected.iter().zip(found).map(|(a, b)| a - b));
    10.0 * (power(&mut expected.iter().copied()) / difference).log10()
}

#[test]
fn a_linear_layer_computes_what_integers_do() {
    const FEATURES: usize = 12;
    const CLASSES: usize = 3;
    let mut b = Builder::new(5);
    let x = b.input("x", &[FEATURES]);
    let x = b.linear("fc", &x, FEATURES, CLASSES);
    let model = b.finish(&x, "y", &[CLASSES]);
    let (weight, bias) = (model.f32s("fc.weight").unwrap(), model.f32s("fc.bias").unwrap());
    let quantizer = Quantizer::new(&model).unwrap();
    let range = Range { min: -0.5, max: 2.0 };
    let ranges = HashMap::from([("x".to_owned(), range)]);
    // Beyond the range too, where both ends are held.
    let input: Vec<f32> = noise(1, 4 * FEATURES).iter().map(|v| 1.0 + 2.0 * v).collect();
    for (bits, most) in [(WeightBits::Eight, 127.0), (WeightBits::Seven, 64.0f32)] {
        if bits == WeightBits::Eight && WeightBits::of_this_machine() != bits {
            eprintln!("skipped: eight bits, for which this processor has no instruction");
            continue;
        }
        let options = QuantizeOptions { bits, ..QuantizeOptions::default() };
        let quantised = quantizer.quantize(&ranges, &options).unwrap();
        let found = scores(&quantised, &Tensor::new([4, FEATURES], input.clone()).unwrap());

        let (step, zero) = (2.5f32 / 255.0, 51);
        let mut expected = Vec::new();
        for row in input.chunks(FEATURES) {
            let q: Vec<i32> =
                row.iter().map(|v| ((v / step).round_ties_even() as i32 + zero).clamp(0, 255)).collect();
            for (weights, bias) in weight.chunks(FEATURES).zip(&bias) {
                let scale = weights.iter().fold(0f32, |m, w| m.max(w.abs())) / most;
                let w = weights.iter().map(|w| (w / scale).round_ties_even() as i32);
                let sum: i32 = q.iter().zip(w).map(|(q, w)| (q - zero) * w).sum();
                let bias = (bias / (scale * step)).round_ties_even() as i32;
                expected.push((sum + bias) as f32 * scale * step);
            }
        }
        // What a rounding at exactly half a step may differ by, and the floats' own precision.
        assert_close(&found, &expected, 1e-3);
    }
}

#[test]
fn folding_a_batch_norm_changes_nothing() {
    let mut b = Builder::new(8);
    let x = b.input("x", &[3, 9, 9]);
    let x = b.conv("conv", &x, Conv { stride: 2, ..Conv::bare(3, 6, 3) });
    let x = b.batch_norm("bn", &x, 6);
    let x = b.relu("relu", &x);
    let x = b.conv("depthwise", &x, Conv::depthwise(6, 3, 1));
    let x = b.batch_norm("bn2", &x, 6);
    let model = b.finish(&x, "y", &[6, 5, 5]);
    let shifted = noise(3, 6);
    let positive: Vec<f32> = noise(4, 6).iter().map(|v| 1.0 + 0.8 * v).collect();
    let parameters: Vec<(String, &[f32])> = ["bn", "bn2"]
        .iter()
        .flat_map(|bn| {
            [
                ("weight", &positive),
                ("bias", &shifted),
                ("running_mean", &shifted),
                ("running_var", &positive),
            ]
            .map(|(what, values)| (format!("{bn}.{what}"), values.as_slice()))
        })
        .collect();
    let parameters: Vec<(&str, &[f32])> = parameters.iter().map(|(name, v)| (name.as_str(), *v)).collect();
    let model = model.with_parameters(&parameters).unwrap();
    let quantizer = Quantizer::new(&model).unwrap();
    let input = Tensor::new([2, 3, 9, 9], noise(6, 2 * 3 * 81)).unwrap();
    assert!(quantizer.model().graph().node.iter().all(|node| node.op_type != "BatchNormalization"));
    assert_close(&scores(quantizer.model(), &input), &scores(&model, &input), 1e-5);
}

/// Networks of every kind of block, with parameters as they begin: the answers differ by eight-bit rounding and no more.
#[test]
fn architectures_answer_as_in_float() {
    // The least signal over noise in decibels. Rounding each of many layers adds up; a wrong scale leaves next to none.
    let cases =
        [("small_cnn", 25.0), ("resnet18", 25.0), ("mobilenet_v2", 20.0), ("vit_tiny_patch16_224", 25.0)];
    for (name, least) in cases {
        let model = find(name).unwrap().build(&ArchSpec { image: 64, seed: 3, ..ArchSpec::new(10) }).unwrap();
        let input = Tensor::new([2, 3, 64, 64], noise(9, 2 * 3 * 64 * 64)).unwrap();
        let quantizer = Quantizer::new(&model).unwrap();
        let ranges = ranges(&quantizer, &input);
        let bits = WeightBits::of_this_machine();
        let options = QuantizeOptions { bits, ..QuantizeOptions::default() };
        let quantised = quantizer.quantize(&ranges, &options).unwrap();
        let expected = scores(&model, &input);
        let found = signal_to_noise(&expected, &scores(&quantised, &input));
        assert!(found > least, "{name}: {found:.1} dB");
        assert!(quantised.to_bytes().len() * 3 < model.to_bytes().len(), "{name} is not smaller");

        // All but one layer in float comes closer.
        let names: Vec<String> = quantizer.layers().into_iter().map(|layer| layer.name).collect();
        let exclude: HashSet<String> = names[1..].iter().cloned().collect();
        let options = QuantizeOptions { bits, exclude };
        let one = quantizer.quantize(&ranges, &options).unwrap();
        let alone = signal_to_noise(&expected, &scores(&one, &input));
        assert!(alone > found, "{name}: {alone:.1} dB with one layer, {found:.1} dB with all");
    }
}
