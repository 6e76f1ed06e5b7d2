//! Every architecture of `tintype_graph::arch` against torchvision, timm and PyTorch, as `data/make_architectures.py`
//! stored it: the logits in evaluation mode, and the gradient of every parameter in training mode.

#[path = "gradients/step.rs"]
#[expect(dead_code, reason = "the other users of a step look at more of its outputs")]
mod step;

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use tintype_core::{ModelSource, Tensor};
use tintype_engine::ort::OrtBackend;
use tintype_engine::{Backend, SessionOptions};
use tintype_graph::arch::{ArchSpec, find};
use tintype_graph::{GradientOptions, Model, differentiate, is_parameter};

use step::{Step, noise};

const CLASSES: usize = 5;
const BATCH: usize = 3;
const VECTORS: u64 = 3;
/// Largest difference of a logit.
const LOGITS: f32 = 1e-4;
/// Largest difference of a gradient, as a share of its norm.
const GRADIENTS: f64 = 1e-3;

/// What PyTorch found.
#[derive(Deserialize)]
struct Reference {
    image: usize,
    gain: f64,
    /// The centre of the batch norms' biases in training: away from ReLU's jump.
    shift: f32,
    seed: u64,
    logits: Vec<f32>,
    loss: f32,
    /// Norm, and products with vectors of noise.
    gradients: HashMap<String, Vec<f64>>,
}

fn fnv(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A parameter's values, as the script's `value` makes them.
fn value(name: &str, shape: &[usize], gain: f64, shift: f32) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let (centre, height) = match shape {
        _ if name.ends_with("running_var") => (1.0, 0.5),
        [_] if name.ends_with(".weight") => (1.0, 0.3),
        [_] => (shift, 0.3),
        [_, _, _] => (0.0, 0.5),
        [outputs, ..] => (0.0, (gain / ((count / outputs) as f64).sqrt()) as f32),
        [] => unreachable!("`{name}` has no axes"),
    };
    noise(fnv(name), count).into_iter().map(|u| centre + height * u).collect()
}

/// The model with the script's parameters.
fn filled(model: &Model, gain: f64, shift: f32) -> Model {
    let stored = &model.graph().initializer;
    let names: HashSet<&str> = stored.iter().map(|t| t.name.as_str()).collect();
    let mut values = Vec::new();
    for tensor in stored.iter().filter(|t| is_parameter(&t.name)) {
        let norm = tensor.name.strip_suffix(".bias").map(|layer| format!("{layer}.running_mean"));
        let of_norm = norm.is_some_and(|name| names.contains(name.as_str()));
        let shape = tensor.shape().expect("a shape");
        values.push((
            tensor.name.as_str(),
            value(&tensor.name, &shape, gain, if of_norm { shift } else { 0.0 }),
        ));
    }
    let values: Vec<(&str, &[f32])> = values.iter().map(|(name, v)| (*name, v.as_slice())).collect();
    model.with_parameters(&values).expect("the parameters fit")
}

fn pictures(seed: u64, image: usize) -> Tensor {
    let values = noise(seed, BATCH * 3 * image * image).into_iter().map(|u| u * 1.5).collect::<Vec<f32>>();
    Tensor::new([BATCH, 3, image, image], values).expect("pictures fit")
}

