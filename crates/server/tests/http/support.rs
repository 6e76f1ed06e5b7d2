//! A server on a port of its own, and a client that writes exactly what a test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tintype_core::{
    Activation, DType, ModelSource, ModelSpec, Package, PostprocessSpec, PreprocessSpec, Resize, Result,
    Tensor, TensorSpec,
};
use tintype_engine::mock::{MockBackend, MockModel, Step};
use tintype_runtime::{LoadOptions, Runtime, RuntimeConfig, Snapshot};
use tintype_server::{Listen, Server, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const LABELS: [&str; 3] = ["light", "dark", "none"];

/// `f32[?,3,2,2]` → `[mean, 1 - mean, 0]` of each row.
pub fn model(script: impl IntoIterator<Item = Step>) -> MockModel {
    let input =
        TensorSpec { name: "x".into(), dtype: DType::F32, shape: vec![None, Some(3), Some(2), Some(2)] };
    let output = TensorSpec { name: "scores".into(), dtype: DType::F32, shape: vec![None, Some(3)] };
    let model = MockModel::new(vec![input], vec![output], |inputs| {
        let rows = inputs[0].shape()[0];
        let means = inputs[0].values::<f32>()?.chunks(12).map(|row| row.iter().sum::<f32>() / 12.0);
        Ok(vec![Tensor::new([rows, 3], means.flat_map(|mean| [mean, 1.0 - mean, 0.0]).collect())?])
    });
    model.script(script)
}

pub fn package(name: &str) -> Package {
    let preprocess = PreprocessSpec {
        resize: Some(Resize::Exact([2, 2])),
        scale: 1.0 / 255.0,
        mean: vec![0.0; 3],
        std: vec![1.0; 3],
        ..PreprocessSpec::default()
    };
    let postprocess =
        PostprocessSpec { activation: Activation::None, top_k: 2, ..PostprocessSpec::default() };
    Package {
        name: name.into(),
        version: "1".into(),
        spec: ModelSpec { preprocess: Some(preprocess), postprocess, ..ModelSpec::default() },
        labels: LABELS.map(String::from).to_vec(),
        model: ModelSource::Bytes([].into()),
        config: None,
        output_labels: std::collections::BTreeMap::new(),
    }
}

/// A model that answers with what it is asked: `x` and `s` come back as `y` and `t`.
pub fn echo(script: impl IntoIterator<Item = Step>) -> Setup {
    let spec = |name: &str, dtype| TensorSpec { name: name.into(), dtype, shape: vec![None, None] };
    let inputs = vec![spec("x", DType::F32), spec("s", DType::Bytes)];
    let model = MockModel::echo(inputs).output_names(["y", "t"]).script(script);
    let plain = |name: &str| Package { spec: ModelSpec::default(), ..package(name) };
    Setup { model, package: plain, ..Setup::default() }
}

/// What a test chooses; the defaults are one instance on a port that the system chooses.
pub struct Setup {
    pub model: MockModel,
    pub package: fn(&str) -> Package,
    pub names: Vec<&'static str>,
    pub config: LoadOptions,
    pub runtime: RuntimeConfig,
    pub server: ServerConfig,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            model: model([]),
            package,
            names: vec!["m"],
            config: LoadOptions { instances: 1, ..LoadOptions::default() },
            runtime: RuntimeConfig { prepare_threads: 1, ..RuntimeConfig::default() },
            server: ServerConfig {
                listen: Listen { http: Some(any_port()), grpc: Some(any_port()), metrics: Some(any_port()) },
                ..ServerConfig::default()
            },
        }
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A server that runs until it is told to stop.
pub struct Running {
    pub address: SocketAddr,
    pub grpc_address: SocketAddr,
    pub metrics_address: SocketAddr,
    pub runtime: Arc<Runtime>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<()>>,
}

impl Setup {
    pub async fn start(self) -> Running {
        let runtime =
            Runtime::new(Arc::new(MockBackend::new(self.model)), self.runtime).expect("a valid config");
        let runtime = Arc::new(runtime);
        for name in self.names {
            runtime.load(&(self.package)(name), &self.config).expect("the mock loads");
        }
        let server = Server::bind(self.server, runtime.clone()).await.expect("port 0 is free");
        let address = server.http_addr().expect("it listens");
        let grpc_address = server.grpc_addr().expect("it listens");
        let metrics_address = server.metrics_addr().expect("it listens");
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(server.serve(async {
            let _ = stopped.await;
        }));
        Running { address, grpc_address, metrics_address, runtime, stop, served }
    }
}

impl Running {
    /// Sends one request on a connection of its own, and reads the answer.
    pub async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut connection = self.connect().await;
        connection.write_all(request.as_ref()).await.expect("the server reads");
        answer(&mut connection).await
    }

    /// Gets a path from a port.
    pub async fn on(&self, address: SocketAddr, path: &str) -> Answer {
        let mut connection = TcpStream::connect(address).await.expect("the server listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.expect("the server reads");
        answer(&mut connection).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")).await
    }

    /// Posts a body of a content type.
    pub async fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        self.ask(post(path, &[("Content-Type", content_type)], body)).await
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the server listens")
    }

    /// Gives the shutdown signal; the end of serving is to be awaited.
    pub fn stop(self) -> JoinHandle<Result<()>> {
        let _ = self.stop.send(());
        self.served
    }

    pub fn stats(&self) -> Snapshot {
        self.runtime.status(None).expect("a model is loaded").stats.expect("it is loaded")
    }
}

/// A POST with the headers that it needs and those given.
pub fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = format!("POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("Content-Length: {}\r\n\r\n", body.len());
    [request.as_bytes(), body].concat()
}

/// A form with one file.
pub fn form(field: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n"
    );
    [head.as_bytes(), content, b"\r\n--XX--\r\n"].concat()
}

pub const FORM: &str = "multipart/form-data; boundary=XX";

/// A picture of its own for each seed.
pub fn image(seed: u64) -> Vec<u8> {
    tintype_testkit::image::png(5, 4, seed)
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// Checks that this is an error of `status` and `kind` in the shape that all errors have.
    #[track_caller]
    pub fn is_error(&self, status: u16, kind: &str) -> String {
        let body = self.json();
        assert_eq!((self.status, body["error"]["kind"].as_str()), (status, Some(kind)), "{body}");
        assert_eq!(body["detail"], body["error"]["message"]);
        assert_eq!(self.header("content-type"), Some("application/json"));
        body["detail"].as_str().expect("a message").to_owned()
    }
}

/// Reads one answer with a `Content-Length`.
pub async fn answer(connection: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let read = async {
        loop {
            if let Some(answer) = parse(&bytes) {
                return answer;
            }
            assert!(
                connection.read_buf(&mut bytes).await.expect("the connection lives") > 0,
                "the connection ended after {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("an answer within seconds")
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is ASCII");
    let status = head.split(' ').nth(1)?.parse().expect("a status is a number");
    let answer = Answer { status, head, body: bytes[end + 4..].to_vec() };
    let length: usize = answer.header("content-length")?.parse().expect("a length is a number");
    (answer.body.len() == length).then_some(answer)
}

/// Waits until `condition` holds: seconds at most, or the test has failed.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}
