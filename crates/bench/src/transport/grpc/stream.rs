//! Requests over one `ModelStreamInfer` a lane, each sent when the one before it was answered.

use std::error::Error as _;

use tintype_api::kserve::proto::infer_parameter::ParameterChoice;
use tintype_api::kserve::proto::{
    InferParameter, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::{Channel, failure};
use crate::driver::{Failure, Stages};

/// Asks for a last answer, though it be an empty one: else nothing says that a model has no more.
const LAST_WANTED: &str = "triton_enable_empty_final_response";
/// What answers have it as.
const LAST: &str = "triton_final_response";

/// `request` as it goes over a stream.
pub fn streamed(mut request: ModelInferRequest) -> ModelInferRequest {
    let yes = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    request.parameters.insert(LAST_WANTED.to_owned(), yes);
    request
}

/// A stream, opened with the first request: a server may answer nothing at all before that.
#[derive(Debug, Default)]
pub(super) struct InferStream(Option<Open>);

#[derive(Debug)]
struct Open {
    requests: mpsc::Sender<ModelInferRequest>,
    answers: Streaming<ModelStreamInferResponse>,
}

impl InferStream {
    /// Sends `request` and waits for its last answer.
    pub(super) async fn ask(
        &mut self,
        channel: &mut Channel,
        request: ModelInferRequest,
    ) -> Result<Stages, Failure> {
        let began = Instant::now();
        let ended = || Failure::lost("the server ended the stream");
        let answers = match &mut self.0 {
            Some(open) => {
                open.requests.send(request).await.map_err(|_| ended())?;
                &mut open.answers
            }
            none => {
                let open = opened(channel, request).await.map_err(|status| failure(&status))?;
                &mut none.insert(open).answers
            }
        };
        let mut first = None;
        loop {
            let answer = answers.message().await.map_err(|status| broken(&status))?.ok_or_else(ended)?;
            let seen = began.elapsed();
            let wait = *first.get_or_insert(seen);
            let last = is_last(answer.infer_response.as_ref());
            if !answer.error_message.is_empty() {
                // What is still to come would be taken for the answer to the next request.
                return Err(if last {
                    Failure::refused(answer.error_message)
                } else {
                    Failure::lost(answer.error_message)
                });
            }
            if last {
                return Ok(Stages { wait, receive: seen - wait, ..Stages::default() });
            }
        }
    }
}

async fn opened(channel: &mut Channel, request: ModelInferRequest) -> Result<Open, Status> {
    // One is under way at a time.
    let (requests, receiver) = mpsc::channel(1);
    requests.send(request).await.map_err(|_| Status::internal("the stream has no end"))?;
    let sent = futures_util::stream::unfold(receiver, async |mut receiver: mpsc::Receiver<_>| {
        receiver.recv().await.map(|request| (request, receiver))
    });
    let answers = channel.stream("ModelStreamInfer", sent).await?;
    Ok(Open { requests, answers })
}

/// Whether no answer to the same request follows; servers that never give several need not say so.
fn is_last(answer: Option<&ModelInferResponse>) -> bool {
    let said = answer.and_then(|answer| answer.parameters.get(LAST)?.parameter_choice.as_ref());
    !matches!(said, Some(ParameterChoice::BoolParam(false)))
}

/// A status ends the stream, whoever it is from.
fn broken(status: &Status) -> Failure {
    let cause = status.source().map_or_else(String::new, |cause| format!(": {cause}"));
    Failure::lost(format!("{:?}: {}{cause}", status.code(), status.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_last_unless_it_says_otherwise() {
        let answer = |last: Option<bool>| {
            let mut answer = ModelInferResponse::default();
            if let Some(last) = last {
                let choice = Some(ParameterChoice::BoolParam(last));
                answer.parameters.insert(LAST.to_owned(), InferParameter { parameter_choice: choice });
            }
            answer
        };
        assert!(is_last(None) && is_last(Some(&answer(None))) && is_last(Some(&answer(Some(true)))));
        assert!(!is_last(Some(&answer(Some(false)))));
        assert!(streamed(ModelInferRequest::default()).parameters.contains_key(LAST_WANTED));
    }
}
