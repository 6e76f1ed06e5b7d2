//! The models of one process, by name.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tintype_core::{Error, ErrorKind, ImageClassifier, Package, Result};
use tintype_engine::{Backend, Session, SessionOptions};

use crate::admission::{Admission, ByteBudget};
use crate::batcher::BatchPolicy;
use crate::driver::ReadyQueue;
use crate::instance::{Instance, Loader};
use crate::lanes::LaneId;
use crate::model::{Model, classes_of, not_ready};
use crate::prepare::PrepareQueue;
use crate::stats::Stats;
use crate::threads::Threads;
use crate::{Admitted, Answer, ModelConfig, ModelState, ModelStatus, Request, RuntimeConfig};

/// Batches that wait prepared for each instance, so that it never waits for one; beyond these, images stay encoded.
const READY_BATCHES: usize = 2;

/// Serves loaded models.
///
/// ```no_run
/// # async fn example(backend: std::sync::Arc<dyn tintype_engine::Backend>, package: tintype_core::Package,
/// #     image: bytes::Bytes) -> tintype_core::Result<()> {
/// use tintype_runtime::{InferOptions, ModelConfig, Request, Runtime, RuntimeConfig};
///
/// let runtime = Runtime::new(backend, RuntimeConfig::default())?;
/// runtime.load(&package, &ModelConfig::default())?;
/// let answer = runtime.infer(Request { model: None, image, options: InferOptions::default() }).await?;
/// runtime.drain(std::time::Duration::from_secs(30)).await?;
/// # Ok(()) }
/// ```
///
/// Threads: `prepare_threads` for all models, and `instances` for each. [`Runtime::drain`] ends and joins them, and so
/// does dropping the runtime, without waiting for requests.
pub struct Runtime {
    backend: Arc<dyn Backend>,
    config: RuntimeConfig,
    stats: Stats,
    bytes: Arc<ByteBudget>,
    prepare: Arc<PrepareQueue>,
    /// The pool's threads; empty once drained.
    pool: Mutex<Option<Threads>>,
    /// In the order of loading: the first is the default. Few, so a list.
    models: Mutex<Vec<Entry>>,
    next_lane: AtomicU64,
    draining: AtomicBool,
}

/// A name, and what stands behind it.
struct Entry {
    name: String,
    version: String,
    model: Behind,
}

enum Behind {
    Loading,
    Failed,
    Loaded(Loaded),
}

/// A model with the threads that run it.
struct Loaded {
    model: Arc<Model>,
    instances: Option<Threads>,
    /// Dropped to end the pauses of restarting instances.
    stops: Vec<mpsc::Sender<()>>,
}

impl Runtime {
    /// A runtime without models; its prepare threads are started.
    ///
    /// # Errors
    /// `InvalidConfig` for a zero where there must be one; `Internal` when the system refuses threads.
    pub fn new(backend: Arc<dyn Backend>, config: RuntimeConfig) -> Result<Self> {
        config.validate()?;
        let prepare = Arc::new(PrepareQueue::new());
        let mut pool = Threads::new();
        for index in 0..config.prepare_threads {
            let queue = prepare.clone();
            pool.spawn(&format!("prepare-{index}"), move || queue.work())?;
        }
        Ok(Self {
            backend,
            stats: Stats::new(),
            bytes: Arc::new(ByteBudget::new(config.max_inflight_bytes)),
            config,
            prepare,
            pool: Mutex::new(Some(pool)),
            models: Mutex::default(),
            next_lane: AtomicU64::new(0),
            draining: AtomicBool::new(false),
        })
    }

    /// Loads a model, warms it up and makes it ready. Blocks for as long as that takes.
    ///
    /// # Errors
    /// `InvalidConfig`; `InvalidArgument` when the name is taken; what the backend says of the model; what
    /// [`ImageClassifier::new`] says of the package. The model then stays known by its name, as not ready.
    pub fn load(&self, package: &Package, config: &ModelConfig) -> Result<()> {
        config.validate()?;
        self.claim(package)?;
        let loaded = self.start(package, config).map_err(|e| e.context(format!("model `{}`", package.name)));
        let mut models = lock(&self.models);
        let Some(entry) = models.iter_mut().find(|entry| entry.name == package.name) else {
            return Err(Error::new(
                ErrorKind::NotReady,
                "the runtime was drained while the model was loading",
            ));
        };
        match loaded {
            Ok(loaded) => {
                entry.model = Behind::Loaded(loaded);
                tracing::info!(model = %package.name, version = %package.version, "model ready");
                Ok(())
            }
            Err(error) => {
                entry.model = Behind::Failed;
                Err(error)
            }
        }
    }

