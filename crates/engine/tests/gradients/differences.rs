//! Gradients against central differences.

use tintype_core::Tensor;
use tintype_graph::proto::{DataType, Dimension, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use tintype_graph::{GradientOptions, Model, Parameter};

use crate::step::{Outputs, Step, noise};

/// Images in a batch, and classes.
const BATCH: usize = 2;
const CLASSES: usize = 3;
/// Half the distance of the two losses; large enough for the rounding of `f32`, small enough for curvature.
const REACH: f32 = 2e-3;
/// A derivative may be off by this and this share of it: a loss near 1 is rounded to 6e-8, which `REACH` makes 3e-5,
/// and the sums behind it are rounded too.
const ABSOLUTE: f32 = 4e-4;
const RELATIVE: f32 = 4e-3;

/// A few nodes that turn `x` into `y`, between a scale of the image that is trained, and a linear layer. The scale
/// shows the gradient that arrives at `x`, the layer makes a loss of `y`.
pub struct Case {
    pub name: &'static str,
    /// `[C, H, W]` of the image, or other axes.
    pub image: Vec<usize>,
    pub nodes: Vec<NodeProto>,
    pub parameters: Vec<(&'static str, Vec<usize>)>,
    /// Stored values that are not trained.
    pub settings: Vec<TensorProto>,
    /// How many values of an image `y` has.
    pub features: usize,
    /// Names that are not trained.
    pub frozen: Vec<&'static str>,
    /// Whether there is a gradient without the fused operators.
    pub plain: bool,
    /// The version of ONNX's operators.
    pub opset: i64,
}

impl Case {
    pub fn new(name: &'static str, image: &[usize], features: usize, nodes: Vec<NodeProto>) -> Self {
        let (parameters, settings, frozen) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            name,
            image: image.to_vec(),
            nodes,
            parameters,
            settings,
            features,
            frozen,
            plain: true,
            opset: 17,
        }
    }

    pub fn parameter(mut self, name: &'static str, shape: &[usize]) -> Self {
        self.parameters.push((name, shape.to_vec()));
        self
    }

    pub fn setting(mut self, tensor: TensorProto) -> Self {
        self.settings.push(tensor);
        self
    }

    pub fn of_features(mut self, features: usize) -> Self {
        self.features = features;
        self
    }

    fn model(&self) -> Model {
        let mut nodes = vec![NodeProto::new("Mul", &["image", "scale"], &["x"])];
        nodes.extend(self.nodes.iter().cloned());
        nodes.push(NodeProto::new("Flatten", &["y"], &["rows"]));
        nodes.push(NodeProto::new("Gemm", &["rows", "last.weight", "last.bias"], &["raw"]));
        nodes.push(NodeProto::new("Softmax", &["raw"], &["scores"]));
        let random = |(seed, (name, shape)): (u64, &(&str, Vec<usize>))| {
            let mut values = noise(seed, shape.iter().product());
            if shape.len() == 1 || *name == "scale" {
                // Away from 0, for scales and divisors.
                values.iter_mut().for_each(|v| *v = 1.0 + 0.4 * *v);
            } else {
                // A loss that stays near 1, for the sake of its rounding.
                let inputs = shape[0].max(values.len() / shape[0]) as f32;
                values.iter_mut().for_each(|v| *v /= inputs.sqrt());
            }
            TensorProto::from_f32(name, shape, &values)
        };
        let around = [
            ("scale", [&[1], self.image.as_slice()].concat()),
            ("last.weight", vec![self.features, CLASSES]),
            ("last.bias", vec![CLASSES]),
        ];
        let initializers = (1..).zip(around.iter().chain(&self.parameters)).map(random);
        let batch = || Dimension::named("N");
        let axes = std::iter::once(batch()).chain(self.image.iter().map(|&d| Dimension::of(d))).collect();
        let graph = GraphProto {
            node: nodes,
            initializer: initializers.chain(self.settings.iter().cloned()).collect(),
            input: vec![ValueInfoProto::tensor("image", DataType::Float, axes)],
            output: vec![ValueInfoProto::tensor(
                "scores",
                DataType::Float,
                vec![batch(), Dimension::of(CLASSES)],
            )],
            ..GraphProto::default()
        };
        Model::new(graph, self.opset)
    }

    fn step(&self, fused: bool) -> Step {
        let trainable = |name: &str| !self.frozen.contains(&name);
        let options = GradientOptions { batch: BATCH, fused, trainable: &trainable };
        let shape = [&[BATCH], self.image.as_slice()].concat();
        let image = Tensor::new(shape.clone(), noise(99, shape.iter().product())).expect("the image fits");
        let targets =
            Tensor::new([BATCH, CLASSES], vec![0.1f32, 0.7, 0.2, 1.0, 0.0, 0.0]).expect("the targets fit");
        Step::new(&self.model(), &options, image, targets)
    }

    /// What is wrong with the case's gradients; empty when nothing is.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self.against_differences(true);
        if self.plain {
            complaints.extend(self.against_differences(false));
        }
        complaints
    }

    fn against_differences(&self, fused: bool) -> Vec<String> {
        let mut step = self.step(fused);
        let parameters = step.graph.parameters.clone();
        let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
        let wanted =
            ["scale", "last.weight", "last.bias"].into_iter().chain(self.parameters.iter().map(|p| p.0));
        let wanted: Vec<&str> = wanted.filter(|name| !self.frozen.contains(name)).collect();
        let mut complaints = Vec::new();
        if names != wanted {
            complaints.push(format!("{}: expected the parameters {wanted:?}, found {names:?}", self.name));
        }
        let Outputs { gradients, .. } = step.run(&parameters);
        for (index, (parameter, gradient)) in parameters.iter().zip(&gradients).enumerate() {
            for direction in directions(parameter, index as u64) {
                let mut loss_at = |reach: f32| {
                    let mut moved = parameters.clone();
                    let values = moved[index].values.iter_mut();
                    values.zip(&direction).for_each(|(v, d)| *v += reach * d);
                    step.run(&moved).loss
                };
                let expected = (loss_at(REACH) - loss_at(-REACH)) / (2.0 * REACH);
                let found: f32 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
                if (found - expected).abs() > ABSOLUTE + RELATIVE * expected.abs() || found.is_nan() {
                    complaints.push(format!(
                        "{} (fused: {fused}): the derivative of `{}` is {expected}, found {found}",
                        self.name, parameter.name
                    ));
                }
            }
        }
        complaints
    }
}

/// Directions to differentiate along: each of the first elements alone, and all at once three times.
fn directions(parameter: &Parameter, seed: u64) -> Vec<Vec<f32>> {
    let count = parameter.values.len();
    let alone = (0..count.min(6)).map(|i| (0..count).map(|j| if i == j { 1.0 } else { 0.0 }).collect());
    let together = (0..3).map(|k| noise(1000 * (k + 1) + seed, count));
    alone.chain(together).collect()
}
