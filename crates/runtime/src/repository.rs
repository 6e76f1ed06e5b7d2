//! Model repositories: folders of model directories, and when their models are loaded.
//!
//! A load reads the configuration, builds every version that its policy picks, warms and checks them, and only then puts
//! them in the place of those that served. Whatever goes wrong before that leaves the old ones serving.

mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tempfile::TempDir;
use tintype_core::package::{self, OpenOptions, read_config};
use tintype_core::triton::{self, ModelConfig};
use tintype_core::{Error, ErrorKind, ModelSource, Package, Result};

use crate::config::{Control, RepositoryConfig};
use crate::ensemble;
use crate::loaded::Loaded;
use crate::{LoadOptions, Runtime};
use scan::Stamp;

/// What a load request brings along.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// A configuration in JSON, instead of the file.
    pub config: Option<String>,
    /// Files instead of the model's directory, by their path in it, e.g. `1/model.onnx`.
    pub files: Vec<(String, Bytes)>,
}

/// The folders, and what was seen in them.
#[derive(Debug)]
pub(crate) struct Repository {
    config: RepositoryConfig,
    seen: Mutex<BTreeMap<String, Seen>>,
    /// One operation at a time: what one loads, another may not unload half-way.
    busy: tokio::sync::Mutex<()>,
}

/// What becomes of a model directory's files once they have been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Files {
    Stay,
    /// An instance that is restarted must find its model in memory.
    Go,
}

/// A model directory as it was when it was last loaded, or tried.
#[derive(Debug, Clone)]
struct Seen {
    stamp: Stamp,
    /// Whether it was loaded for itself, or only as a step of an ensemble.
    cause: Cause,
}

/// Why a model is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Itself,
    Ensemble,
}

impl Repository {
    pub(crate) fn new(config: RepositoryConfig) -> Self {
        Self { config, seen: Mutex::default(), busy: tokio::sync::Mutex::default() }
    }

    /// The names in the folders; none where they cannot be read.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        scan::scan(&self.config.paths).map(|found| found.models.into_keys().collect()).unwrap_or_default()
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &str) -> Result<PathBuf> {
        scan::find(&self.config.paths, name)
    }

    /// What clients may read of a failed load: files by their path in the repository, and the advice.
    fn told(&self, error: &Error) -> String {
        // An empty part at the end is a `/`, unless there is one already.
        let folders = self.config.paths.iter().map(|path| path.join("").display().to_string());
        let message = folders.fold(error.message().to_owned(), |text, folder| text.replace(&folder, ""));
        match error.hint() {
            Some(hint) => format!("{message}; {hint}"),
            None => message,
        }
    }

    /// The configuration in the model's directory, where it can be read: what is wrong with it is found when it loads.
    fn config_of(&self, name: &str) -> Option<Arc<ModelConfig>> {
        read_config(&self.find(name).ok()?, self.config.config_name.as_deref()).ok()?
    }
}

impl Runtime {
    /// Loads what the repositories' control mode says should be served from the start.
    ///
    /// # Errors
    /// `NotFound` or `Io` when a repository cannot be read. A model that does not load is reported and known as not
    /// ready; the others go on. The names of those that failed are returned, with their errors.
    pub async fn start_repository(self: &Arc<Self>) -> Result<Vec<(String, Error)>> {
        let _busy = self.repository.busy.lock().await;
        let found = scan::scan(&self.repository.config.paths)?;
        let mut failed = Vec::new();
        for name in &found.twice {
            let message = "it is in more than one repository";
            self.shared.registry.write().fail_all(name, message);
            failed.push((name.clone(), Error::new(ErrorKind::InvalidConfig, message)));
        }
        for (folder, error) in &found.nameless {
            tracing::warn!(folder, %error, "passed over");
        }
        let (names, steps) = match &self.repository.config.control {
            Control::Explicit(names) if names.iter().all(|name| name != "*") => {
                (names.clone(), self.further_steps(names))
            }
            // Steps are among all there is.
            _ => (found.models.into_keys().collect(), BTreeSet::new()),
        };
        failed.extend(self.load_names(names.into_iter().chain(steps.iter().cloned()).collect()).await);
        for (_, seen) in self.repository.seen().iter_mut().filter(|(name, _)| steps.contains(*name)) {
            seen.cause = Cause::Ensemble;
        }
        Ok(failed)
    }

