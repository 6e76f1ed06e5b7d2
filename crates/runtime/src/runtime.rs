//! The models of one process, by name.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tintype_core::{Error, ErrorKind, Package, Result, Signature};
use tintype_engine::{Backend, Device};
use tokio::task::JoinSet;

use crate::admission::{Admission, ByteBudget};
use crate::cache::ResponseCache;
use crate::instance::Loader;
use crate::lanes::LaneId;
use crate::loaded::Loaded;
use crate::model::{Description, Model, Work, classes_of};
use crate::pipeline::Pipeline;
use crate::policy::{self, Scheduling};
use crate::prepare::PrepareQueue;
use crate::registry::{IndexEntry, Missing, Registry, SHUTTING_DOWN};
use crate::repository::Repository;
use crate::shared::Shared;
use crate::stats::{Exposed, Gpus, Machine, ModelStatistics, Stats, write_triton};
use crate::threads::Threads;
use crate::trace::Tracing;
use crate::{Admitted, Answer, LoadOptions, ModelStatus, Request, RuntimeConfig};
use crate::{golden, warm_up};

/// Batches that wait prepared for each instance, so that it never waits for one; beyond these, images stay encoded.
const READY_BATCHES: usize = 2;

/// How long a model that was replaced or unloaded may take for what it accepted.
const RETIRE_TIMEOUT: Duration = Duration::from_secs(300);

/// Serves loaded models.
///
/// ```no_run
/// # async fn example(backend: std::sync::Arc<dyn tintype_engine::Backend>, package: tintype_core::Package,
/// #     image: bytes::Bytes) -> tintype_core::Result<()> {
/// use tintype_runtime::{InferOptions, LoadOptions, Request, Runtime, RuntimeConfig};
///
/// let runtime = Runtime::new(backend, RuntimeConfig::default())?;
/// runtime.load(&package, &LoadOptions::default())?;
/// let answer = runtime.classify(Request { model: None, image, options: InferOptions::default() }).await?;
/// runtime.drain(std::time::Duration::from_secs(30)).await?;
/// # Ok(()) }
/// ```
///
/// Threads: `prepare_threads` for all models, one for each instance of each, and one that writes traces where there are any. [`Runtime::drain`] ends and joins them,
/// and so does dropping the runtime, without waiting for requests.
pub struct Runtime {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) config: RuntimeConfig,
    pub(crate) stats: Stats,
    machine: Machine,
    gpus: Gpus,
    pub(crate) shared: Arc<Shared>,
    pub(crate) repository: Repository,
    tracing: Tracing,
    bytes: Arc<ByteBudget>,
    /// The pool's threads; empty once drained.
    pool: Mutex<Option<Threads>>,
    /// Models that were replaced or unloaded and finish what they accepted.
    retiring: Mutex<JoinSet<()>>,
    loadings: AtomicU64,
}

impl Runtime {
    /// A runtime without models; its prepare threads are started.
    ///
    /// # Errors
    /// `InvalidConfig` for a zero where there must be one; `InvalidArgument` for settings of traces that would give none;
    /// `Internal` when the system refuses threads.
    pub fn new(backend: Arc<dyn Backend>, config: RuntimeConfig) -> Result<Self> {
        config.validate()?;
        let prepare = Arc::new(PrepareQueue::new());
        let mut pool = Threads::new();
        for index in 0..config.prepare_threads {
            let queue = prepare.clone();
            pool.spawn(&format!("prepare-{index}"), move || queue.work())?;
        }
        let cache = (config.cache_bytes > 0).then(|| Arc::new(ResponseCache::new(config.cache_bytes)));
        Ok(Self {
            backend,
            stats: Stats::new(&config.metrics.latencies),
            machine: Machine::default(),
            gpus: Gpus::default(),
            bytes: Arc::new(ByteBudget::new(config.max_inflight_bytes)),
            repository: Repository::new(config.repository.clone()),
            tracing: Tracing::new(config.trace.clone())?,
            config,
            shared: Arc::new(Shared { prepare, registry: Registry::default(), cache }),
            pool: Mutex::new(Some(pool)),
            retiring: Mutex::default(),
            loadings: AtomicU64::new(0),
        })
    }

