//! Tracing requests as Triton does: every so many requests one is written down, stage by stage.
//!
//! A front end [samples](Tracing::sample) each request. Nearly always that is one look at a switch; else it gets a
//! [`Trace`], which goes along with the request through queue and instance and is stamped on the way. When its last
//! holder drops it, it goes to a thread that writes files (`writer`), so that no request ever waits for a disk. How
//! settings are written and merged is [`TraceSettings`]' business, how a trace reads is `record`'s.

mod live;
mod record;
mod sampler;
mod writer;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tintype_core::Result;
use tintype_core::triton::{TraceOverrides, TraceSettings};

use crate::stats::nanos;
use crate::threads::Threads;
pub use live::Trace;
use sampler::Sampler;
use writer::Writer;

/// What a request reached when it was stamped; the names are Triton's, all but `PREPARE_*`: decoding images, which here
/// happens before a request is queued for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Activity {
    HttpRecvStart,
    HttpRecvEnd,
    HttpSendStart,
    HttpSendEnd,
    GrpcWaitreadStart,
    GrpcWaitreadEnd,
    GrpcSendStart,
    GrpcSendEnd,
    RequestStart,
    QueueStart,
    PrepareStart,
    PrepareEnd,
    ComputeStart,
    ComputeInputEnd,
    ComputeOutputStart,
    ComputeEnd,
    RequestEnd,
    InferResponseComplete,
    /// Of tensors: what came in.
    TensorQueueInput,
    /// Of tensors: what went out.
    TensorBackendOutput,
}

/// Which requests are traced, and where to.
#[derive(Debug)]
pub struct Tracing {
    /// Whether any request may be: all that others pay.
    on: AtomicBool,
    state: Mutex<State>,
    clock: Clock,
    ids: Arc<AtomicU64>,
}

#[derive(Debug)]
struct State {
    /// Those of the command line.
    defaults: TraceSettings,
    server: TraceOverrides,
    models: BTreeMap<String, TraceOverrides>,
    sampler: Arc<Sampler>,
    samplers: BTreeMap<String, Arc<Sampler>>,
    /// Started with the first settings that trace anything.
    writer: Option<Writer>,
    closed: bool,
}

/// Nanoseconds since 1970 by a clock that never goes back.
#[derive(Debug, Clone, Copy)]
struct Clock {
    base: Instant,
    since_1970: Duration,
}

impl Clock {
    fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { base: Instant::now(), since_1970 }
    }

    fn nanos(self, at: Instant) -> u64 {
        let time = match at.checked_duration_since(self.base) {
            Some(after) => self.since_1970 + after,
            None => self.since_1970.saturating_sub(self.base - at),
        };
        nanos(time)
    }
}

impl Tracing {
    /// Traces by `defaults`.
    ///
    /// # Errors
    /// `InvalidArgument` for settings that ask for traces and would give none; `Internal` when the system refuses a
    /// thread.
    pub(crate) fn new(defaults: TraceSettings) -> Result<Self> {
        defaults.check()?;
        let state = State {
            server: TraceOverrides::default(),
            models: BTreeMap::new(),
            sampler: Arc::new(Sampler::new(TraceSettings::default(), None)),
            samplers: BTreeMap::new(),
            writer: None,
            closed: false,
            defaults,
        };
        let tracing = Self {
            on: AtomicBool::new(false),
            state: Mutex::new(state),
            clock: Clock::now(),
            ids: Arc::default(),
        };
        tracing.renew(&mut tracing.lock(), None)?;
        Ok(tracing)
    }

    /// The settings of the server, or of a model.
    pub fn settings(&self, model: Option<&str>) -> TraceSettings {
        self.lock().sampler(model).settings()
    }

    /// Changes the settings of the server, or of a model, and says what they are from now on. Requests that are being
    /// traced are written by the old ones.
    ///
    /// # Errors
    /// Those of `change`, and of settings that ask for traces and would give none: nothing is changed then. `Internal`
    /// when the system refuses a thread.
    pub fn change(
        &self,
        model: Option<&str>,
        change: impl FnOnce(&mut TraceOverrides) -> Result<()>,
    ) -> Result<TraceSettings> {
        let mut state = self.lock();
        let mut overrides = match model {
            Some(model) => state.models.get(model).cloned().unwrap_or_default(),
            None => state.server.clone(),
        };
        change(&mut overrides)?;
        overrides.over(&state.fallback(model)).check()?;
        match model {
            Some(model) if overrides == TraceOverrides::default() => drop(state.models.remove(model)),
            Some(model) => drop(state.models.insert(model.to_owned(), overrides)),
            None => state.server = overrides,
        }
        self.renew(&mut state, model)?;
        Ok(state.sampler(model).settings())
    }

    /// A trace for a request to `model`, if it is its turn.
    pub fn sample(&self, model: &str) -> Option<Arc<Trace>> {
        if !self.on.load(Ordering::Relaxed) {
            return None;
        }
        let sampler = self.lock().sampler(Some(model)).clone();
        sampler.take().then(|| Arc::new(Trace::new(self.clock, self.ids.clone(), sampler)))
    }

    /// Writes what was traced and traces no more; the thread is to be joined.
    pub(crate) fn close(&self) -> Option<Threads> {
        let mut state = self.lock();
        state.closed = true;
        self.on.store(false, Ordering::Relaxed);
        state.samplers.clear();
        state.sampler = Arc::new(Sampler::new(TraceSettings::default(), None));
        state.writer.take().map(Writer::close)
    }

    /// Puts the settings in force: those of `changed` (the server's where `None`) and those that fall back to them.
    fn renew(&self, state: &mut State, changed: Option<&str>) -> Result<()> {
        let server = state.server.over(&state.defaults);
        let models = state.models.iter().map(|(name, own)| (name.clone(), own.over(&server)));
        let models: BTreeMap<String, TraceSettings> = models.collect();
        let on = models.values().chain([&server]).any(|settings| settings.idle().is_none());
        if on && state.writer.is_none() && !state.closed {
            state.writer = Some(Writer::start()?);
        }
        let target = state.writer.as_ref().map(Writer::target);
        let sampler = |settings: TraceSettings| Arc::new(Sampler::new(settings, target.clone()));
        if changed.is_none() {
            state.sampler = sampler(server);
        }
        let mut before = std::mem::take(&mut state.samplers);
        for (name, settings) in models {
            let kept = before.remove(&name);
            let kept = kept.filter(|kept| changed != Some(&*name) && *kept.asked() == settings);
            state.samplers.insert(name, kept.unwrap_or_else(|| sampler(settings)));
        }
        self.on.store(on && !state.closed, Ordering::Relaxed);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn sampler(&self, model: Option<&str>) -> &Arc<Sampler> {
        model.and_then(|model| self.samplers.get(model)).unwrap_or(&self.sampler)
    }

    /// What the settings of `model`, or of the server, lie over.
    fn fallback(&self, model: Option<&str>) -> TraceSettings {
        match model {
            Some(_) => self.server.over(&self.defaults),
            None => self.defaults.clone(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
