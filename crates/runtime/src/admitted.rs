//! One request, from the door to its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tintype_core::{Bound, Ensemble, Error, ErrorKind, NamedTensor, Result, Tensor, triton};
use tokio::sync::oneshot;

use crate::admission::Permit;
use crate::cache;
use crate::driver::Pushed;
use crate::ensemble;
use crate::job::{Job, Ran, Ticket, Times, expired, timed_out};
use crate::model::{Model, Work};
use crate::pipeline::Pipeline;
use crate::policy::Patience;
use crate::prepare::PrepareJob;
use crate::shared::Shared;
use crate::stats::Stage;
use crate::trace::{Activity, Trace};
use crate::{Answer, InferOptions, InferRequest, InferResponse};

/// A request that was let in before its body was read. Dropping it gives the place back.
#[derive(Debug)]
pub struct Admitted {
    pub(crate) model: Arc<Model>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) permit: Permit,
    pub(crate) accepted: Instant,
    /// Where its stages are noted, if they are.
    pub(crate) trace: Option<Arc<Trace>>,
}

impl Admitted {
    /// The name of the model that will answer.
    pub fn model(&self) -> &Arc<str> {
        &self.model.name
    }

    /// The version of the model that will answer.
    pub fn version(&self) -> u64 {
        self.model.number
    }

    /// When it was let in.
    pub fn accepted(&self) -> Instant {
        self.accepted
    }

    /// The same request, its stages noted in `trace`; see [`Tracing::sample`](crate::Tracing::sample).
    #[must_use]
    pub fn traced(mut self, trace: Option<Arc<Trace>>) -> Self {
        if let Some(trace) = &trace {
            trace.model(&self.model.name, self.model.number);
        }
        self.trace = trace;
        self
    }

