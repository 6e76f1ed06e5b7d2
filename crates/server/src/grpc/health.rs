//! `grpc.health.v1.Health`: whether the server can answer for its models.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

use super::call::Call;
use crate::access::Family;
use crate::app::App;

/// The names for which it answers: the server's, which is empty, and the service's.
const NAMES: [&str; 2] = ["", "inference.GRPCInferenceService"];

/// How often those who watch are looked after. Readiness has many causes, an instance that fails among them; nobody is
/// told of it, so that nothing on a request's way has to tell.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) struct Health {
    pub(super) app: Arc<App>,
}

impl Health {
    fn call(&self, method: &'static str) -> Call<'_> {
        Call { app: &self.app, method, family: Family::Health }
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.call("Check").unlock(request.metadata())?;
        match status(&self.app, &request.get_ref().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("unknown service")),
            status => Ok(Response::new(HealthCheckResponse { status: status.into() })),
        }
    }

    /// Tells the status now, and whenever it changes; that it does not serve when the server stops.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.call("Watch").unlock(request.metadata())?;
        let (app, service) = (self.app.clone(), request.into_inner().service);
        let looks = stream::unfold(tokio::time::interval(LOOK_EVERY), |mut ticks| async {
            ticks.tick().await;
            Some(((), ticks))
        });
        let mut last = None;
        let statuses = looks.take_until(self.app.stopping()).map(move |()| status(&app, &service));
        let changes = statuses.chain(stream::iter([ServingStatus::NotServing])).filter_map(move |status| {
            let changed = last.replace(status) != Some(status);
            async move { changed.then(|| Ok(HealthCheckResponse { status: status.into() })) }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

fn status(app: &App, service: &str) -> ServingStatus {
    match (NAMES.contains(&service), app.is_ready()) {
        (false, _) => ServingStatus::ServiceUnknown,
        (true, true) => ServingStatus::Serving,
        (true, false) => ServingStatus::NotServing,
    }
}
