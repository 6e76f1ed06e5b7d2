//! The models of one process: by name, then by version.
//!
//! A version is replaced in one step: whoever asks before it gets the old one, which finishes what it accepted, and whoever
//! asks after it the new one.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tintype_core::{Error, ErrorKind};

use crate::loaded::Loaded;
use crate::model::{Description, Model, ModelState, ModelStatus, not_ready};

pub(crate) const SHUTTING_DOWN: &str = "the server is shutting down";
const LOADING: &str = "it is being loaded";
const UNLOADING: &str = "it is being unloaded";
/// Triton's word, and the one reason for which a version that does not answer is nothing amiss.
const UNLOADED: &str = "unloaded";

/// All models, behind a lock.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    models: RwLock<Models>,
}

impl Registry {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Models> {
        // Nothing under this lock panics half-way through a change.
        self.models.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Models> {
        self.models.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All models.
#[derive(Debug, Default)]
pub(crate) struct Models {
    by_name: BTreeMap<String, Entry>,
    /// How many names there have been.
    names: u64,
    /// Set once nothing new is let in.
    pub(crate) draining: bool,
}

/// A name, and what stands behind it.
#[derive(Debug)]
struct Entry {
    /// The first name of a process is its default model.
    order: u64,
    versions: BTreeMap<u64, Version>,
    /// Why nothing stands behind it.
    failure: Option<String>,
}

#[derive(Debug)]
struct Version {
    label: String,
    state: ModelState,
    loaded: Option<Loaded>,
}

impl Version {
    /// The model, while it takes requests.
    fn serving(&self) -> Option<&Arc<Model>> {
        self.loaded.as_ref().filter(|_| self.state == ModelState::Ready).map(|loaded| &loaded.model)
    }
}

/// A line of the repository's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The model.
    pub name: String,
    /// The version; `None` for a model of which no version was loaded.
    pub version: Option<u64>,
    /// `READY`, `LOADING`, `UNLOADING` or `UNAVAILABLE`; empty for a model that nobody tried to load.
    pub state: &'static str,
    /// Why it is unavailable.
    pub reason: String,
}

/// Why there is nobody to ask.
#[derive(Debug)]
pub(crate) enum Missing {
    /// No model at all.
    Any,
    Name(String),
    Version(String, u64),
    /// The name is known, and why no version of it answers.
    Ready(String, String),
    /// The version is known, and does not answer.
    ReadyVersion(String, u64),
}

impl Missing {
    /// For who asked by name, or for whatever there is.
    pub(crate) fn plainly(self) -> Error {
        match self {
            Self::Ready(name, reason) => not_ready(&name, &reason),
            other => other.in_tritons_words(),
        }
    }

    /// In Triton's words.
    pub(crate) fn in_tritons_words(self) -> Error {
        match self {
            Self::Any => Error::new(ErrorKind::NotReady, "no model is loaded"),
            Self::Name(name) => {
                let message = format!("Request for unknown model: '{name}' is not found");
                Error::new(ErrorKind::UnknownModel, message)
            }
            Self::Version(name, version) => {
                let message = format!("Request for unknown model: '{name}' version {version} is not found");
                Error::new(ErrorKind::NotFound, message)
            }
            Self::Ready(name, _) => {
                let message = format!("Request for unknown model: '{name}' has no available versions");
                Error::new(ErrorKind::NotFound, message)
            }
            Self::ReadyVersion(name, version) => {
                let message =
                    format!("Request for unknown model: '{name}' version {version} is not at ready state");
                Error::new(ErrorKind::NotReady, message)
            }
        }
    }
}

impl Models {
    /// The model that answers requests for `name` (the first one where `None`) and `version` (the highest one that
    /// answers).
    pub(crate) fn find(&self, name: Option<&str>, version: Option<u64>) -> Result<&Arc<Model>, Missing> {
        let (name, entry) = self.entry(name)?;
        if self.draining {
            return Err(Missing::Ready(name.to_owned(), SHUTTING_DOWN.to_owned()));
        }
        let found = match version {
            Some(number) => match entry.versions.get(&number) {
                Some(version) => {
                    return version.serving().ok_or_else(|| Missing::ReadyVersion(name.to_owned(), number));
                }
                None => return Err(Missing::Version(name.to_owned(), number)),
            },
            None => entry.versions.values().rev().find_map(Version::serving),
        };
        found.ok_or_else(|| Missing::Ready(name.to_owned(), entry.reason()))
    }

