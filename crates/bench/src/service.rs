//! The kinds of servers, and what a request to each looks like over HTTP.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use tintype_api::PredictJson;
use tintype_api::kserve::Request;
use tintype_api::kserve::ask::{self, InputForm};
use tintype_core::{Error, ErrorKind, Result};

use crate::control::model_path;
use crate::transport::http::Prepared;

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `POST /predict` with the image as it is.
    Tintype,
    /// KServe v2, as Triton speaks it.
    Triton,
    /// `POST /predictions/MODEL` with a form.
    TorchServe,
    /// `POST /predict` with the image as base64 in JSON.
    LitServe,
    /// The same at `POST /predict/`.
    ModelServing,
}

/// What a request is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// An encoded image.
    Image {
        /// Its file's name.
        name: String,
        /// Its file's bytes.
        bytes: Bytes,
    },
    /// A JSON body, sent as it is.
    Body(Bytes),
    /// Tensors.
    Tensors(Request),
}

/// Where requests go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The server's host and port.
    pub authority: String,
    /// A path that is sent to instead of the service's own; empty for that.
    pub path: String,
    /// The model; empty for the server's choice.
    pub model: String,
    /// Its version; empty for the server's choice.
    pub version: String,
}

impl Service {
    /// Where a server says with status 200 that it is ready.
    pub fn ready_path(self) -> &'static str {
        match self {
            Self::Tintype | Self::LitServe => "/health",
            Self::Triton => "/v2/health/ready",
            Self::TorchServe => "/ping",
            Self::ModelServing => "/",
        }
    }

    /// Its name in Triton's manner, for the report.
    pub fn title(self) -> &'static str {
        match self {
            Self::Tintype => "TINTYPE",
            Self::Triton => "TRITON",
            Self::TorchServe => "TORCHSERVE",
            Self::LitServe => "LITSERVE",
            Self::ModelServing => "MODEL_SERVING",
        }
    }

    /// The HTTP request for `input`, of which tensors go as `form` says.
    ///
    /// # Errors
    /// `InvalidArgument` for an input that such a server does not take, and where it needs a model's name.
    pub fn prepare(self, endpoint: &Endpoint, input: &Input, form: InputForm) -> Result<Prepared> {
        let (kind, body) = match (self, input) {
            (Self::Triton, Input::Tensors(request)) => return kserve(endpoint, request, form),
            (Self::Tintype, Input::Image { bytes, .. }) => ("application/octet-stream", bytes.clone()),
            (Self::LitServe | Self::ModelServing, Input::Image { bytes, .. }) => {
                let image = base64_simd::STANDARD.encode_to_string(bytes).into();
                let json = serde_json::to_vec(&PredictJson { image });
                let json = json.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
                ("application/json", json.into())
            }
            (Self::TorchServe, Input::Image { name, bytes }) => (FORM, file_form(name, bytes)),
            (_, Input::Body(json)) => ("application/json", json.clone()),
            (_, input) => return Err(self.does_not_take(input)),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.prepared(endpoint, headers, body)
    }

    fn prepared(self, endpoint: &Endpoint, mut headers: HeaderMap, body: Bytes) -> Result<Prepared> {
        let wrong = |what: String| Error::new(ErrorKind::InvalidArgument, what);
        let (path, host) = (self.path(endpoint)?, &endpoint.authority);
        let uri = path.parse().map_err(|e| wrong(format!("the path `{path}`: {e}")))?;
        let host = HeaderValue::from_str(host).map_err(|_| wrong(format!("`{host}` is not a host")))?;
        headers.insert(HOST, host);
        Ok(Prepared { uri, headers, body })
    }

    fn path(self, endpoint: &Endpoint) -> Result<String> {
        let Endpoint { path, model, version, .. } = endpoint;
        if !path.is_empty() {
            return Ok(path.clone());
        }
        Ok(match self {
            Self::Tintype if !model.is_empty() => format!("/predict?model={model}"),
            Self::Tintype | Self::LitServe => "/predict".to_owned(),
            Self::ModelServing => "/predict/".to_owned(),
            Self::TorchServe if model.is_empty() => {
                return Err(Error::new(ErrorKind::InvalidArgument, "TorchServe needs a model's name")
                    .with_hint("give it with `-m NAME`"));
            }
            Self::TorchServe if version.is_empty() => format!("/predictions/{model}"),
            Self::TorchServe => format!("/predictions/{model}/{version}"),
            Self::Triton => format!("{}/infer", model_path(model, version)),
        })
    }

    fn does_not_take(self, input: &Input) -> Error {
        let what = match input {
            Input::Image { .. } => "images",
            Input::Body(_) => "JSON bodies",
            Input::Tensors(_) => "tensors",
        };
        let message = format!("requests to {} are not made of {what}", self.title());
        Error::new(ErrorKind::InvalidArgument, message)
    }
}