    /// Classifies an image: [`Runtime::admit`] and [`Admitted::infer`] in one.
    ///
    /// # Errors
    /// As those two.
    pub async fn infer(&self, request: Request) -> Result<Answer> {
        let Request { model, image, options } = request;
        self.admit(model.as_deref(), image.len())?.infer(image, options).await
    }

    /// Lets a request in before its body of `bytes` bytes is read; see [`Admitted::grow`] for more.
    ///
    /// # Errors
    /// `NotFound` when there is no such model, `NotReady` with the reason, `Overloaded` with an estimate of when to
    /// return, `PayloadTooLarge` when so many bytes never fit.
    pub fn admit(&self, model: Option<&str>, bytes: usize) -> Result<Admitted> {
        let accepted = Instant::now();
        let model = self.model(model)?;
        if self.draining.load(Ordering::Relaxed) {
            return Err(model.not_ready("the server is shutting down"));
        }
        let permit = model
            .check_ready()
            .and_then(|()| model.admission.admit(bytes))
            .inspect_err(|error| model.stats.failed(error.kind()))?;
        Ok(Admitted { model, prepare: self.prepare.clone(), permit, accepted })
    }

    /// Every model, in the order of loading.
    pub fn models(&self) -> Vec<ModelStatus> {
        lock(&self.models).iter().map(|entry| self.status_of(entry)).collect()
    }

    /// One model, by name, or the one that was loaded first.
    ///
    /// # Errors
    /// `NotFound` when there is no such model; `NotReady` when there is none at all.
    pub fn status(&self, model: Option<&str>) -> Result<ModelStatus> {
        let models = lock(&self.models);
        find(&models, model).map(|entry| self.status_of(entry))
    }

    /// Writes the metrics of all models in OpenMetrics text, without the closing `# EOF`.
    ///
    /// # Errors
    /// `Internal` when a metric cannot be written.
    pub fn write_metrics(&self, out: &mut String) -> Result<()> {
        self.stats.write(out).map_err(|e| Error::new(ErrorKind::Internal, "writing metrics").with_source(e))
    }

    /// Admits no more, finishes what was admitted, and joins all threads.
    ///
    /// # Errors
    /// `DeadlineExceeded` when that takes longer than `timeout`: what still waited was answered `NotReady`, and
    /// threads inside a running model are left to end with the process.
    pub async fn drain(&self, timeout: Duration) -> Result<()> {
        let end = tokio::time::Instant::now() + timeout;
        self.draining.store(true, Ordering::Relaxed);
        for model in self.loaded() {
            if tokio::time::timeout_at(end, model.admission.emptied()).await.is_err() {
                tracing::warn!(model = %model.name, "requests were still in flight when the drain timed out");
            }
        }
        let mut result = Ok(());
        for threads in self.close() {
            result =
                result.and(threads.join(end.saturating_duration_since(tokio::time::Instant::now())).await);
        }
        result
    }

