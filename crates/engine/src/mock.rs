//! A scripted backend for tests of what stands above an engine.
//!
//! A [`MockModel`] is specs and an answer, and optionally a script: what the next runs do before answering normally.
//! Clones share script and record, so a test keeps one and looks at what happened. Inputs are checked as every other
//! backend checks them. Warm-up answers too, but neither takes a step of the script nor is it among the calls.
//!
//! ```
//! use tintype_core::{DType, ErrorKind, ModelSource, Tensor, TensorSpec};
//! use tintype_engine::mock::{MockBackend, MockModel, Step};
//! use tintype_engine::{Backend, Session, SessionOptions};
//!
//! let spec = TensorSpec { name: "x".into(), dtype: DType::F32, shape: vec![None, Some(2)] };
//! let model = MockModel::echo(vec![spec]).script([Step::Fail(ErrorKind::Engine, "broken".into())]);
//! let backend = MockBackend::new(model.clone());
//! let mut session = backend.load(&ModelSource::Bytes([].into()), &SessionOptions::default())?;
//!
//! let x = Tensor::new([3, 2], vec![1.0f32; 6])?;
//! assert_eq!(session.run(&[&x]).unwrap_err().kind(), ErrorKind::Engine);
//! assert_eq!(session.run(&[&x])?, [x]);
//! assert_eq!(model.batches(), [3, 3]);
//! # Ok::<(), tintype_core::Error>(())
//! ```

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor, TensorSpec};

use crate::{Backend, Session, SessionOptions, inputs};

type Answer = dyn Fn(&[&Tensor]) -> Result<Vec<Tensor>> + Send + Sync;
type Choose = dyn Fn(&ModelSource, &SessionOptions) -> Result<MockModel> + Send + Sync;

/// What a run does before the model's own answer.
#[derive(Debug, Clone)]
pub enum Step {
    /// Nothing: answers.
    Answer,
    /// Answers with these tensors instead.
    Return(Vec<Tensor>),
    /// Fails.
    Fail(ErrorKind, String),
    /// Panics.
    Panic(String),
    /// Waits at the gate, then answers.
    Hold(Gate),
}

/// A run that a session was asked for.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which session of the model, counted from 0 in the order of loading.
    pub session: usize,
    /// The inputs.
    pub inputs: Vec<Tensor>,
}

/// A model that answers by a function and a script.
#[derive(Clone)]
pub struct MockModel {
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    answer: Arc<Answer>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    script: Mutex<VecDeque<Step>>,
    calls: Mutex<Vec<Call>>,
    warm_ups: Mutex<Vec<usize>>,
    sessions: AtomicUsize,
}

impl MockModel {
    /// A model that answers by `answer`, which gets inputs that fit the specs.
    pub fn new(
        inputs: Vec<TensorSpec>,
        outputs: Vec<TensorSpec>,
        answer: impl Fn(&[&Tensor]) -> Result<Vec<Tensor>> + Send + Sync + 'static,
    ) -> Self {
        Self { inputs, outputs, answer: Arc::new(answer), shared: Arc::default() }
    }

    /// A model that answers with its inputs.
    pub fn echo(inputs: Vec<TensorSpec>) -> Self {
        Self::new(inputs.clone(), inputs, |tensors| Ok(tensors.iter().map(|&t| t.clone()).collect()))
    }

    /// The same model with other names for its outputs; names beyond them are ignored.
    #[must_use]
    pub fn output_names<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        for (spec, name) in self.outputs.iter_mut().zip(names) {
            name.clone_into(&mut spec.name);
        }
        self
    }

    /// The same model with `steps` appended to its script: each run of any session takes one.
    #[must_use]
    pub fn script(self, steps: impl IntoIterator<Item = Step>) -> Self {
        lock(&self.shared.script).extend(steps);
        self
    }

    /// Every run so far, in the order in which they began.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }

    /// The rows of the first input of every run so far.
    pub fn batches(&self) -> Vec<usize> {
        lock(&self.shared.calls).iter().map(|call| rows(&call.inputs)).collect()
    }

    /// The batch sizes that sessions were warmed up with.
    pub fn warm_ups(&self) -> Vec<usize> {
        lock(&self.shared.warm_ups).clone()
    }

    /// How many sessions were loaded.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.load(Ordering::SeqCst)
    }
}

/// A backend that loads [`MockModel`]s.
pub struct MockBackend {
    choose: Box<Choose>,
}

impl MockBackend {
    /// A backend for which every source is `model`.
    pub fn new(model: MockModel) -> Self {
        Self::choosing(move |_, _| Ok(model.clone()))
    }

    /// A backend that finds the model for a source, or fails to load, by `choose`.
    pub fn choosing(
        choose: impl Fn(&ModelSource, &SessionOptions) -> Result<MockModel> + Send + Sync + 'static,
    ) -> Self {
        Self { choose: Box::new(choose) }
    }
}

impl Backend for MockBackend {
    fn name(&self) -> &str {
        "mock"
    }

    fn load(&self, model: &ModelSource, options: &SessionOptions) -> Result<Box<dyn Session>> {
        let model = (self.choose)(model, options)?;
        let index = model.shared.sessions.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(MockSession { model, index }))
    }
}

struct MockSession {
    model: MockModel,
    index: usize,
}

