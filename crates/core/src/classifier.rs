//! One classification model's contract between pixels, tensors and labels.

use std::sync::Arc;

use crate::image::Limits;
use crate::{
    DType, Error, ErrorKind, Package, Plan, PostprocessSpec, Prediction, Result, Scratch, Tensor, TensorSpec,
    postprocess,
};

/// A package's preprocessing, postprocessing and labels, checked against the model's inputs and outputs.
///
/// Everything that classifies an image (server, batch, evaluation, `predict`) goes through this type, so that they
/// cannot drift apart.
#[derive(Debug, Clone)]
pub struct ImageClassifier {
    plan: Plan,
    postprocess: PostprocessSpec,
    /// Whether answers abstain where a request does not choose.
    abstain: bool,
    labels: Arc<[String]>,
    input: usize,
    output: usize,
    /// Where the model says how many.
    classes: Option<usize>,
}

impl ImageClassifier {
    /// Ties `package` to a loaded model's `inputs` and `outputs`.
    ///
    /// # Errors
    /// `InvalidModel` when the plan's dtype or shape does not fit the input, when the output is not `f32` `[N, classes]`
    /// (or `[N, classes, 1, 1]`), when the labels are not as many as the classes, or when the model has other inputs
    /// that nothing would feed; `InvalidConfig` when the package has no preprocessing or an invalid spec.
    pub fn new(
        package: &Package,
        inputs: &[TensorSpec],
        outputs: &[TensorSpec],
        limits: Limits,
    ) -> Result<Self> {
        let spec = &package.spec;
        let preprocess = spec.preprocess.clone().ok_or_else(|| {
            Error::new(ErrorKind::InvalidConfig, format!("model `{}` has no preprocessing", package.name))
                .with_hint("add a `[preprocess]` table to its `tintype.toml`")
        })?;
        let plan = Plan::new(preprocess, limits)?;
        postprocess::validate(&spec.postprocess)?;
        let input = find("input", inputs, spec.input.as_deref())?;
        let output = find("output", outputs, spec.output.as_deref())?;
        if let Some(other) = inputs.iter().enumerate().find(|(i, _)| *i != input) {
            return Err(invalid(format!(
                "expected one input, `{}`, found another that nothing feeds: `{}`",
                inputs[input].name, other.1
            )));
        }
        check_input(&inputs[input], &plan)?;
        let classes = check_output(&outputs[output])?;
        if let Some(classes) = classes.filter(|&n| !package.labels.is_empty() && n != package.labels.len()) {
            return Err(invalid(format!("expected {classes} labels, found {}", package.labels.len())));
        }
        let labels: Arc<[String]> = package.labels.as_slice().into();
        let this = Self {
            plan,
            postprocess: spec.postprocess.clone(),
            abstain: spec.serving.abstain,
            labels,
            input,
            output,
            classes,
        };
        this.check_thresholds()?;
        Ok(this)
    }

    /// The class names, by index; empty where the package has none.
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

    /// How many classes there are; `None` where neither the model nor the labels say.
    pub fn classes(&self) -> Option<usize> {
        self.classes.or(Some(self.labels.len()).filter(|&n| n > 0))
    }

    /// The name of class `index`: its label, or the index in decimal.
    pub fn label(&self, index: usize) -> String {
        self.labels.get(index).cloned().unwrap_or_else(|| index.to_string())
    }

    /// Decodes and prepares one image as a batch of one: `[1, …]`.
    ///
    /// # Errors
    /// Those of [`Plan::prepare`].
    pub fn prepare(&self, bytes: &[u8], scratch: &mut Scratch) -> Result<Tensor> {
        let tensor = self.plan.prepare(bytes, scratch)?;
        let shape: Vec<usize> = std::iter::once(1).chain(tensor.shape().iter().copied()).collect();
        tensor.reshaped(shape)
    }

    /// Every class's probability for each row of `scores` (`[N, classes]` or `[N, classes, 1, 1]`, `f32`).
    ///
    /// # Errors
    /// `InvalidModel` when the model gave another dtype, shape or number of classes than it announced.
    pub fn probabilities(&self, scores: &Tensor) -> Result<Vec<Vec<f32>>> {
        let mut rows = self.scores(scores)?;
        for row in &mut rows {
            postprocess::activate(&self.postprocess, row);
        }
        Ok(rows)
    }

