//! A training graph with a session, and what one run of it gives.

use tintype_core::{ModelSource, Tensor};
use tintype_engine::ort::OrtBackend;
use tintype_engine::{Backend, Session, SessionOptions};
use tintype_graph::{GradientOptions, Model, Parameter, TrainingGraph, differentiate};

/// A training graph ready to run on one batch.
pub struct Step {
    pub graph: TrainingGraph,
    session: Box<dyn Session>,
    image: Tensor,
    targets: Tensor,
}

/// What one run gives.
pub struct Outputs {
    pub loss: f32,
    pub logits: Vec<f32>,
    /// In the order of the parameters.
    pub gradients: Vec<Vec<f32>>,
    /// Mean and biased variance of each batch norm.
    pub statistics: Vec<Vec<f32>>,
}

impl Step {
    pub fn new(model: &Model, options: &GradientOptions, image: Tensor, targets: Tensor) -> Self {
        let graph = differentiate(model, options).expect("the model has gradients");
        let source = ModelSource::Bytes(graph.model.to_bytes().into());
        let options = SessionOptions { custom_operators: true, ..SessionOptions::default() };
        let backend = OrtBackend::new().expect("ONNX Runtime loads");
        let session = backend.load(&source, &options).expect("the training graph loads");
        Self { graph, session, image, targets }
    }

    pub fn run(&mut self, parameters: &[Parameter]) -> Outputs {
        let seed = Tensor::new([1], vec![7i64]).expect("one seed");
        let parameters: Vec<Tensor> = parameters
            .iter()
            .map(|p| Tensor::new(p.shape.clone(), p.values.clone()).expect("a parameter fits its shape"))
            .collect();
        let mut inputs = vec![&self.image, &self.targets];
        inputs.extend(self.graph.has_seed.then_some(&seed));
        inputs.extend(&parameters);
        let outputs = self.session.run(&inputs).expect("the training graph runs");
        let mut outputs = outputs.iter().map(|t| t.values::<f32>().expect("outputs are f32").to_vec());
        let mut next = || outputs.next().expect("as many outputs as promised");
        Outputs {
            loss: next()[0],
            logits: next(),
            gradients: parameters.iter().map(|_| next()).collect(),
            statistics: (0..2 * self.graph.batch_norms.len()).map(|_| next()).collect(),
        }
    }
}

/// Numbers between -1 and 1 without a pattern, the same on every machine (SplitMix64).
pub fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}
