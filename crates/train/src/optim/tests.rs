//! Steps, clipping and groups against PyTorch and timm.

use serde::Deserialize;
use tintype_testkit::assert_close;

use super::*;

/// Written by `tests/data/optim.py`.
#[derive(Deserialize)]
struct Case {
    /// What differs from the defaults.
    config: serde_json::Map<String, serde_json::Value>,
    rates: Vec<f64>,
    start: Vec<f32>,
    gradients: Vec<Vec<f32>>,
    end: Vec<f32>,
}

fn setting(size: usize, weight_decay: f64) -> Setting {
    Setting { name: "w".to_owned(), size, rate: 1.0, weight_decay }
}

#[test]
fn steps_are_those_of_pytorch() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/data/optim.json")).unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let size = case.start.len();
        let mut config = serde_json::to_value(OptimConfig::default()).unwrap();
        config.as_object_mut().unwrap().extend(case.config);
        let config: OptimConfig = serde_json::from_value(config).unwrap();
        let mut optimizer = Optimizer::new(&config, vec![setting(size, config.weight_decay)]);
        let mut parameters = [Tensor::new(vec![size], case.start).unwrap()];
        for (gradient, rate) in case.gradients.into_iter().zip(case.rates) {
            let gradients = [Tensor::new(vec![size], gradient).unwrap()];
            let clip = Clip::new(&config, &gradients, 1.0).unwrap();
            optimizer.step(&mut parameters, &gradients, rate, clip).unwrap();
        }
        // A few units in the last place after 10 steps over values around 1.
        assert_close(parameters[0].values().unwrap(), &case.end, 1e-6);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let config = OptimConfig { name: OptimName::Sgd, ..OptimConfig::default() };
    let mut optimizer = Optimizer::new(&config, vec![setting(2, 0.0)]);
    let tensor = |n: usize| Tensor::new(vec![n], vec![1.0f32; n]).unwrap();
    let mut parameters = [tensor(2)];
    for wrong in [vec![], vec![tensor(3)], vec![Tensor::new(vec![2], vec![1i64; 2]).unwrap()]] {
        let error = optimizer.step(&mut parameters, &wrong, 1.0, Clip::NONE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
    assert_eq!(parameters[0], tensor(2));
}

#[test]
fn an_optimizer_follows_another_by_names() {
    let config = OptimConfig { name: OptimName::Sgd, ..OptimConfig::default() };
    let named = |name: &str| Setting { name: name.to_owned(), ..setting(1, 0.0) };
    let tensor = |v: f32| Tensor::new(vec![1], vec![v]).unwrap();
    let mut head = Optimizer::new(&config, vec![named("head")]);
    head.step(&mut [tensor(0.0)], &[tensor(2.0)], 0.1, Clip::NONE).unwrap();
    let mut all = Optimizer::new(&config, vec![named("stem"), named("head")]);
    all.follow(head);
    let found: Vec<_> = all.slots().iter().map(|s| (s.steps, s.first[0])).collect();
    assert_eq!(found, [(0, 0.0), (1, 2.0)]);
}

/// Written by `tests/data/groups.py`.
#[derive(Deserialize)]
struct Groups {
    model: String,
    /// In the order of first use; rates with `layer_decay=0.75`.
    parameters: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    axes: usize,
    rate: f64,
    decays: bool,
}

#[test]
fn rates_and_decays_are_timms() {
    let all: Vec<Groups> = serde_json::from_str(include_str!("../../tests/data/groups.json")).unwrap();
    assert_eq!(all.len(), 4);
    let config = OptimConfig {
        weight_decay: 0.05,
        layer_decay: 0.75,
        filter_bias_and_bn: true,
        ..OptimConfig::default()
    };
    for Groups { model, parameters } in all {
        let (graph, declared) = chain(&parameters);
        let found = groups::settings(&config, &graph, &declared);
        for (found, expected) in found.iter().zip(&parameters) {
            assert!((found.rate - expected.rate).abs() < 1e-12, "{model}: {found:?}, not {}", expected.rate);
            let decay = if expected.decays { 0.05 } else { 0.0 };
            assert_eq!(found.weight_decay, decay, "{model}: {}", found.name);
        }
    }
}

/// A graph that reads these parameters in this order.
fn chain(parameters: &[Named]) -> (tintype_graph::Model, Vec<tintype_graph::Parameter>) {
    use tintype_graph::proto::{GraphProto, NodeProto};
    let node = |p: &Named| NodeProto::new("Add", &["x", &p.name], &["x"]);
    let graph = GraphProto { node: parameters.iter().map(node).collect(), ..GraphProto::default() };
    let declared = parameters.iter().map(|p| tintype_graph::Parameter {
        name: p.name.clone(),
        shape: vec![1; p.axes],
        values: vec![0.0],
    });
    (tintype_graph::Model::new(graph, 17), declared.collect())
}
