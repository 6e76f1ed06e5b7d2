//! From the model's outputs to a request's.

use super::declare::{Made, Output};
use super::{Signature, invalid_argument};
use crate::triton::shape;
use crate::{Error, ErrorKind, ImageClassifier, NamedTensor, Prediction, Result, Tensor};

impl Signature {
    /// Whether the model has the outputs that a request asks for; to be called before it runs.
    ///
    /// # Errors
    /// `InvalidArgument`: `unexpected inference output 'X' for model 'm'`.
    pub fn check_outputs(&self, requested: &[String]) -> Result<()> {
        requested.iter().try_for_each(|name| self.output(name).map(|_| ()))
    }

    /// The requested outputs, or all declared ones where none is: `outputs` are the session's, in its order, for one
    /// request's `rows`. Raw outputs are moved, with the configuration's reshape undone.
    ///
    /// # Errors
    /// As [`check_outputs`](Self::check_outputs); `InvalidModel` when the model gave other shapes than it announced.
    pub fn answer(
        &self,
        requested: &[String],
        outputs: Vec<Tensor>,
        rows: usize,
    ) -> Result<Vec<NamedTensor>> {
        if outputs.len() != self.raw_outputs.len() {
            let message = format!("expected {} outputs, found {}", self.raw_outputs.len(), outputs.len());
            return Err(Error::new(ErrorKind::InvalidModel, message));
        }
        let mut asked: Vec<&Output> = Vec::new();
        if requested.is_empty() {
            asked.extend(&self.outputs);
        }
        for name in requested {
            let output = self.output(name)?;
            if asked.iter().all(|other| other.name != output.name) {
                asked.push(output);
            }
        }
        let made = Derived::of(self.classifier.as_ref(), &asked, &outputs)?;
        let mut outputs: Vec<Option<Tensor>> = outputs.into_iter().map(Some).collect();
        let mut answer = Vec::with_capacity(asked.len());
        for (i, output) in asked.iter().enumerate() {
            let tensor = match output.made {
                Made::Tensor(index) => {
                    let again = asked[i + 1..].iter().any(|later| later.made == output.made);
                    let tensor = if again { outputs[index].clone() } else { outputs[index].take() };
                    let gone =
                        || Error::new(ErrorKind::Internal, format!("output '{}' is gone", output.name));
                    self.restore(output, tensor.ok_or_else(gone)?)?
                }
                _ => self.derive(output, made.as_ref(), rows)?,
            };
            answer.push(NamedTensor { name: output.name.clone(), tensor });
        }
        Ok(answer)
    }

    fn output(&self, name: &str) -> Result<&Output> {
        let known = self.outputs.iter().chain(&self.raw_outputs).find(|output| output.name == name);
        known.ok_or_else(|| {
            invalid_argument(format!("unexpected inference output '{name}' for model '{}'", self.name))
        })
    }

    /// The model's own output under the declared shape.
    fn restore(&self, output: &Output, tensor: Tensor) -> Result<Tensor> {
        let Some(reshape) = &output.reshape else { return Ok(tensor) };
        let skip = usize::from(self.max_batch_size > 0).min(tensor.shape().len());
        let (batch, rest) = tensor.shape().split_at(skip);
        let shape: Vec<usize> =
            batch.iter().copied().chain(shape::reshape(reshape, rest, &output.dims)).collect();
        tensor.reshaped(shape).map_err(|e| Error::new(ErrorKind::InvalidModel, e.message()))
    }

    /// An output that is made of the probabilities.
    fn derive(&self, output: &Output, made: Option<&Derived<'_>>, rows: usize) -> Result<Tensor> {
        let made =
            made.ok_or_else(|| Error::new(ErrorKind::Internal, "no probabilities to make outputs of"))?;
        let each =
            |k: usize| made.probabilities.iter().flat_map(move |row| made.classifier.rank(row, Some(k)));
        match output.made {
            Made::Label => self.shaped(output, rows, each(1).map(|best| best.label.into_bytes()).collect()),
            Made::Probability => self.shaped(output, rows, each(1).map(|best| best.confidence).collect()),
            Made::Index => self.shaped(output, rows, each(1).map(|best| best.index as i64).collect()),
            Made::TopK => {
                let k = output.dims.first().and_then(|&k| usize::try_from(k).ok());
                let k = k.unwrap_or(made.classifier.postprocess().top_k);
                self.shaped(output, rows, each(k).map(|best| line(&best).into_bytes()).collect())
            }
            Made::Scores | Made::Tensor(_) => self.shaped(output, rows, made.probabilities.concat()),
        }
    }

    /// A tensor of the declared shape, with the one open size that makes it fit.
    fn shaped<T: crate::Element>(&self, output: &Output, rows: usize, values: Vec<T>) -> Result<Tensor> {
        let fixed: usize = output.dims.iter().filter_map(|&dim| usize::try_from(dim).ok()).product();
        let batch = (self.max_batch_size > 0).then_some(rows);
        let mut open = Some(values.len() / (rows * fixed).max(1));
        let sizes =
            output.dims.iter().map(|&dim| usize::try_from(dim).unwrap_or_else(|_| open.take().unwrap_or(1)));
        let shape: Vec<usize> = batch.into_iter().chain(sizes).collect();
        Tensor::new(shape, values).map_err(|e| Error::new(ErrorKind::InvalidModel, e.message()))
    }
}

/// `0.826384:281:TABBY`, as the classification extension writes a class.
fn line(best: &Prediction) -> String {
    format!("{:.6}:{}:{}", best.confidence, best.index, best.label)
}

/// Every class's probability for each row, where an output needs them.
struct Derived<'a> {
    classifier: &'a ImageClassifier,
    probabilities: Vec<Vec<f32>>,
}

impl<'a> Derived<'a> {
    fn of(
        classifier: Option<&'a ImageClassifier>,
        asked: &[&Output],
        outputs: &[Tensor],
    ) -> Result<Option<Self>> {
        let Some(classifier) = classifier else { return Ok(None) };
        if asked.iter().all(|output| matches!(output.made, Made::Tensor(_))) {
            return Ok(None);
        }
        let probabilities = classifier.probabilities(&outputs[classifier.output()])?;
        Ok(Some(Self { classifier, probabilities }))
    }
}