    /// The steps of the ensembles among `names`, and of ensembles among those, that are there and not among `names`.
    fn further_steps(&self, names: &[String]) -> BTreeSet<String> {
        let (mut found, mut next) = (BTreeSet::new(), names.to_vec());
        while let Some(name) = next.pop() {
            for step in self.steps_of(&name) {
                let is_new = !names.contains(&step) && !found.contains(&step);
                if is_new && self.repository.find(&step).is_ok() {
                    found.insert(step.clone());
                    next.push(step);
                }
            }
        }
        found
    }

    /// Loads a model of the repositories by name, or loads it anew. What serves goes on until the new one is ready, and
    /// for good where it never is.
    ///
    /// # Errors
    /// `NotReady` outside of explicit control; `UnknownModel`; `InvalidArgument` for overrides that cannot be; what is
    /// wrong with the configuration or the model.
    pub async fn load_model(self: &Arc<Self>, name: &str, overrides: Overrides) -> Result<()> {
        self.require_explicit()?;
        let _busy = self.repository.busy.lock().await;
        let result = if overrides.config.is_none() && overrides.files.is_empty() {
            self.load_with_steps(&[name.to_owned()]).await.inspect_err(|error| {
                // Where a step failed, nothing has been noted of the ensemble yet.
                if self.repository.find(name).is_ok() && !self.shared.registry.read().is_serving(name) {
                    self.note_failure(name, error);
                }
            })
        } else {
            let (runtime, name) = (self.clone(), name.to_owned());
            blocking(move || {
                let loaded = runtime.load_overridden(&name, &overrides);
                runtime.swap(&name, loaded)?;
                runtime.repository.seen().entry(name).and_modify(|seen| seen.cause = Cause::Itself);
                Ok(())
            })
            .await
        };
        result.map_err(|error| self.for_who_loads(error))
    }

    /// Takes a model out of service once it has answered what it accepted; with `dependents`, also the steps of an
    /// ensemble that were loaded for ensembles alone, and that no other ensemble needs.
    ///
    /// # Errors
    /// `NotReady` outside of explicit control; `UnknownModel`.
    pub async fn unload_model(self: &Arc<Self>, name: &str, dependents: bool) -> Result<()> {
        self.require_explicit()?;
        let _busy = self.repository.busy.lock().await;
        self.shared.registry.read().status(Some(name)).map_err(crate::registry::Missing::in_tritons_words)?;
        let mut leaving = vec![name.to_owned()];
        while let Some(name) = leaving.pop() {
            let steps = if dependents { self.steps_in_service(&name) } else { Vec::new() };
            self.repository.seen().remove(&name);
            self.unload(&name);
            leaving.extend(steps.into_iter().filter(|step| self.only_a_step(step)));
        }
        Ok(())
    }

    /// The steps of an ensemble that serves; none of another model.
    fn steps_in_service(&self, name: &str) -> Vec<String> {
        let description = self.describe(name, None);
        description.map(|description| ensemble::steps_of(&description.config)).unwrap_or_default()
    }

    /// Whether a model was loaded for ensembles alone, of which none is left.
    fn only_a_step(&self, name: &str) -> bool {
        let for_ensembles =
            self.repository.seen().get(name).is_some_and(|seen| seen.cause == Cause::Ensemble);
        let models = self.shared.registry.read();
        for_ensembles && !models.is_step(name)
    }

    /// Looks at the repositories once, and loads, loads anew or unloads what has changed in them.
    ///
    /// # Errors
    /// `NotFound` or `Io` when a repository cannot be read. Models that do not load are reported as by
    /// [`Runtime::start_repository`].
    pub async fn poll(self: &Arc<Self>) -> Result<Vec<(String, Error)>> {
        let _busy = self.repository.busy.lock().await;
        let found = scan::scan(&self.repository.config.paths)?;
        let seen = self.repository.seen().clone();
        for name in seen.keys().filter(|name| !found.models.contains_key(*name)) {
            tracing::info!(model = %name, "its directory is gone");
            self.repository.seen().remove(name);
            self.unload(name);
        }
        let (mut changed, mut failed) = (Vec::new(), Vec::new());
        for (name, directory) in found.models {
            match scan::stamp(&directory) {
                Ok(stamp) if seen.get(&name).is_some_and(|seen| seen.stamp == stamp) => {}
                Ok(_) => changed.push(name),
                // One that cannot be read keeps no other from being loaded.
                Err(error) => {
                    tracing::error!(model = %name, %error, "looking at its directory failed");
                    failed.push((name, error));
                }
            }
        }
        failed.extend(self.load_names(changed).await);
        Ok(failed)
    }

    fn require_explicit(&self) -> Result<()> {
        match self.repository.config.control {
            Control::Explicit(_) => Ok(()),
            _ => Err(Error::new(
                ErrorKind::NotReady,
                "explicit model load / unload is not allowed if polling is enabled",
            )
            .with_hint("start the server with `--model-control-mode explicit`")),
        }
    }