fn check(name: &str) {
    let mut references: HashMap<String, Reference> =
        serde_json::from_str(include_str!("data/architectures.json")).expect("the data is JSON");
    let reference = references.remove(name).expect("the script knows the architecture");
    let Reference { image, gain, shift, seed, .. } = reference;
    let arch = find(name).expect("an architecture");
    let dropout = arch.dropout.map(|_| 0.0);
    let spec = ArchSpec { image, dropout, blank: true, ..ArchSpec::new(CLASSES) };
    let model = arch.build(&spec).expect("a model");

    let source = ModelSource::Bytes(filled(&model, gain, 0.0).to_bytes().into());
    let backend = OrtBackend::new().expect("ONNX Runtime loads");
    let mut session = backend.load(&source, &SessionOptions::default()).expect("the model loads");
    let logits = session.run(&[&pictures(100, image)]).expect("the model runs");
    let logits = logits[0].values::<f32>().expect("logits are f32");
    tintype_testkit::assert_close(logits, &reference.logits, LOGITS);

    let options = GradientOptions { batch: BATCH, fused: true, trainable: &|_| true };
    let targets = (0..BATCH * CLASSES).map(|i| if i / CLASSES == i % CLASSES { 0.92 } else { 0.02 });
    let targets = Tensor::new([BATCH, CLASSES], targets.collect::<Vec<f32>>()).expect("targets fit");
    let mut step = Step::new(&filled(&model, gain, shift), &options, pictures(seed, image), targets);
    let parameters = step.graph.parameters.clone();
    let outputs = step.run(&parameters);
    assert!((outputs.loss - reference.loss).abs() <= 1e-4 * reference.loss, "loss: {}", outputs.loss);
    assert_eq!(parameters.len(), reference.gradients.len());

    let largest = reference.gradients.values().map(|g| g[0]).fold(0.0, f64::max);
    let mut wrong = Vec::new();
    for (parameter, gradient) in parameters.iter().zip(&outputs.gradients) {
        let expected = &reference.gradients[&parameter.name];
        // What a batch norm or a softmax takes away again (a bias before it) has a gradient of rounding alone.
        let norm = expected[0].max(1e-4 * largest);
        let mut squares = 0.0;
        for (k, expected) in (1..=VECTORS).zip(&expected[1..]) {
            let vector = noise(fnv(&parameter.name).wrapping_add(k), gradient.len());
            let product: f64 = gradient.iter().zip(vector).map(|(&g, u)| f64::from(g) * f64::from(u)).sum();
            squares += (product - expected).powi(2);
        }
        // Of a difference d the product with uniform numbers of ±1 has the variance |d|² / 3.
        let difference = (squares / VECTORS as f64 * 3.0).sqrt();
        if difference.is_nan() || difference > GRADIENTS * norm {
            wrong.push(format!("{}: {:.1e}", parameter.name, difference / norm));
        }
    }
    assert!(wrong.is_empty(), "of {} parameters {} differ: {wrong:#?}", parameters.len(), wrong.len());
}

macro_rules! architectures {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

architectures! {
    base_cnn
    vgg19_bn
    resnet18
    resnet34
    resnet50
    resnet20
    resnet56
    mobilenet_v2
    mobilenet_v3_small
    mobilenet_v3_large
    vit_tiny_patch16_224
    vit_small_patch16_224
    deit_tiny_patch16_224
}

#[test]
#[ignore = "the same code as its smaller sisters, at four times the cost"]
fn vit_base_patch16_224() {
    check("vit_base_patch16_224");
}

/// At this size ONNX Runtime has more shapes to compare than at the one above.
#[test]
fn large_depthwise_windows_leave_no_contradictions() {
    let arch = find("mobilenet_v3_small").expect("an architecture");
    let spec = ArchSpec { image: arch.image, blank: true, ..ArchSpec::new(CLASSES) };
    let options = GradientOptions { batch: BATCH, fused: true, trainable: &|_| true };
    let graph = differentiate(&arch.build(&spec).expect("a model"), &options).expect("gradients");
    let count = graph.model.graph().node.iter().filter(|n| n.op_type == "DepthwiseConv").count();
    assert_eq!(count, 16, "eight layers of 5×5, forwards and backwards");
    let source = ModelSource::Bytes(graph.model.to_bytes().into());
    let options = SessionOptions { custom_operators: true, ..SessionOptions::default() };
    OrtBackend::new().expect("ONNX Runtime loads").load(&source, &options).expect("the training graph loads");
}
