//! Requests by route and status. The stages within a request are the runtime's metrics.

use std::fmt;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::{counter::Counter, family::Family};
use prometheus_client::registry::Registry;

use crate::app::App;

/// The route of requests that match none: their paths are the clients' invention, and endless.
const UNMATCHED: &str = "unmatched";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    route: String,
    status: u16,
}

/// What the HTTP layer counts.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    registry: Registry,
    requests: Family<ByRoute, Counter>,
}

impl HttpMetrics {
    pub(crate) fn new() -> Self {
        let requests = Family::<ByRoute, Counter>::default();
        let mut registry = Registry::with_prefix("tintype");
        registry.register("http_requests", "HTTP requests by route and status", requests.clone());
        Self { registry, requests }
    }

    /// Writes the metrics in OpenMetrics text, without the closing `# EOF`.
    pub(crate) fn write(&self, out: &mut String) -> fmt::Result {
        text::encode_registry(out, &self.registry)
    }
}

/// Counts every answer.
pub(crate) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or(UNMATCHED, MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    app.metrics.requests.get_or_create(&ByRoute { route, status: response.status().as_u16() }).inc();
    response
}
