//! What a runtime and the requests inside it share.

use std::sync::Arc;
use std::time::Instant;

use tintype_core::Result;

use crate::Admitted;
use crate::cache::ResponseCache;
use crate::model::Model;
use crate::prepare::PrepareQueue;
use crate::registry::{Models, Registry};

/// What a runtime and the requests inside it share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) prepare: Arc<PrepareQueue>,
    pub(crate) registry: Registry,
    /// `None` where no size was given for it.
    pub(crate) cache: Option<Arc<ResponseCache>>,
}

impl Shared {
    /// Lets a request in to the model that `find` finds.
    ///
    /// Found and let in under one lock: a model that is being replaced is never found once its last request was let in.
    pub(crate) fn admit(
        self: &Arc<Self>,
        bytes: usize,
        find: impl FnOnce(&Models) -> Result<Arc<Model>>,
    ) -> Result<Admitted> {
        let accepted = Instant::now();
        let models = self.registry.read();
        let model = find(&models)?;
        let permit = model
            .check_ready()
            .and_then(|()| model.admission.admit(bytes))
            .inspect_err(|error| model.stats.failed(error.kind(), accepted.elapsed()))?;
        drop(models);
        Ok(Admitted { model, shared: self.clone(), permit, accepted, trace: None })
    }
}
