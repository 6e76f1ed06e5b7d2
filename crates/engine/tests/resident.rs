//! Results that stay where they were computed, on the CPU.

use tintype_core::{ErrorKind, ModelSource, Tensor};
use tintype_engine::mock::{MockBackend, MockModel};
use tintype_engine::ort::OrtBackend;
use tintype_engine::{Backend, Operand, SessionOptions};
use tintype_graph::Model;
use tintype_graph::proto::{DataType, Dimension, GraphProto, NodeProto, ValueInfoProto};

/// `sum = x + state`, `next = state * x`.
fn model() -> ModelSource {
    let value = |name: &str| ValueInfoProto::tensor(name, DataType::Float, vec![Dimension::of(2)]);
    let graph = GraphProto {
        node: vec![
            NodeProto::new("Add", &["x", "state"], &["sum"]),
            NodeProto::new("Mul", &["state", "x"], &["next"]),
        ],
        input: ["x", "state"].map(value).to_vec(),
        output: ["sum", "next"].map(value).to_vec(),
        ..GraphProto::default()
    };
    ModelSource::Bytes(Model::new(graph, 17).to_bytes().into())
}

fn pair(a: f32, b: f32) -> Tensor {
    Tensor::new([2], vec![a, b]).expect("two values are a pair")
}

#[test]
fn a_state_goes_from_run_to_run() {
    let mut session = OrtBackend::new().unwrap().load_resident(&model(), &SessionOptions::default()).unwrap();
    let start = session.give(pair(1.0, 10.0)).unwrap();
    let mut states = vec![start];
    for (step, expected) in [(2.0, [3.0, 12.0]), (3.0, [5.0, 23.0]), (4.0, [10.0, 64.0])] {
        let last = states.last().unwrap();
        let operands = vec![Operand::Host(pair(step, step)), Operand::Resident(last)];
        let (host, mut kept) = session.run(operands, 1).unwrap();
        assert_eq!(host[0].values::<f32>().unwrap(), expected);
        states.append(&mut kept);
    }
    // Earlier ones are as they were.
    let found: Vec<Tensor> = states.iter().map(|s| session.fetch(s).unwrap()).collect();
    assert_eq!(found, [pair(1.0, 10.0), pair(2.0, 20.0), pair(6.0, 60.0), pair(24.0, 240.0)]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let backend = OrtBackend::new().unwrap();
    let mut session = backend.load_resident(&model(), &SessionOptions::default()).unwrap();
    let three = Tensor::new([3], vec![0.0f32; 3]).unwrap();
    let cases = [
        (vec![Operand::Host(pair(0.0, 0.0))], 1),
        (vec![Operand::Host(pair(0.0, 0.0)), Operand::Host(three)], 1),
        (vec![Operand::Host(pair(0.0, 0.0)), Operand::Host(pair(0.0, 0.0))], 3),
    ];
    for (operands, kept) in cases {
        assert_eq!(session.run(operands, kept).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    let mock = MockBackend::new(MockModel::echo(Vec::new()));
    let error = mock.load_resident(&model(), &SessionOptions::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