    /// Loads several: those that are no ensembles side by side, then ensembles, each after the ensembles it is made of.
    async fn load_names(self: &Arc<Self>, names: Vec<String>) -> Vec<(String, Error)> {
        let mut failed = Vec::new();
        let mut waiting = names;
        let mut first = true;
        while !waiting.is_empty() {
            let (models, ensembles): (Vec<String>, Vec<String>) =
                std::mem::take(&mut waiting).into_iter().partition(|name| first && !self.is_ensemble(name));
            let turn = if first { models } else { ensembles.clone() };
            let before = turn.len();
            let mut again = Vec::new();
            for (name, result) in self.load_side_by_side(turn).await {
                match result {
                    Err(error) if !first && error.kind() == ErrorKind::NotReady => again.push((name, error)),
                    Err(error) => {
                        tracing::error!(model = %name, %error, "loading failed");
                        failed.push((name, error));
                    }
                    Ok(()) => {}
                }
            }
            if first {
                waiting = ensembles;
            } else if again.len() == before {
                // No step of any of them has become ready.
                failed.extend(again);
            } else {
                waiting = again.into_iter().map(|(name, _)| name).collect();
            }
            first = false;
        }
        failed
    }

    async fn load_side_by_side(self: &Arc<Self>, names: Vec<String>) -> Vec<(String, Result<()>)> {
        let threads = match self.repository.config.load_threads {
            0 => 4,
            threads => threads,
        };
        let places = Arc::new(tokio::sync::Semaphore::new(threads));
        let mut loading = tokio::task::JoinSet::new();
        for name in names {
            let (runtime, places) = (self.clone(), places.clone());
            loading.spawn(async move {
                // Closed by nobody.
                let _place = places.acquire().await;
                let result = runtime.load_one(name.clone(), Cause::Itself).await;
                (name, result)
            });
        }
        let mut results = Vec::new();
        while let Some(joined) = loading.join_next().await {
            match joined {
                Ok(result) => results.push(result),
                Err(error) => tracing::error!(%error, "loading panicked"),
            }
        }
        results
    }

    /// Loads the last model of `path`, whose others are ensembles, each with the next as a step; for an ensemble, the
    /// steps that are not there first.
    async fn load_with_steps(self: &Arc<Self>, path: &[String]) -> Result<()> {
        let Some(name) = path.last() else { return Ok(()) };
        for step in self.steps_of(name) {
            if self.shared.registry.read().is_serving(&step) {
                continue;
            }
            let longer: Vec<String> = path.iter().chain([&step]).cloned().collect();
            if path.contains(&step) {
                let message = format!("circular dependency between ensembles: {}", longer.join(" -> "));
                return Err(Error::new(ErrorKind::InvalidConfig, message));
            }
            Box::pin(self.load_with_steps(&longer)).await.map_err(|e| e.context(format!("step `{step}`")))?;
        }
        let cause = if path.len() == 1 { Cause::Itself } else { Cause::Ensemble };
        self.load_one(name.clone(), cause).await
    }

    async fn load_one(self: &Arc<Self>, name: String, cause: Cause) -> Result<()> {
        let runtime = self.clone();
        blocking(move || {
            let directory = runtime.repository.find(&name)?;
            let seen = Seen { stamp: scan::stamp(&directory)?, cause };
            runtime.repository.seen().insert(name.clone(), seen);
            let loaded = runtime.build(&directory, None, Files::Stay);
            runtime.swap(&name, loaded)
        })
        .await
    }