fn kserve(endpoint: &Endpoint, request: &Request, form: InputForm) -> Result<Prepared> {
    let encoded = ask::encode(request, form)?;
    let mut headers = HeaderMap::new();
    match encoded.header_len {
        Some(length) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            headers.insert(HeaderName::from_static("inference-header-content-length"), length.into());
        }
        None => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
    }
    Service::Triton.prepared(endpoint, headers, encoded.body.into())
}

const FORM: &str = "multipart/form-data; boundary=tintype-bench-8f14e45fceea167a";

/// The form that perf_analyzer sends: one file in the field `data`.
fn file_form(name: &str, bytes: &[u8]) -> Bytes {
    let boundary = FORM.rsplit('=').next().unwrap_or_default();
    let name = name.replace(['"', '\r', '\n'], "_");
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"data\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    [head.as_bytes(), bytes, format!("\r\n--{boundary}--\r\n").as_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Input {
        Input::Image { name: "cat.jpg".to_owned(), bytes: Bytes::from_static(b"\xff\xd8 a cat") }
    }

    fn sent(service: Service, endpoint: &Endpoint) -> (String, String, Bytes) {
        let prepared = service.prepare(endpoint, &image(), InputForm::Binary).unwrap();
        let kind = prepared.headers[CONTENT_TYPE].to_str().unwrap().to_owned();
        (prepared.uri.to_string(), kind, prepared.body)
    }

    #[test]
    fn each_server_gets_what_its_clients_send() {
        let plain = Endpoint::default();
        let named = Endpoint { model: "cats".to_owned(), version: "2.0".to_owned(), ..Endpoint::default() };
        let json = Bytes::from_static(br#"{"image":"/9ggYSBjYXQ="}"#);

        let (path, kind, body) = sent(Service::Tintype, &plain);
        assert_eq!((path.as_str(), kind.as_str()), ("/predict", "application/octet-stream"));
        assert_eq!(body, Bytes::from_static(b"\xff\xd8 a cat"));
        assert_eq!(sent(Service::Tintype, &named).0, "/predict?model=cats");
        assert_eq!(
            sent(Service::LitServe, &plain),
            ("/predict".into(), "application/json".into(), json.clone())
        );
        assert_eq!(
            sent(Service::ModelServing, &plain),
            ("/predict/".into(), "application/json".into(), json)
        );
        let elsewhere = Endpoint { path: "/classify".to_owned(), ..Endpoint::default() };
        assert_eq!(sent(Service::LitServe, &elsewhere).0, "/classify");

        let (path, kind, body) = sent(Service::TorchServe, &named);
        assert_eq!(path, "/predictions/cats/2.0");
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let text = String::from_utf8_lossy(&body);
        assert!(text.starts_with(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"data\"")));
        assert!(text.ends_with(&format!(" a cat\r\n--{boundary}--\r\n")));
        let refused =
            |service: Service, endpoint| service.prepare(endpoint, &image(), InputForm::Binary).is_err();
        assert!(refused(Service::TorchServe, &plain), "it needs a name");
        assert!(refused(Service::Triton, &named), "images are tensors there");
    }
}
