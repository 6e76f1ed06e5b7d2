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

/// An array of the weights.
#[derive(Debug)]
pub(crate) struct Named<'a> {
    pub name: &'a str,
    pub shape: Vec<usize>,
    pub values: &'a [f32],
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

    /// Every array with its name and shape: parameters, then running means and variances.
    pub fn named(&self) -> Result<Vec<Named<'_>>> {
        let mut all = Vec::new();
        for (name, parameter) in self.names.iter().zip(&self.parameters) {
            all.push(Named { name, shape: parameter.shape().to_vec(), values: parameter.values()? });
        }
        for Running { state, mean, variance } in &self.running {
            all.push(Named { name: &state.mean, shape: vec![mean.len()], values: mean });
            all.push(Named { name: &state.variance, shape: vec![variance.len()], values: variance });
        }
        Ok(all)
    }

    /// The same arrays, to be changed: name and values.
    fn named_mut(&mut self) -> Result<Vec<(&str, &mut [f32])>> {
        let mut all: Vec<(&str, &mut [f32])> = Vec::new();
        for (name, parameter) in self.names.iter().zip(&mut self.parameters) {
            all.push((name, parameter.values_mut()?));
        }
        for Running { state, mean, variance } in &mut self.running {
            all.push((&state.mean, mean));
            all.push((&state.variance, variance));
        }
        Ok(all)
    }

    /// Takes each array that `find` knows by its name and size.
    ///
    /// # Errors
    /// `Internal` in no case that is known.
    pub fn take<'a>(&mut self, find: impl Fn(&str) -> Option<&'a [f32]>) -> Result<()> {
        for (name, values) in self.named_mut()? {
            if let Some(found) = find(name).filter(|found| found.len() == values.len()) {
                values.copy_from_slice(found);
            }
        }
        Ok(())
    }

    /// Takes the arrays that `other` has too.
    ///
    /// # Errors
    /// `Internal` in no case that is known.
    pub fn adopt(&mut self, other: &Self) -> Result<()> {
        let others = other.named()?;
        self.take(|name| others.iter().find(|o| o.name == name).map(|o| o.values))
    }

    /// Moves every array towards `other`'s, keeping `keep` of its own.
    ///
    /// # Errors
    /// `Internal` when the weights are of another model.
    pub fn blend(&mut self, other: &Self, keep: f32) -> Result<()> {
        let others = other.named()?;
        let own = self.named_mut()?;
        if own.len() != others.len() {
            return Err(Error::new(ErrorKind::Internal, "the weights of two models do not blend"));
        }
        for ((_, own), other) in own.into_iter().zip(others) {
            blend(own, other.values, keep, 1.0);
        }
        Ok(())
    }

    /// The running statistics one behind the other: of each batch norm the mean, then the variance.
    pub fn running(&self) -> Vec<f32> {
        self.running.iter().flat_map(|r| r.mean.iter().chain(&r.variance)).copied().collect()
    }

    /// Puts running statistics in place, in the order of [`Weights::running`].
    ///
    /// # Errors
    /// `Internal` when there are more or fewer.
    pub fn set_running(&mut self, values: &[f32]) -> Result<()> {
        let mut rest = values;
        for Running { mean, variance, .. } in &mut self.running {
            for part in [mean, variance] {
                let (own, others) = rest.split_at_checked(part.len()).ok_or_else(|| miscounted(values))?;
                part.copy_from_slice(own);
                rest = others;
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(miscounted(values)) }
    }

    /// Whether there are running statistics, and how many batches they remember: the largest `1 / (1 - momentum)`.
    pub fn memory(&self) -> Option<f64> {
        self.running.iter().map(|r| 1.0 / (1.0 - f64::from(r.state.momentum)).max(1e-9)).reduce(f64::max)
    }

    /// Puts the mean of several batches' statistics in place of the running ones, as PyTorch's `update_bn`.
    ///
    /// # Errors
    /// Those of [`Weights::observe`].
    pub fn average(&mut self, batches: &[Vec<Tensor>]) -> Result<()> {
        let momenta: Vec<f32> = self.running.iter().map(|r| r.state.momentum).collect();
        for (before, batch) in batches.iter().enumerate() {
            let keep = before as f32 / (before + 1) as f32;
            self.running.iter_mut().for_each(|r| r.state.momentum = keep);
            self.observe(batch)?;
        }
        self.running.iter_mut().zip(momenta).for_each(|(r, momentum)| r.state.momentum = momentum);
        Ok(())
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
            let unbiased = running.state.unbiased();
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
        let named = self.named()?;
        let values: Vec<(&str, &[f32])> = named.iter().map(|array| (array.name, array.values)).collect();
        model.with_parameters(&values)
    }
}

fn miscounted(values: &[f32]) -> Error {
    Error::new(ErrorKind::Internal, format!("{} running statistics are not those of the model", values.len()))
}

/// `running = keep · running + (1 - keep) · factor · batch`.
fn blend(running: &mut [f32], batch: &[f32], keep: f32, factor: f32) {
    for (running, batch) in running.iter_mut().zip(batch) {
        *running = keep * *running + (1.0 - keep) * factor * batch;
    }
}

#[cfg(test)]
impl Weights {
    /// Parameters alone.
    pub fn plain(parameters: &[(&str, Tensor)]) -> Self {
        Self {
            names: parameters.iter().map(|(name, _)| (*name).to_owned()).collect(),
            parameters: parameters.iter().map(|(_, values)| values.clone()).collect(),
            running: Vec::new(),
        }
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

    #[test]
    fn an_average_takes_every_batch_alike_and_forgets_what_was_before() {
        let state = BatchNormState {
            mean: "mean".into(),
            variance: "variance".into(),
            momentum: 0.9,
            epsilon: 1e-5,
            count: 5,
        };
        let running = Running { state, mean: vec![7.0], variance: vec![9.0] };
        let mut weights = Weights { parameters: Vec::new(), names: Vec::new(), running: vec![running] };
        let batch = |mean: f32, variance: f32| {
            [mean, variance].map(|v| Tensor::new(vec![1], vec![v]).unwrap()).to_vec()
        };
        weights.average(&[batch(1.0, 4.0), batch(2.0, 8.0), batch(6.0, 0.0)]).unwrap();
        assert_close(&weights.running[0].mean, &[3.0], 1e-6);
        // Unbiased: 5/4 of the mean of 4, 8 and 0.
        assert_close(&weights.running[0].variance, &[5.0], 1e-6);
        assert_eq!(weights.memory().map(f64::round), Some(10.0));
    }
}
