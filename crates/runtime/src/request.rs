//! One request, from the door to its answer.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tintype_core::{Error, ErrorKind, Prediction, Result, Tensor};
use tokio::sync::oneshot;

use crate::admission::Permit;
use crate::job::{Ticket, expired};
use crate::model::Model;
use crate::prepare::{PrepareJob, PrepareQueue};
use crate::stats::Stage;

/// An image to classify.
#[derive(Debug, Clone)]
pub struct Request {
    /// The model's name; `None` for the one that was loaded first.
    pub model: Option<String>,
    /// The encoded image.
    pub image: Bytes,
    /// The rest.
    pub options: InferOptions,
}

/// What a caller may choose.
#[derive(Debug, Clone, Copy, Default)]
pub struct InferOptions {
    /// How many predictions to answer with; the model's own number where `None`.
    pub top_k: Option<usize>,
    /// When the answer is of no use any more.
    pub deadline: Option<tokio::time::Instant>,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The classes, best first; never empty.
    pub predictions: Vec<Prediction>,
}

/// A request that was let in before its body was read. Dropping it gives the place back.
#[derive(Debug)]
pub struct Admitted {
    pub(crate) model: Arc<Model>,
    pub(crate) prepare: Arc<PrepareQueue>,
    pub(crate) permit: Permit,
    pub(crate) accepted: Instant,
}

impl Admitted {
    /// The name of the model that will answer.
    pub fn model(&self) -> &str {
        &self.model.name
    }

    /// Takes a place for `bytes` more, for a body whose length was not announced.
    ///
    /// # Errors
    /// `Overloaded` when too many bytes are in flight, `PayloadTooLarge` when so many never fit.
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        self.model
            .admission
            .grow(&mut self.permit, bytes)
            .inspect_err(|error| self.model.stats.failed(error.kind()))
    }

    /// Classifies `image`. Dropping the future cancels the request wherever it is.
    ///
    /// # Errors
    /// What is wrong with the image; `DeadlineExceeded`; `NotReady` when the model is unloaded meanwhile; `Engine` or
    /// `Internal` when computing fails.
    pub async fn infer(self, image: Bytes, options: InferOptions) -> Result<Answer> {
        let (model, accepted) = (self.model.clone(), self.accepted);
        let mut watch = Watch { model: &model, finished: false };
        let result = self.run(image, options).await;
        watch.finished = true;
        match &result {
            Ok(_) => {
                let total = accepted.elapsed();
                model.stats.observe(Stage::Total, total);
                model.admission.observe(total);
                model.stats.succeeded();
            }
            Err(error) => model.stats.failed(error.kind()),
        }
        result
    }

    async fn run(self, image: Bytes, options: InferOptions) -> Result<Answer> {
        let Self { model, prepare, permit, accepted } = self;
        if options.deadline.is_some_and(|deadline| deadline <= tokio::time::Instant::now()) {
            return Err(expired());
        }
        let (reply, answer) = oneshot::channel();
        let ticket = Ticket::new(reply, options.deadline.map(Into::into), permit);
        let job = PrepareJob { model: model.clone(), image, ticket, accepted };
        prepare.push(job).map_err(|_| model.not_ready("the server is shutting down"))?;
        let answer = match options.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, answer).await.map_err(|_| expired())?,
            None => answer.await,
        };
        let outputs = answer
            .map_err(|_| Error::new(ErrorKind::Internal, "the request was dropped without an answer"))??;
        let started = Instant::now();
        let answer = postprocess(&model, &outputs, options.top_k);
        model.stats.observe(Stage::Post, started.elapsed());
        answer
    }
}

/// Counts a request as cancelled unless it came to an end.
struct Watch<'a> {
    model: &'a Model,
    finished: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.model.stats.failed(ErrorKind::Cancelled);
        }
    }
}

/// Ranks the scores of one image.
fn postprocess(model: &Model, outputs: &[Tensor], top_k: Option<usize>) -> Result<Answer> {
    let broken = |message: &str| Error::new(ErrorKind::Engine, message);
    let scores = outputs
        .get(model.classifier.output())
        .ok_or_else(|| broken("the model answered with fewer outputs than it declares"))?;
    let probabilities = model.classifier.probabilities(scores)?;
    let row = probabilities.first().ok_or_else(|| broken("the model answered with no rows"))?;
    if row.iter().any(|p| !p.is_finite()) {
        return Err(broken("the model answered with scores that are not finite"));
    }
    let predictions = model.classifier.rank(row, top_k);
    if predictions.is_empty() {
        return Err(broken("the model answered with no classes"));
    }
    Ok(Answer { predictions })
}
