//! A small blocking client.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tintype_core::{Error, ErrorKind, Result};
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::{ClassesResponse, ErrorBody, HealthResponse, PredictResponse};

/// Asks a server of tintype.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    base: String,
}

impl Client {
    /// A client of the server at `base`, e.g. `http://127.0.0.1:8000`, that waits at most a minute for an answer.
    pub fn new(base: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self { agent: config.into(), base: base.trim_end_matches('/').to_owned() }
    }

    /// Classifies one encoded image.
    ///
    /// # Errors
    /// `Io` when the server cannot be reached; `InvalidRequest` with the server's words when it refuses the image;
    /// `NotReady` and `Overloaded` when it cannot answer now; `Engine` when it fails.
    pub fn predict(&self, image: &[u8]) -> Result<PredictResponse> {
        let request = self.agent.post(self.url("/predict")).content_type("application/octet-stream");
        self.read("/predict", request.send(image))
    }

    /// How the server's model is.
    ///
    /// # Errors
    /// As [`Client::predict`].
    pub fn health(&self) -> Result<HealthResponse> {
        self.get("/health")
    }

    /// The classes that the server's model tells apart.
    ///
    /// # Errors
    /// As [`Client::predict`].
    pub fn classes(&self) -> Result<ClassesResponse> {
        self.get("/classes")
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.read(path, self.agent.get(self.url(path)).call())
    }

    fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<T> {
        let unreachable = |error: ureq::Error| {
            Error::new(ErrorKind::Io, format!("`{}`: {error}", self.url(path))).with_source(error)
        };
        let mut answer = answer.map_err(unreachable)?;
        if answer.status().is_success() {
            return answer.body_mut().read_json().map_err(unreachable);
        }
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_json::<ErrorBody>().ok();
        Err(refused(status, body))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// What a status other than success means to the client.
fn refused(status: u16, body: Option<ErrorBody>) -> Error {
    let kind = match status {
        404 => ErrorKind::NotFound,
        429 => ErrorKind::Overloaded,
        503 => ErrorKind::NotReady,
        504 => ErrorKind::DeadlineExceeded,
        400..500 => ErrorKind::InvalidRequest,
        _ => ErrorKind::Engine,
    };
    let Some(body) = body else {
        return Error::new(kind, format!("the server answered with status {status}"));
    };
    let error = Error::new(kind, format!("the server answered with status {status}: {}", body.detail));
    match body.error.hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}
