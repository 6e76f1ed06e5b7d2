//! A model with the threads that run it.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tintype_core::Result;
use tintype_engine::{Device, Session};

use crate::instance::{Instance, Loader};
use crate::model::{Model, Work};
use crate::shared::Shared;
use crate::threads::Threads;

/// A model with the threads that run it. Dropping it does not end them: [close](Self::close) it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) model: Arc<Model>,
    instances: Option<Threads>,
    /// Dropped to end the pauses of restarting instances.
    stops: Vec<mpsc::Sender<()>>,
}

impl Loaded {
    /// Starts a thread for each session.
    ///
    /// # Errors
    /// `Internal` when the system refuses threads.
    pub(crate) fn start(
        model: Arc<Model>,
        sessions: Vec<(Device, Box<dyn Session>)>,
        loader: &Arc<Loader>,
    ) -> Result<Self> {
        let mut loaded = Self { model, instances: None, stops: Vec::new() };
        let Work::Pipeline(pipeline) = &loaded.model.work else { return Ok(loaded) };
        let mut threads = Threads::new();
        for (index, (device, session)) in sessions.into_iter().enumerate() {
            let (sender, stop) = mpsc::channel();
            loaded.stops.push(sender);
            // Ready from here on: the thread may take a moment to be scheduled.
            pipeline.instance_up();
            let instance =
                Instance { index, device, pipeline: pipeline.clone(), loader: loader.clone(), stop };
            if let Err(error) = threads.spawn(&format!("infer-{index}"), move || instance.work(session)) {
                pipeline.instance_down();
                pipeline.queue.close();
                threads.join_blocking();
                return Err(error);
            }
        }
        loaded.instances = Some(threads);
        Ok(loaded)
    }

    /// A model without threads of its own.
    pub(crate) fn ensemble(model: Arc<Model>) -> Self {
        Self { model, instances: None, stops: Vec::new() }
    }

    /// Tells the threads to end, and answers what still waited with `reason`; the threads are to be joined.
    pub(crate) fn close(&mut self, shared: &Shared, reason: &str) -> Option<Threads> {
        self.stops.clear();
        let Work::Pipeline(pipeline) = &self.model.work else { return None };
        let encoded = shared.prepare.close_lane(pipeline.lane).into_iter().map(|job| job.ticket);
        let prepared = pipeline.queue.close().into_iter().map(|job| job.ticket);
        for ticket in encoded.chain(prepared) {
            ticket.answer(Err(pipeline.not_ready(reason)));
        }
        self.instances.take()
    }

    /// Waits until its last request is answered, then ends its threads.
    pub(crate) async fn retire(mut self, shared: Arc<Shared>, timeout: Duration) {
        let (model, version) = (self.model.name.clone(), self.model.number);
        if tokio::time::timeout(timeout, self.model.admission.emptied()).await.is_err() {
            tracing::warn!(%model, version, "requests were still in flight when the model was unloaded");
        }
        if let Some(threads) = self.close(&shared, "it was unloaded")
            && let Err(error) = threads.join(timeout).await
        {
            tracing::warn!(%model, version, %error, "unloading left threads behind");
        }
    }
}