    /// Takes a place for `bytes` more, for a body whose length was not announced.
    ///
    /// # Errors
    /// `Overloaded` when too many bytes are in flight, `PayloadTooLarge` when so many never fit.
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        let (model, waited) = (&self.model, self.accepted.elapsed());
        model
            .admission
            .grow(&mut self.permit, bytes)
            .inspect_err(|error| model.stats.failed(error.kind(), waited))
    }

    /// The same request, unless it cannot be answered by `deadline`: to be asked before its body is read.
    ///
    /// # Errors
    /// `DeadlineExceeded`, saying how long it would take.
    pub fn by(self, deadline: tokio::time::Instant) -> Result<Self> {
        let model = &self.model;
        model
            .admission
            .check_deadline(self.accepted, Some(deadline.into()))
            .inspect_err(|error| model.stats.failed(error.kind(), self.accepted.elapsed()))?;
        Ok(self)
    }

    /// Classifies `image`. Dropping the future cancels the request wherever it is.
    ///
    /// # Errors
    /// What is wrong with the image; `Unsupported` for a model that takes tensors only; `DeadlineExceeded`; `NotReady`
    /// when the model is unloaded meanwhile; `Engine` or `Internal` when computing fails.
    pub async fn classify(self, image: Bytes, options: InferOptions) -> Result<Answer> {
        let watch = self.watch();
        watch.end(self.ranked(image, options).await)
    }

    /// Runs the model on tensors. Dropping the future cancels the request wherever it is.
    ///
    /// # Errors
    /// `InvalidArgument` when inputs or outputs do not fit the model; what is wrong with an image; `Overloaded` when the
    /// queue of its priority is full; `QueueTimeout` when it waited longer than the queue's policy allows;
    /// `DeadlineExceeded`; `NotReady` when the model is unloaded meanwhile; `Engine` or `Internal` when computing fails.
    /// Those of the request itself begin with `[request id: …] `.
    pub async fn infer(self, request: InferRequest) -> Result<InferResponse> {
        let (model, trace) = (self.model.clone(), self.trace.clone());
        if let Some(trace) = &trace {
            trace.tensors(Activity::TensorQueueInput, &request.inputs);
            trace.request(&request.id);
        }
        let watch = self.watch();
        let outputs = watch.end(self.outputs(request).await)?;
        if let Some(trace) = trace {
            trace.tensors(Activity::TensorBackendOutput, &outputs);
        }
        Ok(InferResponse { model: model.name.clone(), version: model.number, outputs })
    }

    /// What counts how it ends, from now on.
    fn watch(&self) -> Watch {
        stamp(self.trace.as_ref(), Activity::RequestStart);
        let Self { model, accepted, trace, .. } = self;
        Watch { model: model.clone(), accepted: *accepted, trace: trace.clone(), finished: false }
    }

    async fn ranked(self, image: Bytes, options: InferOptions) -> Result<Done<Answer>> {
        let pipeline = self.model.pipeline()?.clone();
        pipeline.classifier()?;
        let deadline = options.deadline.map(Into::into);
        let level = pipeline.levels.default;
        let patience = pipeline.levels.policies[level].patience(self.accepted, None);
        let patience = Patience { deadline, ..patience };
        let trace = self.trace.clone();
        let ran = self.enqueue(&pipeline, Input::Images(vec![image]), level, patience)?.ran().await?;
        let started = Instant::now();
        let answer = rank(&pipeline, &ran.outputs, options)?;
        stamp(trace.as_ref(), Activity::ComputeEnd);
        Ok(Done::new(answer, 1, ran.times, started))
    }

    async fn outputs(self, request: InferRequest) -> Result<Done<Vec<NamedTensor>>> {
        let key = self.shared.cache.as_ref().filter(|_| self.model.caches()).map(|cache| {
            let model = (self.model.name.as_ref(), self.model.number, self.model.loading);
            (cache.clone(), cache::key(model, &request.inputs, &request.outputs))
        });
        if let Some((cache, key)) = &key {
            let started = Instant::now();
            let found = cache.get(key);
            match found {
                Some(outputs) => return Ok(Done::new(outputs.to_vec(), 0, Times::default(), started)),
                None => self.model.stats.counters.missed(started.elapsed()),
            }
        }
        let id = request.id.clone();
        let model = self.model.clone();
        let done = match &model.work {
            Work::Pipeline(pipeline) => self.run_tensors(pipeline, request).await,
            // Apart: what it holds meanwhile would make the state of every other request as large.
            Work::Ensemble(ensemble) => Box::pin(self.run_ensemble(ensemble, request)).await,
        };
        let done = done.map_err(|error| name_request(&id, error))?;
        if let Some((cache, key)) = key {
            cache.insert(key, &done.answer);
        }
        Ok(done)
    }

    async fn run_ensemble(
        self,
        ensemble: &Ensemble,
        request: InferRequest,
    ) -> Result<Done<Vec<NamedTensor>>> {
        let deadline = request.deadline;
        let running = ensemble::run(ensemble, &self.shared, request, self.trace.as_ref());
        let (rows, answer) = within(deadline, running).await?;
        Ok(Done::new(answer, rows.max(1), Times::default(), Instant::now()))
    }

    async fn run_tensors(
        self,
        pipeline: &Arc<Pipeline>,
        request: InferRequest,
    ) -> Result<Done<Vec<NamedTensor>>> {
        let InferRequest { inputs, outputs, priority, timeout, deadline, .. } = request;
        let signature = &pipeline.signature;
        signature.check_outputs(&outputs)?;
        let (input, rows) = match signature.bind(inputs)? {
            Bound::Tensors { inputs, rows } => (Input::Tensors { inputs, rows }, rows),
            Bound::Images { images, rows } => {
                (Input::Images(images.into_iter().map(Bytes::from).collect()), rows)
            }
        };
        let level = pipeline.levels.level(priority);
        let mut patience = pipeline.levels.policies[level].patience(self.accepted, timeout);
        patience.deadline = patience.deadline.into_iter().chain(deadline.map(Into::into)).min();
        let trace = self.trace.clone();
        let ran = self.enqueue(pipeline, input, level, patience)?.ran().await?;
        let started = Instant::now();
        let answer = signature.answer(&outputs, ran.outputs, rows)?;
        stamp(trace.as_ref(), Activity::ComputeEnd);
        Ok(Done::new(answer, rows, ran.times, started))
    }

    /// Queues the input.
    fn enqueue(
        self,
        pipeline: &Arc<Pipeline>,
        input: Input,
        level: usize,
        patience: Patience,
    ) -> Result<Waiting> {
        let now = Instant::now();
        if patience.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(expired());
        }
        self.model.admission.check_deadline(now, patience.deadline)?;
        let queued = pipeline.enqueue(level)?;
        let (reply, answer) = oneshot::channel();
        stamp(self.trace.as_ref(), Activity::QueueStart);
        let ticket = Ticket::new(reply, patience, queued, self.permit, self.trace);
        let rejected = ticket.rejected();
        let unloading = || pipeline.not_ready("it is being unloaded");
        match input {
            Input::Images(images) => {
                let job =
                    PrepareJob { pipeline: pipeline.clone(), images, level, ticket, accepted: self.accepted };
                self.shared.prepare.push(job).map_err(|_| unloading())?;
            }
            Input::Tensors { inputs, rows } => {
                let times = Times { queue: now - self.accepted, ..Times::default() };
                pipeline.stats.observe(Stage::Admission, times.queue);
                let job = Job { inputs, rows, level, ticket, ready: now, times, place: None, turn: None };
                if pipeline.queue.push(job).map_err(|_| unloading())? == Pushed::Wake {
                    let pipeline = pipeline.clone();
                    // After the requests that have arrived with this one: an instance that is woken at once takes the
                    // core from the thread that would have brought it their tensors, too.
                    tokio::spawn(async move { pipeline.queue.wake() });
                }
            }
        }
        Ok(Waiting { answer, rejected, deadline: patience.deadline.map(Into::into) })
    }
}

