//! A request on its way, and what is noted of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tintype_core::NamedTensor;

use super::record::Record;
use super::sampler::Sampler;
use super::{Activity, Clock, lock};

/// A request that is traced. It is written once its last holder has dropped it.
#[derive(Debug)]
pub struct Trace {
    id: u64,
    records: Mutex<Records>,
    clock: Clock,
    ids: Arc<AtomicU64>,
    sampler: Arc<Sampler>,
    /// The ensemble's, for a request of a step.
    parent: Option<Arc<Trace>>,
}

#[derive(Debug, Default)]
struct Records {
    own: Record,
    /// Those of the requests that it came to.
    steps: Vec<Record>,
}

impl Trace {
    /// Notes when the request reached `activity`.
    pub fn stamp(&self, activity: Activity, at: Instant) {
        if self.sampler.asked().level.timestamps {
            let at = self.clock.nanos(at);
            self.with_own(|record| record.timestamps.push((activity, at)));
        }
    }

    pub(super) fn new(clock: Clock, ids: Arc<AtomicU64>, sampler: Arc<Sampler>) -> Self {
        let id = ids.fetch_add(1, Ordering::Relaxed) + 1;
        let records = Mutex::new(Records { own: Record::new(id), steps: Vec::new() });
        Self { id, records, clock, ids, sampler, parent: None }
    }

    /// A trace for a request that this one's comes to.
    pub(crate) fn child(self: &Arc<Self>) -> Arc<Self> {
        let mut child = Self::new(self.clock, self.ids.clone(), self.sampler.clone());
        child.with_own(|record| record.parent = Some(self.id));
        child.parent = Some(self.clone());
        Arc::new(child)
    }

    /// Notes who answers.
    pub(crate) fn model(&self, model: &str, version: u64) {
        self.with_own(|record| {
            model.clone_into(&mut record.model);
            record.version = version;
        });
    }

    /// Notes what the client calls its request.
    pub(crate) fn request(&self, id: &str) {
        self.with_own(|record| id.clone_into(&mut record.request));
    }

    /// Notes what goes in or out.
    pub(crate) fn tensors(&self, activity: Activity, tensors: &[NamedTensor]) {
        if self.sampler.asked().level.tensors {
            let tensors = tensors.iter().map(|tensor| (activity, tensor.clone()));
            self.with_own(|record| record.tensors.extend(tensors));
        }
    }

    fn with_own(&self, change: impl FnOnce(&mut Record)) {
        change(&mut lock(&self.records).own);
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let Records { own, steps } = std::mem::take(&mut *lock(&self.records));
        let records = std::iter::once(own).chain(steps);
        match &self.parent {
            Some(parent) => lock(&parent.records).steps.extend(records),
            None => self.sampler.collect(records.collect()),
        }
    }
}