    /// Builds a model of the files that a request brought, or of its directory under another configuration.
    fn load_overridden(&self, name: &str, overrides: &Overrides) -> Result<Vec<Loaded>> {
        let config = overrides.config.as_deref().map(triton::from_json).transpose();
        let config = config.map_err(|e| e.context("Invalid config override"))?.map(Arc::new);
        if overrides.files.is_empty() {
            return self.build(&self.repository.find(name)?, config, Files::Stay);
        }
        let Some(config) = config else {
            let message = "failed to load '".to_owned()
                + name
                + "', files need a configuration beside them: the parameter `config`";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        };
        let folder = TempDir::new().map_err(|e| Error::io(&std::env::temp_dir(), e))?;
        package::check_name(name)?;
        let directory = folder.path().join(name);
        for (path, content) in &overrides.files {
            let inside = scan::inside(path)?;
            let place = directory.join(inside);
            let parent = place.parent().unwrap_or(&directory);
            // Named as the request names it: where it is written is nobody's business.
            std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::write(&place, content))
                .map_err(|e| Error::io(inside, e))?;
        }
        self.build(&directory, Some(config), Files::Go)
    }

    /// Builds every version that the policy of a model directory picks, under `config` or its own configuration.
    fn build(&self, directory: &Path, config: Option<Arc<ModelConfig>>, files: Files) -> Result<Vec<Loaded>> {
        let settings = &self.repository.config;
        let config = match config {
            Some(config) => Some(config),
            None => read_config(directory, settings.config_name.as_deref())?,
        };
        let name = scan::name_of(directory)?;
        let available = package::versions(directory)?;
        let options = OpenOptions { config: config.clone(), ..OpenOptions::default() };
        let config = config.unwrap_or_default();
        let picked = triton::choose_versions(&config, &available)
            .map_err(|e| e.context(format!("failed to load '{name}'")))?;
        let mut built = Vec::new();
        for number in picked {
            self.shared.registry.write().announce(&name, number, &number.to_string());
            let result = if config.is_ensemble() {
                package::read_output_labels(directory, Some(&config))
                    .and_then(|labels| self.start_ensemble(&name, number, &config, labels))
            } else {
                Package::open_with(&directory.join(number.to_string()), &options).and_then(|mut package| {
                    if files == Files::Go {
                        package.model = ModelSource::Bytes(package.model.bytes()?);
                    }
                    self.start(&package, &settings.options)
                })
            };
            match result {
                Ok(loaded) => built.push(loaded),
                Err(error) => {
                    self.discard(built);
                    self.shared.registry.write().fail(&name, number, &self.repository.told(&error));
                    return Err(error.context(format!("failed to load '{name}', version {number}")));
                }
            }
        }
        Ok(built)
    }

    /// Puts what was built in place of what serves, or says why there is nothing to put.
    fn swap(&self, name: &str, built: Result<Vec<Loaded>>) -> Result<()> {
        let built = match built {
            Ok(built) => built,
            Err(error) => {
                self.note_failure(name, &error);
                return Err(error);
            }
        };
        let kept: BTreeSet<u64> = built.iter().map(|loaded| loaded.model.number).collect();
        for loaded in built {
            let replaced = self.install(loaded)?;
            self.retire(replaced);
        }
        let gone = self.shared.registry.write().unload(name, |number| !kept.contains(&number));
        self.retire(gone);
        Ok(())
    }

    /// A load that failed before any version was begun is all that is known of a model that does not serve.
    fn note_failure(&self, name: &str, error: &Error) {
        let mut models = self.shared.registry.write();
        if models.is_serving(name) {
            tracing::warn!(model = %name, %error, "not replaced: what was loaded before goes on");
        } else if models.status(Some(name)).is_err() {
            models.fail_all(name, &self.repository.told(error));
        }
    }

    /// What is wrong with a model is the business of who loads it, unlike of who asks it.
    fn for_who_loads(&self, error: Error) -> Error {
        let kind = match error.kind() {
            ErrorKind::InvalidConfig
            | ErrorKind::InvalidPackage
            | ErrorKind::InvalidModel
            | ErrorKind::NotFound
            | ErrorKind::Engine
            | ErrorKind::Io => ErrorKind::InvalidArgument,
            // A step that is not loaded, unless the server itself is about to end.
            ErrorKind::NotReady if self.is_live() => ErrorKind::InvalidArgument,
            kind => kind,
        };
        Error::new(kind, self.repository.told(&error)).with_source(error)
    }

    /// Ends what was built for nothing.
    fn discard(&self, built: Vec<Loaded>) {
        for mut loaded in built {
            if let Some(threads) = loaded.close(&self.shared, "it was not put in service") {
                threads.join_blocking();
            }
        }
    }

    fn unload(&self, name: &str) {
        let gone = self.shared.registry.write().unload(name, |_| true);
        tracing::info!(model = %name, "unloading");
        self.retire(gone);
    }

    fn is_ensemble(&self, name: &str) -> bool {
        self.repository.config_of(name).is_some_and(|config| config.is_ensemble())
    }

    fn steps_of(&self, name: &str) -> Vec<String> {
        self.repository.config_of(name).map(|config| ensemble::steps_of(&config)).unwrap_or_default()
    }

    /// The options for models of the repositories.
    pub(crate) fn repository_options(&self) -> &LoadOptions {
        &self.repository.config.options
    }
}

/// Runs blocking `work` where it does not hold up the sockets.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::new(ErrorKind::Internal, "loading panicked").with_source(error)),
    }
}