impl Session for MockSession {
    fn inputs(&self) -> &[TensorSpec] {
        &self.model.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.model.outputs
    }

    fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        inputs::check(&self.model.inputs, inputs)?;
        let shared = &self.model.shared;
        // Nothing is locked while a run waits, panics or answers: other sessions run at the same time.
        lock(&shared.calls)
            .push(Call { session: self.index, inputs: inputs.iter().map(|&t| t.clone()).collect() });
        let step = lock(&shared.script).pop_front().unwrap_or(Step::Answer);
        match step {
            Step::Answer => {}
            Step::Return(outputs) => return Ok(outputs),
            Step::Fail(kind, message) => return Err(Error::new(kind, message)),
            #[expect(clippy::panic, reason = "the script asks for it")]
            Step::Panic(message) => std::panic::panic_any(message),
            Step::Hold(gate) => gate.pass(),
        }
        (self.model.answer)(inputs)
    }

    fn warm_up(&mut self, batches: &[usize]) -> Result<()> {
        for &batch in batches {
            let zeros = inputs::zeros(&self.model.inputs, batch)?;
            (self.model.answer)(&zeros.iter().collect::<Vec<_>>())?;
            lock(&self.model.shared.warm_ups).push(rows(&zeros));
        }
        Ok(())
    }
}

/// A place where runs wait until a test lets them go on.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    state: Arc<(Mutex<GateState>, Condvar)>,
}

#[derive(Debug, Default)]
struct GateState {
    waiting: usize,
    permits: usize,
    open: bool,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many runs wait now.
    pub fn waiting(&self) -> usize {
        lock(&self.state.0).waiting
    }

    /// Blocks until at least `count` runs wait.
    pub fn wait_for(&self, count: usize) {
        let (state, changed) = &*self.state;
        let guard = changed.wait_while(lock(state), |state| state.waiting < count);
        drop(guard.unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets `count` runs through, now or when they come.
    pub fn release(&self, count: usize) {
        let (state, changed) = &*self.state;
        lock(state).permits += count;
        changed.notify_all();
    }

    /// Lets every run through from now on.
    pub fn open(&self) {
        let (state, changed) = &*self.state;
        lock(state).open = true;
        changed.notify_all();
    }

    fn pass(&self) {
        let (state, changed) = &*self.state;
        let mut guard = lock(state);
        guard.waiting += 1;
        changed.notify_all();
        let mut guard = changed
            .wait_while(guard, |state| !state.open && state.permits == 0)
            .unwrap_or_else(PoisonError::into_inner);
        guard.waiting -= 1;
        if !guard.open {
            guard.permits -= 1;
        }
        changed.notify_all();
    }
}

fn rows(inputs: &[Tensor]) -> usize {
    inputs.first().and_then(|tensor| tensor.shape().first().copied()).unwrap_or(0)
}

/// A panic in a scripted run says nothing about the record.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    use tintype_core::DType;

    use super::*;

    fn spec() -> Vec<TensorSpec> {
        vec![TensorSpec { name: "x".into(), dtype: DType::F32, shape: vec![None] }]
    }

    fn load(model: &MockModel) -> Box<dyn Session> {
        let source = ModelSource::Bytes([].into());
        MockBackend::new(model.clone()).load(&source, &SessionOptions::default()).unwrap()
    }

    #[test]
    fn a_script_is_followed_step_by_step_across_sessions() {
        let other = Tensor::new([1], vec![9.0f32]).unwrap();
        let steps = [Step::Panic("boom".into()), Step::Return(vec![other.clone()]), Step::Answer];
        let model = MockModel::echo(spec()).script(steps);
        let (mut a, mut b) = (load(&model), load(&model));
        let x = Tensor::new([2], vec![1.0f32, 2.0]).unwrap();

        let panic = catch_unwind(AssertUnwindSafe(|| a.run(&[&x]))).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "boom");
        assert_eq!(b.run(&[&x]).unwrap(), [other]);
        assert_eq!(a.run(&[&x]).unwrap(), [x]);
        assert_eq!(model.calls().iter().map(|call| call.session).collect::<Vec<_>>(), [0, 1, 0]);
    }

    #[test]
    fn held_runs_wait_until_they_are_released() {
        let gate = Gate::new();
        let model = MockModel::echo(spec()).script(vec![Step::Hold(gate.clone()); 3]);
        let runs: Vec<_> = (0..3)
            .map(|_| {
                let mut session = load(&model);
                thread::spawn(move || session.run(&[&Tensor::new([1], vec![0.0f32]).unwrap()]).map(drop))
            })
            .collect();
        gate.wait_for(3);
        assert_eq!(model.batches(), [1, 1, 1]);
        gate.release(1);
        while gate.waiting() > 2 {
            thread::yield_now();
        }
        assert_eq!(gate.waiting(), 2);
        gate.open();
        for run in runs {
            run.join().unwrap().unwrap();
        }
    }

    #[test]
    fn warm_up_is_not_a_call() {
        let model = MockModel::echo(spec()).script([Step::Fail(ErrorKind::Engine, "x".into())]);
        load(&model).warm_up(&[1, 4]).unwrap();
        assert_eq!(model.warm_ups(), [1, 4]);
        assert!(model.calls().is_empty());
    }
}