    pub(crate) fn describe(&self, name: &str, version: Option<u64>) -> Result<Description, Missing> {
        let model = self.find(Some(name), version)?.clone();
        let versions = self.by_name.get(name).into_iter().flat_map(|entry| &entry.versions);
        let ready =
            versions.filter(|(_, version)| version.serving().is_some()).map(|(&number, _)| number).collect();
        Ok(Description::new(model, ready))
    }

    /// Every model that answers or was accepted, in the order of names.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.by_name
            .values()
            .flat_map(|entry| entry.versions.values())
            .filter_map(|version| Some(&version.loaded.as_ref()?.model))
    }

    /// Whether `name` has a version that answers.
    pub(crate) fn is_serving(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|entry| entry.versions.values().any(|v| v.serving().is_some()))
    }

    /// Whether an ensemble that answers has `name` as a step.
    pub(crate) fn is_step(&self, name: &str) -> bool {
        let versions = self.by_name.values().flat_map(|entry| entry.versions.values());
        let mut ensembles = versions.filter_map(Version::serving);
        ensembles.any(|model| model.config().steps().iter().any(|step| step.model_name == name))
    }

    /// Whether every version that is known answers, but for those that were taken out of service.
    pub(crate) fn all_ready(&self) -> bool {
        let ready = |version: &Version| match version.serving() {
            Some(model) => model.check_ready().is_ok(),
            None => version.state == ModelState::Unloading || version.state == unloaded(),
        };
        !self.draining
            && self
                .by_name
                .values()
                .all(|entry| entry.failure.is_none() && entry.versions.values().all(ready))
    }

    /// The highest version that answers or should, of each name, in the order of first loading.
    pub(crate) fn statuses(&self) -> Vec<ModelStatus> {
        let mut entries: Vec<_> = self.by_name.iter().collect();
        entries.sort_by_key(|(_, entry)| entry.order);
        entries.into_iter().map(|(name, entry)| self.status_of(name, entry)).collect()
    }

    pub(crate) fn status(&self, name: Option<&str>) -> Result<ModelStatus, Missing> {
        self.entry(name).map(|(name, entry)| self.status_of(name, entry))
    }

    pub(crate) fn index(&self) -> Vec<IndexEntry> {
        let mut lines = Vec::new();
        for (name, entry) in &self.by_name {
            if entry.versions.is_empty() {
                let reason = entry.failure.clone().unwrap_or_default();
                lines.push(IndexEntry { name: name.clone(), version: None, state: "UNAVAILABLE", reason });
            }
            for (&number, version) in &entry.versions {
                let state = if self.draining { &ModelState::Unloading } else { &version.state };
                let (state, reason) = match state {
                    ModelState::Loading => ("LOADING", String::new()),
                    ModelState::Ready => ("READY", String::new()),
                    ModelState::Unloading => ("UNLOADING", String::new()),
                    ModelState::NotReady { reason } => ("UNAVAILABLE", reason.clone()),
                };
                lines.push(IndexEntry { name: name.clone(), version: Some(number), state, reason });
            }
        }
        lines
    }

    /// Makes `name` known, and its version `number` as one that is being loaded, unless it answers already.
    pub(crate) fn announce(&mut self, name: &str, number: u64, label: &str) {
        let entry = self.entry_mut(name);
        entry.failure = None;
        let version = || Version { label: label.to_owned(), state: ModelState::Loading, loaded: None };
        let version = entry.versions.entry(number).or_insert_with(version);
        if version.serving().is_none() {
            version.state = ModelState::Loading;
        }
    }

    /// Puts a version in place; the one that it replaces is to be retired.
    pub(crate) fn install(&mut self, loaded: Loaded) -> Option<Loaded> {
        let (name, number) = (loaded.model.name.clone(), loaded.model.number);
        let version =
            Version { label: loaded.model.version.clone(), state: ModelState::Ready, loaded: Some(loaded) };
        self.entry_mut(&name).versions.insert(number, version)?.loaded
    }