    /// Loads a model, warms it up and makes it ready. Blocks for as long as that takes.
    ///
    /// # Errors
    /// `InvalidConfig`; `AlreadyExists` when the name is taken; what the backend says of the model; what
    /// [`Signature::new`] says of the package. The model then stays known by its name, as not ready.
    pub fn load(&self, package: &Package, options: &LoadOptions) -> Result<()> {
        options.validate()?;
        let (name, number) = (&package.name, number(&package.version));
        {
            let mut models = self.shared.registry.write();
            if models.draining {
                return Err(Error::new(ErrorKind::NotReady, SHUTTING_DOWN));
            }
            if models.is_serving(name) {
                let message = format!("a model named `{name}` is already loaded");
                return Err(Error::new(ErrorKind::AlreadyExists, message));
            }
            models.announce(name, number, &package.version);
        }
        let loaded = self.start(package, options).map_err(|e| e.context(format!("model `{name}`")));
        match loaded {
            Ok(loaded) => self.install(loaded).map(drop),
            Err(error) => {
                self.shared.registry.write().fail(name, number, "it could not be loaded");
                Err(error)
            }
        }
    }

    /// Classifies an image: [`Runtime::admit`] and [`Admitted::classify`] in one.
    ///
    /// # Errors
    /// As those two.
    pub async fn classify(&self, request: Request) -> Result<Answer> {
        let Request { model, image, options } = request;
        self.admit(model.as_deref(), image.len())?.classify(image, options).await
    }

    /// Lets a request in before its body of `bytes` bytes is read; see [`Admitted::grow`] for more. Without a name, the
    /// model that was loaded first answers; its highest version does.
    ///
    /// # Errors
    /// `UnknownModel` when there is no such model, `NotReady` with the reason, `Overloaded` with an estimate of when to
    /// return, `PayloadTooLarge` when so many bytes never fit.
    pub fn admit(&self, model: Option<&str>, bytes: usize) -> Result<Admitted> {
        self.shared.admit(bytes, |models| models.find(model, None).cloned().map_err(Missing::plainly))
    }

    /// As [`Runtime::admit`], by name and version (the highest one that answers where `None`), with Triton's words for
    /// what is missing.
    ///
    /// # Errors
    /// `UnknownModel`; `NotFound` when there is no such version or none is ready; otherwise as [`Runtime::admit`].
    pub fn admit_version(&self, name: &str, version: Option<u64>, bytes: usize) -> Result<Admitted> {
        self.shared.admit(bytes, |models| {
            models.find(Some(name), version).cloned().map_err(Missing::in_tritons_words)
        })
    }

    /// Every model, in the order of loading, by its highest version that is ready.
    pub fn models(&self) -> Vec<ModelStatus> {
        self.shared.registry.read().statuses()
    }

    /// One model, by name, or the one that was loaded first.
    ///
    /// # Errors
    /// `UnknownModel` when there is no such model; `NotReady` when there is none at all.
    pub fn status(&self, model: Option<&str>) -> Result<ModelStatus> {
        self.shared.registry.read().status(model).map_err(Missing::plainly)
    }

    /// What a model is, for those who would call it.
    ///
    /// # Errors
    /// `UnknownModel`; `NotFound` when there is no such version or none is ready.
    pub fn describe(&self, name: &str, version: Option<u64>) -> Result<Description> {
        self.shared.registry.read().describe(name, version).map_err(Missing::in_tritons_words)
    }

    /// Whether a version of a model (any where `None`) answers now.
    ///
    /// # Errors
    /// `UnknownModel`; `NotFound` when there is no such version.
    pub fn model_ready(&self, name: &str, version: Option<u64>) -> Result<bool> {
        let found = self.shared.registry.read().find(Some(name), version).cloned();
        match found {
            Ok(model) => Ok(self.ensemble_ready(&model) && model.check_ready().is_ok()),
            Err(Missing::Ready(..) | Missing::ReadyVersion(..)) => Ok(false),
            Err(missing) => Err(missing.in_tritons_words()),
        }
    }

    /// Whether requests are still let in.
    pub fn is_live(&self) -> bool {
        !self.shared.registry.read().draining
    }

    /// Whether every model that should answer does.
    pub fn is_ready(&self) -> bool {
        self.shared.registry.read().all_ready()
    }

    /// What was counted of one model, or of all; of one version, or of all that are loaded.
    ///
    /// # Errors
    /// `UnknownModel`; `NotFound` when there is no such version or none is ready.
    pub fn statistics(&self, name: Option<&str>, version: Option<u64>) -> Result<Vec<ModelStatistics>> {
        let models = self.shared.registry.read();
        if let Some(name) = name {
            models.find(Some(name), version).map_err(Missing::in_tritons_words)?;
        }
        let wanted = |model: &&Arc<Model>| {
            name.is_none_or(|name| *model.name == *name)
                && version.is_none_or(|version| model.number == version)
        };
        Ok(models.loaded().filter(wanted).map(|m| m.stats.counters.read(&m.name, m.number)).collect())
    }

