//! Which model, and which version of it, a path speaks of.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::refusal::{invalid, not_found};
use crate::app::App;

/// The model of a path.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) model: String,
    /// The highest that is ready where `None`.
    pub(crate) version: Option<u64>,
}

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| invalid("the path is not UTF-8").into_response())?;
        let mut target = Self { model: String::new(), version: None };
        for (key, value) in &params {
            match key {
                "version" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                    let version = value.parse();
                    let version = version
                        .map_err(|_| invalid(format!("failed to parse version '{value}'")).into_response())?;
                    target.version = Some(version);
                }
                // As if no route had matched: versions are numbers.
                "version" => return Err(not_found()),
                _ => target.model = value.to_owned(),
            }
        }
        Ok(target)
    }
}
