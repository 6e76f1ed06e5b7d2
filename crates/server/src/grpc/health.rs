//! `grpc.health.v1.Health`: whether the server can answer for its models.

use std::sync::Arc;

use futures_util::stream::Pending;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

use super::call::Call;
use crate::access::Family;
use crate::app::App;

/// The names for which it answers: the server's, which is empty, and the service's.
const NAMES: [&str; 2] = ["", "inference.GRPCInferenceService"];

pub(super) struct Health {
    pub(super) app: Arc<App>,
}

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = Pending<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let call = Call { app: &self.app, method: "Check", family: Family::Health };
        call.unlock(request.metadata())?;
        if !NAMES.contains(&request.get_ref().service.as_str()) {
            return Err(Status::not_found("unknown service"));
        }
        let status = match self.app.is_ready() {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        Ok(Response::new(HealthCheckResponse { status: status.into() }))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("watching is not supported; call Check"))
    }
}