    /// Which requests are traced, and where to.
    pub fn tracing(&self) -> &Tracing {
        &self.tracing
    }

    /// Every model that is known, loaded or found in a repository. Blocks while the folders are read.
    pub fn index(&self) -> Vec<IndexEntry> {
        let mut names = self.repository.names();
        let mut index = self.shared.registry.read().index();
        for entry in &index {
            names.remove(&entry.name);
        }
        let unknown = |name| IndexEntry { name, version: None, state: "", reason: String::new() };
        index.extend(names.into_iter().map(unknown));
        index
    }

    /// Writes the metrics of all models, and of the machine, in Prometheus' text format. May block for milliseconds where
    /// there are GPUs to ask.
    ///
    /// # Errors
    /// `Internal` when a metric cannot be written.
    pub fn write_metrics(&self, out: &mut String) -> Result<()> {
        let chosen = &self.config.metrics;
        let mut write = || {
            self.write_models(out)?;
            if chosen.cpu {
                self.machine.write(out)?;
            }
            if chosen.gpu {
                self.gpus.write(out)?;
            }
            Ok(())
        };
        write()
            .map_err(|e: std::fmt::Error| Error::new(ErrorKind::Internal, "writing metrics").with_source(e))
    }

    /// Apart from the machine's: reading those takes milliseconds, for which the registry is not to be held.
    fn write_models(&self, out: &mut String) -> std::fmt::Result {
        let models = self.shared.registry.read();
        let exposed: Vec<Exposed<'_>> = models
            .loaded()
            .map(|model| Exposed {
                name: &model.name,
                version: model.number,
                tags: &model.config().metric_tags,
                counters: &model.stats.counters,
                pending: u64::try_from(model.stats.in_flight.get()).unwrap_or(0),
                cached: self.shared.cache.is_some() && model.caches(),
            })
            .collect();
        self.stats.write(out)?;
        write_triton(&exposed, &self.config.metrics.latencies, out)
    }

    /// Admits no more, finishes what was admitted, and joins all threads.
    ///
    /// # Errors
    /// `DeadlineExceeded` when that takes longer than `timeout`: what still waited was answered `NotReady`, and
    /// threads inside a running model are left to end with the process.
    pub async fn drain(&self, timeout: Duration) -> Result<()> {
        let end = tokio::time::Instant::now() + timeout;
        self.shared.registry.write().draining = true;
        let loaded: Vec<Arc<Model>> = self.shared.registry.read().loaded().cloned().collect();
        for model in loaded {
            if tokio::time::timeout_at(end, model.admission.emptied()).await.is_err() {
                tracing::warn!(model = %model.name, "requests were still in flight when the drain timed out");
            }
        }
        let mut retiring = std::mem::take(&mut *self.retiring());
        let mut result = Ok(());
        if tokio::time::timeout_at(end, async { while retiring.join_next().await.is_some() {} })
            .await
            .is_err()
        {
            let message = "models that were unloaded were still busy when the drain timed out";
            result = Err(Error::new(ErrorKind::DeadlineExceeded, message));
        }
        for threads in self.close() {
            result =
                result.and(threads.join(end.saturating_duration_since(tokio::time::Instant::now())).await);
        }
        result
    }

    /// Puts a version in place of the one that serves; where there was one, it is handed back.
    ///
    /// # Errors
    /// `NotReady` when the runtime was drained meanwhile.
    pub(crate) fn install(&self, loaded: Loaded) -> Result<Option<Loaded>> {
        let mut models = self.shared.registry.write();
        if models.draining {
            drop(models);
            let mut loaded = loaded;
            if let Some(threads) = loaded.close(&self.shared, SHUTTING_DOWN) {
                threads.join_blocking();
            }
            return Err(Error::new(
                ErrorKind::NotReady,
                "the runtime was drained while the model was loading",
            ));
        }
        tracing::info!(model = %loaded.model.name, version = %loaded.model.version, "model ready");
        Ok(models.install(loaded))
    }

    /// Lets models that were replaced or unloaded finish what they accepted, in the background.
    pub(crate) fn retire(&self, loaded: impl IntoIterator<Item = Loaded>) {
        let mut retiring = self.retiring();
        while retiring.try_join_next().is_some() {}
        for loaded in loaded {
            let shared = self.shared.clone();
            let (name, number) = (loaded.model.name.clone(), loaded.model.number);
            retiring.spawn(async move {
                loaded.retire(shared.clone(), RETIRE_TIMEOUT).await;
                shared.registry.write().retired(&name, number);
            });
        }
    }