/// A request that waits for its outputs. Dropping it cancels the request.
struct Waiting {
    answer: oneshot::Receiver<Result<Ran>>,
    /// When it is rejected, and what tells then whether it runs.
    rejected: Option<(Instant, Arc<AtomicBool>)>,
    deadline: Option<tokio::time::Instant>,
}

impl Waiting {
    async fn ran(self) -> Result<Ran> {
        let Self { mut answer, rejected, deadline } = self;
        let received = |answer: std::result::Result<Result<Ran>, oneshot::error::RecvError>| {
            answer
                .map_err(|_| Error::new(ErrorKind::Internal, "the request was dropped without an answer"))?
        };
        if let Some((reject, started)) = rejected
            && deadline.is_none_or(|deadline| reject < deadline.into())
        {
            match tokio::time::timeout_at(reject.into(), &mut answer).await {
                Ok(answer) => return received(answer),
                Err(_) if !started.load(Ordering::Relaxed) => return Err(timed_out()),
                // It runs: the queue's policy has no say any more.
                Err(_) => {}
            }
        }
        within(deadline, async { received(answer.await) }).await
    }
}

/// An answer with where its time went.
struct Done<T> {
    answer: T,
    /// 0 for an answer out of the cache.
    rows: usize,
    times: Times,
    /// When it was complete.
    at: Instant,
    /// What making it of the outputs, or looking it up, took.
    output: Duration,
}

impl<T> Done<T> {
    /// Complete now.
    fn new(answer: T, rows: usize, times: Times, started: Instant) -> Self {
        let at = Instant::now();
        Self { answer, rows, times, at, output: at - started }
    }
}

/// What a request has to run.
enum Input {
    Images(Vec<Bytes>),
    Tensors { inputs: Vec<Tensor>, rows: usize },
}

/// Notes when a request that is traced reached `activity`: now.
pub(crate) fn stamp(trace: Option<&Arc<Trace>>, activity: Activity) {
    if let Some(trace) = trace {
        trace.stamp(activity, Instant::now());
    }
}

/// What `work` gives, unless `deadline` comes first.
pub(crate) async fn within<T>(
    deadline: Option<tokio::time::Instant>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, work).await.map_err(|_| expired())?,
        None => work.await,
    }
}

/// Triton's prefix to what its core says of a request; its queue's timeout goes without.
fn name_request(id: &str, error: Error) -> Error {
    if error.kind() == ErrorKind::QueueTimeout || triton::has_request_prefix(error.message()) {
        return error;
    }
    error.prefixed(triton::request_prefix(id))
}

/// Counts how a request ends: as cancelled when this is dropped before it did.
struct Watch {
    model: Arc<Model>,
    accepted: Instant,
    trace: Option<Arc<Trace>>,
    finished: bool,
}

impl Watch {
    /// The request ended with `result`.
    fn end<T>(mut self, result: Result<Done<T>>) -> Result<T> {
        self.finished = true;
        stamp(self.trace.as_ref(), Activity::RequestEnd);
        let Model { stats, admission, .. } = &*self.model;
        match result {
            Ok(Done { answer, rows, times, at, output }) => {
                let total = at - self.accepted;
                stats.observe(Stage::Post, output);
                stats.observe(Stage::Total, total);
                admission.observe(at, total);
                stats.succeeded();
                match rows {
                    0 => stats.counters.hit(total, output),
                    rows => stats.counters.succeeded(rows, total, times, output),
                }
                Ok(answer)
            }
            Err(error) => {
                stats.failed(error.kind(), self.accepted.elapsed());
                Err(error)
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.finished {
            self.model.stats.failed(ErrorKind::Cancelled, self.accepted.elapsed());
        }
    }
}

/// Ranks the scores of one image.
fn rank(pipeline: &Pipeline, outputs: &[Tensor], options: InferOptions) -> Result<Answer> {
    let classifier = pipeline.classifier()?;
    let broken = |message: &str| Error::new(ErrorKind::Engine, message);
    let scores = outputs
        .get(classifier.output())
        .ok_or_else(|| broken("the model answered with fewer outputs than it declares"))?;
    let probabilities = classifier.probabilities(scores)?;
    let row = probabilities.first().ok_or_else(|| broken("the model answered with no rows"))?;
    if row.iter().any(|p| !p.is_finite()) {
        return Err(broken("the model answered with scores that are not finite"));
    }
    let predictions = classifier.rank(row, options.top_k);
    if predictions.is_empty() {
        return Err(broken("the model answered with no classes"));
    }
    Ok(Answer { predictions, abstain: classifier.abstains(row, options.abstain)? })
}
