//! Where requests of the HTTP port go: inference straight to its handler, everything else through the router.
//!
//! A model may answer within microseconds; matching the path of its request, and the boxes in which a router keeps what
//! it found and whom to call, would be a tenth of that request's time.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::Either;
use hyper::body::Incoming;
use prometheus_client::metrics::counter::Counter;
use tower::ServiceExt;

use crate::access::Family;
use crate::app::App;
use crate::routes::kserve::{Target, infer};

/// What answers on a port.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// Who answers inference, where that needs no key.
    direct: Option<Direct>,
    router: Router,
}

#[derive(Debug, Clone)]
struct Direct {
    app: Arc<App>,
    /// What counts the answers of each [`Route`] that are good.
    good: [Counter; 2],
}

/// A route of inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Model,
    Version,
}

impl Route {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "/v2/models/{model}/infer",
            Self::Version => "/v2/models/{model}/versions/{version}/infer",
        }
    }
}

impl Door {
    /// Everything through `router`.
    pub(crate) fn routed(router: Router) -> Self {
        Self { direct: None, router }
    }

    /// KServe's inference directly, unless it is locked.
    pub(crate) fn direct(app: Arc<App>, router: Router) -> Self {
        let locked = app.config.restrictions.locks_http(Family::Inference);
        let good = [Route::Model, Route::Version]
            .map(|route| app.metrics.http_counter(route.as_str().into(), StatusCode::OK));
        Self { direct: (!locked).then_some(Direct { app, good }), router }
    }

    /// Answers a request.
    ///
    /// Not an `async fn`: that would keep what it is given beside what it makes of it, and a future is moved three times
    /// on its way to the connection.
    pub(crate) fn answer(
        &self,
        request: hyper::Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send + use<> {
        let request = request.map(Body::new);
        let Some((Direct { app, good }, (route, target))) = self.direct.as_ref().zip(inference(&request))
        else {
            return Either::Right(self.router.clone().oneshot(request));
        };
        let (app, good) = (app.clone(), good[route as usize].clone());
        Either::Left(infer::infer(State(app.clone()), target, request).map(move |answer| {
            let response = answer.into_response();
            match response.status() {
                StatusCode::OK => good.inc(),
                status => app.metrics.http_counter(route.as_str().into(), status).inc(),
            };
            Ok(response)
        }))
    }
}

/// The route and the model of `POST …/infer`; `None` for what the router is to look at: other requests, and names or
/// versions that are not written plainly.
fn inference(request: &Request) -> Option<(Route, Target)> {
    let path = request.uri().path();
    let target = path.strip_prefix("/v2/models/")?.strip_suffix("/infer")?;
    let (model, version) = match target.split_once('/') {
        None => (target, None),
        Some((model, rest)) => {
            let version = rest.strip_prefix("versions/")?;
            let digits = version.bytes().all(|byte| byte.is_ascii_digit());
            (model, Some(version.parse().ok().filter(|_| digits)?))
        }
    };
    let route = if version.is_some() { Route::Version } else { Route::Model };
    let plain = !model.is_empty() && !model.contains('%') && request.method() == Method::POST;
    plain.then(|| (route, Target { model: model.to_owned(), version }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_inference_is_direct_and_all_else_is_routed() {
        let direct = |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            inference(&request).map(|(_, target)| (target.model, target.version))
        };
        assert_eq!(direct("POST", "/v2/models/a.b/infer?x=1"), Some(("a.b".into(), None)));
        assert_eq!(direct("POST", "/v2/models/m/versions/12/infer"), Some(("m".into(), Some(12))));
        for path in [
            "/v2/models/m/versions/x/infer",
            "/v2/models/m/versions/99999999999999999999/infer",
            "/v2/models//infer",
            "/v2/models/infer",
            "/v2/models/a/b/infer",
            "/v2/models/a%20b/infer",
            "/v2/models/m/infer/",
            "/v2/models/m/generate",
            "/predict",
        ] {
            assert_eq!(direct("POST", path), None, "{path}");
        }
        assert_eq!(direct("GET", "/v2/models/m/infer"), None);
    }
}