    /// A version could not be loaded. One that answers goes on.
    pub(crate) fn fail(&mut self, name: &str, number: u64, reason: &str) {
        let version = self.entry_mut(name).versions.get_mut(&number);
        if let Some(version) = version.filter(|version| version.serving().is_none()) {
            version.state = ModelState::NotReady { reason: reason.to_owned() };
        }
    }

    /// Nothing of `name` could be loaded. Versions that answer go on.
    pub(crate) fn fail_all(&mut self, name: &str, reason: &str) {
        let entry = self.entry_mut(name);
        entry.versions.retain(|_, version| version.serving().is_some());
        entry.failure = entry.versions.is_empty().then(|| reason.to_owned());
    }

    /// Takes the versions of `name` that `goes` picks out of service; they are to be retired.
    pub(crate) fn unload(&mut self, name: &str, goes: impl Fn(u64) -> bool) -> Vec<Loaded> {
        let Some(entry) = self.by_name.get_mut(name) else { return Vec::new() };
        let gone = entry.versions.iter_mut().filter(|(number, _)| goes(**number));
        let gone = gone.filter_map(|(_, version)| {
            version.state = match &version.loaded {
                Some(_) => ModelState::Unloading,
                None => unloaded(),
            };
            version.loaded.take()
        });
        gone.collect()
    }

    /// A version that was unloaded has answered its last request.
    pub(crate) fn retired(&mut self, name: &str, number: u64) {
        let version = self.by_name.get_mut(name).and_then(|entry| entry.versions.get_mut(&number));
        if let Some(version) = version.filter(|version| version.state == ModelState::Unloading) {
            version.state = unloaded();
        }
    }

    /// Every model with threads, to be closed.
    pub(crate) fn loaded_mut(&mut self) -> impl Iterator<Item = &mut Loaded> {
        self.by_name
            .values_mut()
            .flat_map(|entry| entry.versions.values_mut())
            .filter_map(|v| v.loaded.as_mut())
    }

    fn entry(&self, name: Option<&str>) -> Result<(&str, &Entry), Missing> {
        let found = match name {
            Some(name) => self.by_name.get_key_value(name).ok_or_else(|| Missing::Name(name.to_owned()))?,
            None => self.by_name.iter().min_by_key(|(_, entry)| entry.order).ok_or(Missing::Any)?,
        };
        Ok((found.0.as_str(), found.1))
    }

    fn entry_mut(&mut self, name: &str) -> &mut Entry {
        let names = &mut self.names;
        self.by_name.entry(name.to_owned()).or_insert_with(|| {
            *names += 1;
            Entry { order: *names, versions: BTreeMap::new(), failure: None }
        })
    }

    fn status_of(&self, name: &str, entry: &Entry) -> ModelStatus {
        let version = entry.versions.values().rev().find(|version| version.serving().is_some());
        let version = version.or(entry.versions.values().next_back());
        let not_ready = |reason: &str| ModelState::NotReady { reason: reason.to_owned() };
        if let Some(model) = version.and_then(Version::serving) {
            let status = model.status();
            let state = if self.draining { not_ready(SHUTTING_DOWN) } else { status.state };
            return ModelStatus { state, ..status };
        }
        let state = match version {
            Some(version) => version.state.clone(),
            None => not_ready(entry.failure.as_deref().unwrap_or(LOADING)),
        };
        let label = version.map_or_else(String::new, |version| version.label.clone());
        ModelStatus { name: name.to_owned(), version: label, state, classes: Arc::default(), stats: None }
    }
}

/// The state of a version that was taken out of service.
fn unloaded() -> ModelState {
    ModelState::NotReady { reason: UNLOADED.to_owned() }
}

impl Entry {
    /// Why no version answers, of the highest one.
    fn reason(&self) -> String {
        match self.versions.values().next_back().map(|version| &version.state) {
            Some(ModelState::NotReady { reason }) => reason.clone(),
            Some(ModelState::Unloading) => UNLOADING.to_owned(),
            Some(_) => LOADING.to_owned(),
            None => self.failure.clone().unwrap_or_else(|| LOADING.to_owned()),
        }
    }
}
