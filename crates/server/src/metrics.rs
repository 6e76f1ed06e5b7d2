//! Requests by route or method and status. The stages within a request are the runtime's metrics.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
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
    route: Cow<'static, str>,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByMethod {
    method: String,
    code: i32,
}

/// What the front ends count.
#[derive(Debug)]
pub(crate) struct RequestMetrics {
    registry: Registry,
    http: Family<ByRoute, Counter>,
    grpc: Family<ByMethod, Counter>,
}

impl RequestMetrics {
    pub(crate) fn new() -> Self {
        let http = Family::<ByRoute, Counter>::default();
        let grpc = Family::<ByMethod, Counter>::default();
        let mut registry = Registry::with_prefix("tintype");
        registry.register("http_requests", "HTTP requests by route and status", http.clone());
        registry.register("grpc_requests", "gRPC requests by method and status code", grpc.clone());
        Self { registry, http, grpc }
    }

    /// What counts the answers of a route of HTTP with a status.
    pub(crate) fn http_counter(&self, route: Cow<'static, str>, status: StatusCode) -> Counter {
        self.http.get_or_create_owned(&ByRoute { route, status: status.as_u16() })
    }

    /// Counts an answer of gRPC.
    pub(crate) fn count_grpc(&self, method: &'static str, code: i32) {
        self.grpc.get_or_create(&ByMethod { method: method.to_owned(), code }).inc();
    }

    /// Writes the metrics in OpenMetrics text, without the closing `# EOF`.
    pub(crate) fn write(&self, out: &mut String) -> fmt::Result {
        text::encode_registry(out, &self.registry)
    }
}

/// OpenMetrics text in the plain format, which every collector reads: there a counter's description has the name that
/// its samples have, and units are not described.
pub(crate) fn plain(openmetrics: &str) -> String {
    let counters =
        openmetrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"));
    let renamed: Vec<&str> =
        counters.filter(|name| openmetrics.contains(&format!("\n{name}_total"))).collect();
    let mut out = String::with_capacity(openmetrics.len() + 64 * renamed.len());
    for line in openmetrics.lines().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF") {
        let described = line.strip_prefix("# TYPE ").or_else(|| line.strip_prefix("# HELP "));
        let name = described.and_then(|rest| rest.split(' ').next());
        match name.filter(|name| renamed.contains(name)) {
            // Both words before the name have as many letters.
            Some(name) => {
                let end = "# TYPE ".len() + name.len();
                out.extend([&line[..end], "_total", &line[end..], "\n"]);
            }
            None => out.extend([line, "\n"]),
        }
    }
    out
}

/// Counts every answer of the router.
pub(crate) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or(UNMATCHED, MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    app.metrics.http_counter(route.into(), response.status()).inc();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_have_the_names_of_their_samples() {
        let text = "# HELP a Of a.\n# TYPE a counter\na_total{x=\"1\"} 2\n# HELP b Of b.\n# TYPE b histogram\n\
                    # UNIT b seconds\nb_sum 1\n# HELP c Of c.\n# TYPE c counter\nc 3\n# EOF\n";
        let expected = "# HELP a_total Of a.\n# TYPE a_total counter\na_total{x=\"1\"} 2\n# HELP b Of b.\n\
                        # TYPE b histogram\nb_sum 1\n# HELP c Of c.\n# TYPE c counter\nc 3\n";
        assert_eq!(plain(text), expected);
    }
}