    /// Registers the package's name.
    fn claim(&self, package: &Package) -> Result<()> {
        let mut models = lock(&self.models);
        match models.iter_mut().find(|entry| entry.name == package.name) {
            None => {
                let (name, version) = (package.name.clone(), package.version.clone());
                models.push(Entry { name, version, model: Behind::Loading });
                Ok(())
            }
            Some(entry) if matches!(entry.model, Behind::Failed) => {
                entry.model = Behind::Loading;
                entry.version.clone_from(&package.version);
                Ok(())
            }
            Some(_) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("a model named `{}` is already loaded", package.name),
            )),
        }
    }

    /// Loads all sessions, then starts a thread for each.
    fn start(&self, package: &Package, config: &ModelConfig) -> Result<Loaded> {
        let options = SessionOptions { intra_threads: config.intra_threads, ..SessionOptions::default() };
        let mut loader = Loader {
            backend: self.backend.clone(),
            source: package.model.clone(),
            options,
            batches: vec![1],
        };
        // The first session tells what the model is; the others are then loaded side by side.
        let first = loader.load()?;
        let rows = first.inputs().first().and_then(|input| input.shape.first().copied().flatten());
        let max_batch_size = config.batch_size_for(rows)?;
        let classifier = ImageClassifier::new(package, first.inputs(), first.outputs(), self.config.limits)?;
        if max_batch_size > 1 {
            loader.batches.push(max_batch_size);
        }
        let sessions = load_all(&loader, first, config.instances)?;

        let policy = BatchPolicy { max_batch_size, max_queue_delay: config.max_queue_delay };
        let stats = self.stats.for_model(&package.name);
        let lane = LaneId(self.next_lane.fetch_add(1, Ordering::Relaxed));
        let model = Arc::new(Model {
            name: package.name.clone(),
            version: package.version.clone(),
            classes: classes_of(&classifier),
            classifier,
            lane,
            queue: ReadyQueue::new(policy),
            admission: Admission::new(config.max_queue_size, self.bytes.clone(), stats.in_flight.clone()),
            stats,
            instances_up: AtomicUsize::new(0),
        });
        let places = READY_BATCHES * max_batch_size * config.instances + self.config.prepare_threads;
        self.prepare.open(lane, places);
        let mut loaded = Loaded { model, instances: None, stops: Vec::new() };
        loaded.run(sessions, &Arc::new(loader))?;
        Ok(loaded)
    }

    fn model(&self, name: Option<&str>) -> Result<Arc<Model>> {
        let models = lock(&self.models);
        let entry = find(&models, name)?;
        match &entry.model {
            Behind::Loaded(loaded) => Ok(loaded.model.clone()),
            Behind::Loading => Err(not_ready(&entry.name, LOADING)),
            Behind::Failed => Err(not_ready(&entry.name, FAILED)),
        }
    }

    fn status_of(&self, entry: &Entry) -> ModelStatus {
        let state = match &entry.model {
            Behind::Loaded(loaded) if !self.draining.load(Ordering::Relaxed) => return loaded.model.status(),
            Behind::Loaded(_) => ModelState::NotReady { reason: "the server is shutting down".to_owned() },
            Behind::Loading => ModelState::Loading,
            Behind::Failed => ModelState::NotReady { reason: FAILED.to_owned() },
        };
        let (name, version) = (entry.name.clone(), entry.version.clone());
        ModelStatus { name, version, state, classes: Arc::default(), stats: None }
    }

    fn loaded(&self) -> Vec<Arc<Model>> {
        let models = lock(&self.models);
        let loaded = models.iter().filter_map(|entry| match &entry.model {
            Behind::Loaded(loaded) => Some(loaded.model.clone()),
            _ => None,
        });
        loaded.collect()
    }

    /// Tells all threads to end, and answers what still waited; the threads are to be joined.
    fn close(&self) -> Vec<Threads> {
        for job in self.prepare.close() {
            let error = job.model.not_ready("the server is shutting down");
            job.ticket.answer(Err(error));
        }
        let mut threads: Vec<Threads> = lock(&self.pool).take().into_iter().collect();
        for entry in lock(&self.models).iter_mut() {
            if let Behind::Loaded(loaded) = &mut entry.model {
                threads.extend(loaded.close());
            }
        }
        threads
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.close().into_iter().for_each(Threads::join_blocking);
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("backend", &self.backend.name()).finish_non_exhaustive()
    }
}

const LOADING: &str = "it is being loaded";
const FAILED: &str = "it could not be loaded";

impl Loaded {
    fn run(&mut self, sessions: Vec<Box<dyn Session>>, loader: &Arc<Loader>) -> Result<()> {
        let mut threads = Threads::new();
        for (index, session) in sessions.into_iter().enumerate() {
            let (sender, stop) = mpsc::channel();
            self.stops.push(sender);
            // Ready from here on: the thread may take a moment to be scheduled.
            self.model.instance_up();
            let instance = Instance { index, model: self.model.clone(), loader: loader.clone(), stop };
            let started = threads.spawn(&format!("infer-{index}"), move || instance.work(session));
            if started.is_err() {
                self.model.queue.close();
                threads.join_blocking();
                return started;
            }
        }
        self.instances = Some(threads);
        Ok(())
    }

    fn close(&mut self) -> Option<Threads> {
        self.stops.clear();
        for job in self.model.queue.close() {
            job.ticket.answer(Err(self.model.not_ready("the server is shutting down")));
        }
        self.instances.take()
    }
}

/// `first` and as many more as make `count`.
fn load_all(loader: &Loader, first: Box<dyn Session>, count: usize) -> Result<Vec<Box<dyn Session>>> {
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..count).map(|_| scope.spawn(|| loader.load())).collect();
        let others = others.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "loading panicked")))
        });
        std::iter::once(Ok(first)).chain(others).collect()
    })
}

fn find<'a>(models: &'a [Entry], name: Option<&str>) -> Result<&'a Entry> {
    match name {
        None => models.first().ok_or_else(|| Error::new(ErrorKind::NotReady, "no model is loaded")),
        Some(name) => models
            .iter()
            .find(|entry| entry.name == name)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no model is named `{name}`"))),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
