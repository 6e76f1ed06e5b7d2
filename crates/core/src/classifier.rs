//! One classification model's contract between pixels, tensors and labels.

use std::sync::Arc;

use crate::{Package, Plan, PostprocessSpec, Prediction, Result, Scratch, Tensor, TensorSpec, image::Limits};

/// A package's preprocessing, postprocessing and labels, checked against the model's inputs and outputs.
///
/// Everything that classifies an image (server, batch, evaluation, `predict`) goes through this type, so that they
/// cannot drift apart.
#[derive(Debug, Clone)]
pub struct ImageClassifier {
    plan: Plan,
    postprocess: PostprocessSpec,
    labels: Arc<[String]>,
    input: usize,
    output: usize,
}

impl ImageClassifier {
    /// Ties `package` to a loaded model's `inputs` and `outputs`.
    ///
    /// # Errors
    /// `InvalidModel` when the plan's dtype or shape does not fit the input, when the output is not `f32` `[N, classes]`
    /// (or `[N, classes, 1, 1]`), when the labels are not as many as the classes, or when the model has other inputs
    /// that nothing would feed; `InvalidConfig` when the package has no preprocessing.
    pub fn new(
        _package: &Package,
        _inputs: &[TensorSpec],
        _outputs: &[TensorSpec],
        _limits: Limits,
    ) -> Result<Self> {
        todo!()
    }

    /// The class names, by index.
    pub fn labels(&self) -> &Arc<[String]> {
        &self.labels
    }

    /// The preprocessing.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The postprocessing.
    pub fn postprocess(&self) -> &PostprocessSpec {
        &self.postprocess
    }

    /// Which of the model's inputs takes the image.
    pub fn input(&self) -> usize {
        self.input
    }

    /// Which of the model's outputs holds the scores.
    pub fn output(&self) -> usize {
        self.output
    }

    /// Decodes and prepares one image as a batch of one: `[1, …]`.
    pub fn prepare(&self, _bytes: &[u8], _scratch: &mut Scratch) -> Result<Tensor> {
        todo!()
    }

    /// Every class's probability for each row of `scores` (`[N, classes]` or `[N, classes, 1, 1]`, `f32`).
    pub fn probabilities(&self, _scores: &Tensor) -> Result<Vec<Vec<f32>>> {
        todo!()
    }

    /// The `top_k` best classes of one row of probabilities (the spec's number where `None`), best first.
    pub fn rank(&self, _probabilities: &[f32], _top_k: Option<usize>) -> Vec<Prediction> {
        todo!()
    }
}
