//! Inference, for one request and for streams of them.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use prost::Message;
use tintype_api::kserve::proto::infer_parameter::ParameterChoice;
use tintype_api::kserve::proto::{
    InferParameter, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse,
};
use tintype_api::kserve::{self, grpc};
use tintype_core::Result;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::call::refuse;
use super::service::version;
use crate::app::App;
use crate::kserve::infer as run;
use crate::traced::Wire;

/// Requests of one stream that are worked on at once; the next is read when the oldest of them is answered.
const AT_ONCE: usize = 64;

/// Runs a model.
pub(super) async fn infer(
    app: &App,
    request: ModelInferRequest,
    deadline: Instant,
) -> Result<ModelInferResponse> {
    let version = version(&request.model_version)?;
    let admitted = app.runtime.admit_version(&request.model_name, version, request.encoded_len())?;
    let request = grpc::decode(request)?;
    let (reply, _sending) = run::infer(app, admitted, request, Some(deadline), Wire::Grpc).await?;
    grpc::encode(reply)
}

/// Runs models for the requests of a stream, and answers in their order. An error ends its request, not the stream.
///
/// When the server stops, no more requests are read, and the stream ends with the last answer.
pub(super) fn infer_stream(
    app: Arc<App>,
    requests: Streaming<ModelInferRequest>,
    deadline: Option<Instant>,
) -> impl Stream<Item = Result<ModelStreamInferResponse, Status>> + Send + 'static {
    let stopping = app.stopping();
    let answers = requests.take_until(stopping).map(move |request| {
        let app = app.clone();
        async move { Ok(one(&app, request?, deadline).await) }
    });
    answers.buffered(AT_ONCE)
}

async fn one(app: &App, request: ModelInferRequest, deadline: Option<Instant>) -> ModelStreamInferResponse {
    let deadline = deadline.map_or(app.latest(), |deadline| deadline.min(app.latest()));
    // What an error answers with, so that its client knows of which request it speaks.
    let mut asked = ModelInferResponse {
        id: request.id.clone(),
        model_name: request.model_name.clone(),
        model_version: request.model_version.clone(),
        ..ModelInferResponse::default()
    };
    let answered = infer(app, request, deadline).await;
    let code = answered.as_ref().map_or_else(|error| tintype_api::status(error.kind()).grpc as i32, |_| 0);
    app.metrics.count_grpc("ModelStreamInfer", code);
    let error_message = match answered {
        Ok(response) => {
            asked = response;
            String::new()
        }
        Err(error) => {
            refuse(&error);
            kserve::message(&error).to_owned()
        }
    };
    // No model here answers a request more than once.
    let last = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    asked.parameters.insert("triton_final_response".to_owned(), last);
    ModelStreamInferResponse { error_message, infer_response: Some(asked) }
}