    /// Loads all sessions, warms and checks them, and starts a thread for each.
    pub(crate) fn start(&self, package: &Package, options: &LoadOptions) -> Result<Loaded> {
        let began = Instant::now();
        let config = package.config.clone().unwrap_or_default();
        let mut loader = Loader {
            backend: self.backend.clone(),
            source: package.model.clone(),
            options: policy::session_options(&config, options)?,
            batches: Vec::new(),
            samples: Vec::new(),
        };
        // What the file leaves open is read out of a session, but not where instances run.
        let devices = Scheduling::new(&config, options)?.devices;
        let mut sessions = side_by_side(&devices, |&device| loader.load(device))?;
        let first =
            sessions.first().ok_or_else(|| Error::new(ErrorKind::Internal, "a model without instances"))?;
        let defaults = options.triton();
        let signature =
            Signature::new(package, first.inputs(), first.outputs(), self.config.limits, &defaults)?;
        let scheduling = Scheduling::new(signature.config(), options)?;
        let max_batch_size = scheduling.batch.max_batch_size;
        loader.batches.push(1);
        // A GPU chooses kernels for each size; on the CPU the largest batch would only hold its memory.
        let has_gpu = devices.iter().any(|&device| device != Device::Cpu);
        loader.batches.extend((has_gpu && max_batch_size > 1).then_some(max_batch_size));
        loader.samples = warm_up::samples(&signature, package)?;
        side_by_side(&mut sessions, |session| loader.warm_up(&mut **session))?;
        golden::check(&signature, package, &mut *sessions[0])?;
        let sessions = devices.into_iter().zip(sessions).collect();

        let (name, version) = (package.name.clone(), number(&package.version));
        let stats = Arc::new(self.stats.for_model(&name, version, signature.config()));
        let loading = self.next_loading();
        let lane = LaneId(loading);
        let places = READY_BATCHES * max_batch_size * scheduling.devices.len() + self.config.prepare_threads;
        self.shared.prepare.open(lane, places);
        let classes = classes_of(signature.classifier());
        let pipeline = Arc::new(Pipeline::new(&name, signature, lane, scheduling, stats.clone()));
        let model = Model {
            name: name.into(),
            version: package.version.clone(),
            number: version,
            loading,
            classes,
            admission: self.door(options, &stats),
            stats,
            work: Work::Pipeline(pipeline),
        };
        model.stats.counters.loaded(began.elapsed());
        Loaded::start(Arc::new(model), sessions, &Arc::new(loader))
    }

    /// A new model's door.
    pub(crate) fn door(&self, options: &LoadOptions, stats: &crate::stats::ModelStats) -> Admission {
        Admission::new(options.max_queue_size, self.bytes.clone(), stats.in_flight.clone())
    }

    /// A number for a loading.
    pub(crate) fn next_loading(&self) -> u64 {
        self.loadings.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether every step of an ensemble answers; true for other models.
    fn ensemble_ready(&self, model: &Model) -> bool {
        let Work::Ensemble(ensemble) = &model.work else { return true };
        let models = self.shared.registry.read();
        ensemble.steps().iter().all(|step| models.find(Some(&step.model), step.version).is_ok())
    }

    /// Tells all threads to end, and answers what still waited; the threads are to be joined.
    fn close(&self) -> Vec<Threads> {
        let mut threads: Vec<Threads> = Vec::new();
        for loaded in self.shared.registry.write().loaded_mut() {
            threads.extend(loaded.close(&self.shared, SHUTTING_DOWN));
        }
        for job in self.shared.prepare.close() {
            let error = job.pipeline.not_ready(SHUTTING_DOWN);
            job.ticket.answer(Err(error));
        }
        threads.extend(self.pool.lock().unwrap_or_else(PoisonError::into_inner).take());
        threads.extend(self.tracing.close());
        threads
    }

    fn retiring(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.retiring.lock().unwrap_or_else(PoisonError::into_inner)
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

/// `work` on each of `items`, the first on this thread and every other on one of its own.
fn side_by_side<T: Send, R: Send>(
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let work = &work;
    std::thread::scope(|scope| {
        let mut items = items.into_iter();
        let first = items.next();
        let others: Vec<_> = items.map(|item| scope.spawn(move || work(item))).collect();
        let first = first.map(work);
        let others = others.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "loading panicked")))
        });
        first.into_iter().chain(others).collect()
    })
}

/// KServe counts versions; a `.mar` may say anything, which then counts as the first.
fn number(version: &str) -> u64 {
    version.parse().ok().filter(|&number| number > 0).unwrap_or(1)
}
