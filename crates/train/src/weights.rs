//! What a training changes: parameters, and the running statistics of batch norms.

use tintype_core::{Error, ErrorKind, Result, Tensor};
use tintype_graph::{BatchNormState, Model, TrainingGraph};

/// The values that training changes, apart from the graph they belong to.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    /// `f32` tensors, in the order of the training graph's parameters.
    pub parameters: Vec<Tensor>,
    names: Vec<String>,
    running: Vec<Running>,
}

/// A batch norm's running mean and variance, one value a channel.
#[derive(Debug, Clone)]
struct Running {
    state: BatchNormState,
    mean: Vec<f32>,
    variance: Vec<f32>,
}

impl Weights {
    /// The values that `model` has now.
    ///
    /// # Errors
    /// `InvalidModel` when a value of the training graph is not in the model.
    pub fn of(model: &Model, graph: &TrainingGraph) -> Result<Self> {
        let mut weights = Self { parameters: Vec::new(), names: Vec::new(), running: Vec::new() };
        for parameter in &graph.parameters {
            weights.parameters.push(Tensor::new(parameter.shape.clone(), parameter.values.clone())?);
            weights.names.push(parameter.name.clone());
        }
        for state in &graph.batch_norms {
            weights.running.push(Running {
                mean: model.f32s(&state.mean)?,
                variance: model.f32s(&state.variance)?,
                state: state.clone(),
            });
        }
        Ok(weights)
    }

    /// Elements of each parameter.
    pub fn sizes(&self) -> Vec<usize> {
        self.parameters.iter().map(|p| p.data().len()).collect()
    }

    /// Moves the running statistics towards one batch's, as PyTorch's `BatchNorm2d`: the variance that is kept is the
    /// unbiased one.
    ///
    /// `batches` holds, for each batch norm in order, its batch mean and its biased batch variance.
    ///
    /// # Errors
    /// `Internal` when the statistics are not those of this model's batch norms.
    pub fn observe(&mut self, batches: &[Tensor]) -> Result<()> {
        if batches.len() != 2 * self.running.len() {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("expected {} batch statistics, found {}", 2 * self.running.len(), batches.len()),
            ));
        }
        for (running, batch) in self.running.iter_mut().zip(batches.chunks_exact(2)) {
            let count = running.state.count as f32;
            // PyTorch refuses a single value a channel; its variance is 0 and stays so here.
            let unbiased = if count > 1.0 { count / (count - 1.0) } else { 1.0 };
            let keep = running.state.momentum;
            blend(&mut running.mean, batch[0].values()?, keep, 1.0);
            blend(&mut running.variance, batch[1].values()?, keep, unbiased);
        }
        Ok(())
    }

    /// `model` with these values.
    ///
    /// # Errors
    /// `NotFound` or `InvalidArgument` when they are not of this model.
    pub fn write_into(&self, model: &Model) -> Result<Model> {
        let mut values: Vec<(&str, &[f32])> = Vec::new();
        for (name, parameter) in self.names.iter().zip(&self.parameters) {
            values.push((name, parameter.values()?));
        }
        for Running { state, mean, variance } in &self.running {
            values.push((&state.mean, mean));
            values.push((&state.variance, variance));
        }
        model.with_parameters(&values)
    }
}

/// `running = keep · running + (1 - keep) · factor · batch`.
fn blend(running: &mut [f32], batch: &[f32], keep: f32, factor: f32) {
    for (running, batch) in running.iter_mut().zip(batch) {
        *running = keep * *running + (1.0 - keep) * factor * batch;
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use tintype_testkit::assert_close;

    use super::*;

    /// Written by `tests/data/batch_norm.py`.
    #[derive(Deserialize)]
    struct Reference {
        count: usize,
        batches: Vec<Statistics>,
        mean: Vec<f32>,
        variance: Vec<f32>,
    }

    #[derive(Deserialize)]
    struct Statistics {
        mean: Vec<f32>,
        variance: Vec<f32>,
    }

    #[test]
    fn running_statistics_are_those_of_pytorch() {
        let reference: Reference =
            serde_json::from_str(include_str!("../tests/data/batch_norm.json")).unwrap();
        // PyTorch's momentum of 0.1 is ONNX's of 0.9.
        let state = BatchNormState {
            mean: "mean".into(),
            variance: "variance".into(),
            momentum: 0.9,
            epsilon: 1e-5,
            count: reference.count,
        };
        let running = Running { state, mean: vec![0.0; 3], variance: vec![1.0; 3] };
        let mut weights = Weights { parameters: Vec::new(), names: Vec::new(), running: vec![running] };
        let tensor = |values: Vec<f32>| Tensor::new(vec![3], values).unwrap();
        for batch in reference.batches {
            weights.observe(&[tensor(batch.mean), tensor(batch.variance)]).unwrap();
        }
        assert_close(&weights.running[0].mean, &reference.mean, 1e-6);
        assert_close(&weights.running[0].variance, &reference.variance, 1e-5);
        assert_eq!(weights.observe(&[]).unwrap_err().kind(), ErrorKind::Internal);
    }
}
