//! Query parameters.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tintype_core::{Error, ErrorKind};

use crate::app::App;
use crate::rescue::Rescue;

/// A query that was read into `T`; an unknown or wrong parameter is an error of ours, not the framework's.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Params<T> {
    type Rejection = Rescue;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Rescue> {
        let query = Query::try_from_uri(&parts.uri).map_err(|rejection| {
            let text = rejection.body_text();
            let reason = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            Error::new(ErrorKind::InvalidRequest, format!("query: {reason}"))
        })?;
        Ok(Self(query.0))
    }
}
