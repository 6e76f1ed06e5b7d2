//! A whole network against PyTorch.

use std::collections::HashMap;

use serde_json::Value;
use tintype_core::Tensor;
use tintype_graph::arch::{ArchSpec, find};
use tintype_graph::{GradientOptions, Model, Parameter};

use crate::step::{Outputs, Step};

/// A `small_cnn` of a few channels, so that its graph is quick to build and to run.
fn small_cnn() -> Model {
    let sizes = ArchSpec { image: 16, dropout: Some(0.0), ..ArchSpec::new(5) };
    let spec = ArchSpec { widths: Some([4, 6, 8, 10]), hidden: Some(12), ..sizes };
    find("small_cnn").and_then(|arch| arch.build(&spec)).expect("the network is built")
}

/// Largest difference of a tensor's elements, as a share of the tensor's largest element.
const TOLERANCE: f32 = 1e-4;

/// The numbers that `data/make_gradients.py` calls `wave`.
fn wave(index: usize, count: usize, centre: f64, height: f64) -> Vec<f32> {
    let at = |i: usize| (centre + height * (1.0 + 12.9898 * (i as f64 + 1.0) + index as f64).sin()) as f32;
    (0..count).map(at).collect()
}

fn waves(parameters: &[Parameter]) -> Vec<Parameter> {
    let mut parameters = parameters.to_vec();
    for (index, parameter) in parameters.iter_mut().enumerate() {
        let count = parameter.values.len();
        let (centre, height) = match parameter.shape.as_slice() {
            [_] if parameter.name.ends_with(".weight") => (1.0, 0.3),
            [_] => (0.0, 0.3),
            [outputs, ..] => (0.0, 1.5 / ((count / outputs) as f64).sqrt()),
            [] => (0.0, 0.0),
        };
        parameter.values = wave(index, count, centre, height);
    }
    parameters
}

/// `data/gradients.json`, flat: `loss`, `logits`, `gradients.conv1.weight`, `running.bn1.running_mean`.
fn reference() -> HashMap<String, Vec<f32>> {
    flat(&serde_json::from_str(include_str!("../data/gradients.json")).expect("the data is JSON"))
}

fn flat(json: &Value) -> HashMap<String, Vec<f32>> {
    let list = |value: &Value| -> Vec<f32> {
        let numbers = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        numbers.iter().map(|v| v.as_f64().expect("a number") as f32).collect()
    };
    let mut flat = HashMap::new();
    for (key, value) in json.as_object().expect("an object") {
        match value.as_object() {
            Some(inner) => flat.extend(inner.iter().map(|(k, v)| (format!("{key}.{k}"), list(v)))),
            None => drop(flat.insert(key.clone(), list(value))),
        }
    }
    flat
}

#[track_caller]
fn assert_relative(what: &str, found: &[f32], expected: &[f32]) {
    let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let difference = tintype_testkit::max_abs_diff(found, expected);
    assert!(difference <= TOLERANCE * largest, "{what}: {difference:e} of {largest:e}");
}

#[test]
fn the_small_network_is_differentiated_as_by_pytorch() {
    let model = small_cnn();
    let reference = reference();
    for fused in [true, false] {
        let options = GradientOptions { batch: 3, fused, trainable: &|_| true };
        let image = Tensor::new([3, 3, 16, 16], wave(100, 3 * 3 * 16 * 16, 0.0, 1.0)).expect("images fit");
        let targets = [1.0f32, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9, 0.1, 0.0, 0.0, 0.2, 0.2, 0.2, 0.2, 0.2];
        let targets = Tensor::new([3, 5], targets.to_vec()).expect("targets fit");
        let mut step = Step::new(&model, &options, image, targets);
        let parameters = waves(&step.graph.parameters);
        let Outputs { loss, logits, gradients, statistics } = step.run(&parameters);

        assert_relative("loss", &[loss], &reference["loss"]);
        assert_relative("logits", &logits, &reference["logits"]);
        assert_eq!(parameters.len(), reference.keys().filter(|k| k.starts_with("gradients.")).count());
        for (parameter, gradient) in parameters.iter().zip(&gradients) {
            let key = format!("gradients.{}", parameter.name);
            assert_relative(&format!("{key} (fused: {fused})"), gradient, &reference[&key]);
        }
        for (norm, batch) in step.graph.batch_norms.iter().zip(statistics.chunks_exact(2)) {
            let unbiased = norm.count as f32 / (norm.count as f32 - 1.0);
            let blend = |before: f32, batch: &[f32], factor: f32| -> Vec<f32> {
                batch.iter().map(|b| before * norm.momentum + factor * b * (1.0 - norm.momentum)).collect()
            };
            for (name, found) in
                [(&norm.mean, blend(0.0, &batch[0], 1.0)), (&norm.variance, blend(1.0, &batch[1], unbiased))]
            {
                assert_relative(name, &found, &reference[&format!("running.{name}")]);
            }
        }
    }
}

/// What PyTorch's exporters leave of networks like MobileNetV3 (operator set 11, the older exporter) and ViT (20, the
/// newer one), against gradients that `data/make_exported.py` stored.
#[test]
fn exported_networks_are_differentiated_as_by_pytorch() {
    let json: Value = serde_json::from_str(include_str!("../data/exported.json")).expect("the data is JSON");
    let files: [(&str, &[u8], usize); 2] = [
        ("mobile", include_bytes!("../data/mobile.onnx"), 16),
        ("transformer", include_bytes!("../data/transformer.onnx"), 8),
    ];
    for (name, file, size) in files {
        let mut model = Model::from_bytes(file).expect("the file is a model");
        model.untie();
        let reference = flat(&json[name]);
        for fused in [true, false] {
            let options = GradientOptions { batch: 3, fused, trainable: &|_| true };
            let image = wave(100, 3 * 3 * size * size, 0.0, 1.0);
            let image = Tensor::new([3, 3, size, size], image).expect("images fit");
            let targets = [1.0f32, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9, 0.1, 0.25, 0.25, 0.25, 0.25];
            let targets = Tensor::new([3, 4], targets.to_vec()).expect("targets fit");
            let mut step = Step::new(&model, &options, image, targets);
            let parameters = step.graph.parameters.clone();
            let Outputs { loss, logits, gradients, .. } = step.run(&parameters);
            assert_relative(name, &[loss], &reference["loss"]);
            assert_relative(name, &logits, &reference["logits"]);
            assert_eq!(parameters.len(), reference.keys().filter(|k| k.starts_with("gradients.")).count());
            let largest = |values: &[f32]| values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let all = gradients.iter().map(|g| largest(g)).fold(0.0, f32::max);
            for (parameter, gradient) in parameters.iter().zip(&gradients) {
                let expected = &reference[&format!("gradients.{}", parameter.name)];
                // The gradient of a bias before a batch norm, or of an attention's keys, is rounding alone.
                let scale = largest(expected).max(1e-3 * all);
                let difference = tintype_testkit::max_abs_diff(gradient, expected);
                assert!(
                    difference <= TOLERANCE * scale,
                    "{name}, {} (fused: {fused}): {difference:e} of {scale:e}",
                    parameter.name
                );
            }
        }
    }
}