    /// Every class's score for each row of `scores`, as the model gave them: what [`ImageClassifier::probabilities`] starts
    /// from.
    ///
    /// # Errors
    /// As [`ImageClassifier::probabilities`].
    pub fn scores(&self, scores: &Tensor) -> Result<Vec<Vec<f32>>> {
        let classes = match scores.shape() {
            &[_, classes] | &[_, classes, 1, 1] if classes > 0 && scores.dtype() == DType::F32 => classes,
            shape => {
                return Err(invalid(format!(
                    "expected scores of `f32` [N, classes], found `{}` {shape:?}",
                    scores.dtype()
                )));
            }
        };
        if let Some(expected) = self.classes().filter(|&n| n != classes) {
            return Err(invalid(format!("expected scores of {expected} classes, found {classes}")));
        }
        Ok(scores.values::<f32>()?.chunks_exact(classes).map(<[f32]>::to_vec).collect())
    }

    /// Whether one row of probabilities is below its best class's threshold: then the answer is "I do not know". None where
    /// nobody asks: `asked` is the request's choice, or else the package's.
    ///
    /// # Errors
    /// `InvalidArgument` when the model has no thresholds.
    pub fn abstains(&self, probabilities: &[f32], asked: Option<bool>) -> Result<Option<bool>> {
        if !asked.unwrap_or(self.abstain) {
            return Ok(None);
        }
        if self.postprocess.thresholds.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "the model has no thresholds to abstain by")
                .with_hint(
                    "training fits them; they are `thresholds` under `[postprocess]` in `tintype.toml`",
                ));
        }
        let best = postprocess::top_k(probabilities, 1).into_iter().next();
        Ok(best.map(|(class, confidence)| {
            self.postprocess.thresholds.get(class).is_some_and(|&least| confidence < least)
        }))
    }

    fn check_thresholds(&self) -> Result<()> {
        let count = self.postprocess.thresholds.len();
        let problem = match self.classes() {
            _ if count == 0 && self.abstain => "`abstain` under `[serving]` needs `thresholds`".to_owned(),
            Some(classes) if count != 0 && count != classes => {
                format!("`thresholds`: expected one for each of {classes} classes, found {count}")
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::InvalidConfig, problem))
    }

    /// The `top_k` best classes of one row of probabilities (the spec's number where `None`), best first.
    pub fn rank(&self, probabilities: &[f32], top_k: Option<usize>) -> Vec<Prediction> {
        postprocess::top_k(probabilities, top_k.unwrap_or(self.postprocess.top_k))
            .into_iter()
            .map(|(index, confidence)| Prediction { index, label: self.label(index), confidence })
            .collect()
    }
}

/// The index of the input or output that the spec names, or of the first.
fn find(what: &str, specs: &[TensorSpec], name: Option<&str>) -> Result<usize> {
    let found = match name {
        None if specs.is_empty() => return Err(invalid(format!("expected an {what}, found none"))),
        None => return Ok(0),
        Some(name) => specs.iter().position(|spec| spec.name == name),
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        invalid(format!("expected {what} `{}`, found `{}`", name.unwrap_or_default(), names.join("`, `")))
    })
}

fn check_input(input: &TensorSpec, plan: &Plan) -> Result<()> {
    let (fits, prepared) = match plan.output_shape() {
        Some([a, b, c]) => (
            // Any batch will do: the scheduler knows the sizes that the model takes.
            input.accepts(plan.dtype(), &[input.shape.first().copied().flatten().unwrap_or(1), a, b, c]),
            format!("[?,{a},{b},{c}]"),
        ),
        // Sizes that depend on the image fit a model that leaves them open.
        None => (
            input.dtype == plan.dtype()
                && input.shape.len() == 4
                && input.shape[1..].iter().filter(|axis| axis.is_none()).count() >= 2,
            "[?, …] of varying size".to_owned(),
        ),
    };
    if fits {
        return Ok(());
    }
    Err(invalid(format!("expected input `{input}`, found preprocessing to {}{prepared}", plan.dtype()))
        .with_hint("`[preprocess]` in `tintype.toml` sets size, layout and dtype"))
}

/// The number of classes.
fn check_output(output: &TensorSpec) -> Result<Option<usize>> {
    match output.shape.as_slice() {
        [_, classes] | [_, classes, Some(1), Some(1)] if output.dtype == DType::F32 => Ok(*classes),
        _ => Err(invalid(format!("expected an output of f32[N,classes], found `{output}`"))),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidModel, message)
}
