//! KServe's protocol over gRPC.

use std::time::Duration;

use prost::Message;
use tintype_api::kserve::proto::model_infer_request::InferInputTensor;
use tintype_api::kserve::proto::*;
use tintype_core::triton::TraceSettings;
use tintype_engine::mock::{Gate, Step};
use tintype_runtime::RuntimeConfig;
use tintype_server::Restrictions;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::support::*;

/// A client of any method.
struct Client(tonic::client::Grpc<Channel>);

fn path(method: &str) -> PathAndQuery {
    let path = match method {
        "Check" | "Watch" => format!("/grpc.health.v1.Health/{method}"),
        method => format!("/inference.GRPCInferenceService/{method}"),
    };
    path.try_into().expect("a path")
}

impl Client {
    async fn of(server: &Running) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc_address)).expect("a URI");
        Self(tonic::client::Grpc::new(endpoint.connect().await.expect("the server listens")))
    }

    async fn call<Q, A>(&mut self, method: &str, request: impl tonic::IntoRequest<Q>) -> Result<A, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.0.ready().await.expect("the connection lives");
        let codec = ProstCodec::<Q, A>::default();
        self.0.unary(request.into_request(), path(method), codec).await.map(Response::into_inner)
    }

    async fn stream(&mut self, requests: Vec<ModelInferRequest>) -> Streaming<ModelStreamInferResponse> {
        self.0.ready().await.expect("the connection lives");
        let requests = Request::new(futures_util::stream::iter(requests));
        let codec = ProstCodec::<ModelInferRequest, ModelStreamInferResponse>::default();
        self.0.streaming(requests, path("ModelStreamInfer"), codec).await.expect("a stream").into_inner()
    }
}

/// Asks for `x = [[value]]` and `s = [[""]]`.
fn infer(id: &str, value: f32) -> ModelInferRequest {
    let input = |name: &str, datatype: &str| InferInputTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape: vec![1, 1],
        ..InferInputTensor::default()
    };
    ModelInferRequest {
        model_name: "m".into(),
        id: id.into(),
        inputs: vec![input("x", "FP32"), input("s", "BYTES")],
        raw_input_contents: vec![value.to_le_bytes().to_vec().into(), vec![0; 4].into()],
        ..ModelInferRequest::default()
    }
}

fn to(name: &str, request: ModelInferRequest) -> ModelInferRequest {
    ModelInferRequest { model_name: name.into(), ..request }
}

type Inferred = Result<ModelInferResponse, Status>;

#[tokio::test]
async fn a_request_is_answered_with_raw_contents() {
    let server = echo([]).start().await;
    let mut client = Client::of(&server).await;
    let answer: ModelInferResponse = client.call("ModelInfer", infer("7", 1.5)).await.unwrap();
    assert_eq!((answer.id.as_str(), answer.model_version.as_str()), ("7", "1"));
    assert_eq!(answer.outputs[0].name, "y");
    assert_eq!(answer.raw_output_contents, [&1.5f32.to_le_bytes()[..], &[0; 4]]);
}

#[tokio::test]
async fn the_small_methods_answer() {
    let server = echo([]).start().await;
    let mut client = Client::of(&server).await;
    let live: ServerLiveResponse = client.call("ServerLive", ServerLiveRequest {}).await.unwrap();
    let ready: ServerReadyResponse = client.call("ServerReady", ServerReadyRequest {}).await.unwrap();
    assert!(live.live && ready.ready);
    let name = || "m".to_owned();
    let model: ModelMetadataResponse = client
        .call("ModelMetadata", ModelMetadataRequest { name: name(), version: String::new() })
        .await
        .unwrap();
    assert_eq!(
        (model.versions.as_slice(), model.inputs[0].shape.as_slice()),
        (&["1".to_owned()][..], &[-1, -1][..])
    );
    let config: ModelConfigResponse =
        client.call("ModelConfig", ModelConfigRequest { name: name(), version: "1".into() }).await.unwrap();
    assert_eq!(config.config.unwrap().input.len(), 2);
    let _: ModelInferResponse = client.call("ModelInfer", infer("", 1.0)).await.unwrap();
    let stats: ModelStatisticsResponse =
        client.call("ModelStatistics", ModelStatisticsRequest::default()).await.unwrap();
    assert_eq!(stats.model_stats[0].inference_count, 1);
    assert_eq!(stats.model_stats[0].inference_stats.unwrap().success.unwrap().count, 1);
    let index: RepositoryIndexResponse =
        client.call("RepositoryIndex", RepositoryIndexRequest::default()).await.unwrap();
    assert_eq!(index.models[0].state, "READY");
    let health: tonic_health::pb::HealthCheckResponse =
        client.call("Check", tonic_health::pb::HealthCheckRequest::default()).await.unwrap();
    assert_eq!(health.status, 1);
    let metrics = server.get("/metrics").await;
    let line = "tintype_grpc_requests_total{method=\"ModelInfer\",code=\"0\"} 1";
    assert!(metrics.text().contains(line), "{}", metrics.text());
}

#[tokio::test]
async fn errors_have_their_codes() {
    let server = echo([]).start().await;
    let mut client = Client::of(&server).await;
    let wrong: Inferred = client.call("ModelInfer", to("x", infer("", 1.0))).await;
    let wrong = wrong.unwrap_err();
    assert_eq!(
        (wrong.code(), wrong.message()),
        (Code::InvalidArgument, "Request for unknown model: 'x' is not found")
    );
    let version = |version: &str| ModelInferRequest { model_version: version.into(), ..infer("", 1.0) };
    for (request, code) in [(version("9"), Code::NotFound), (version("one"), Code::InvalidArgument)] {
        let refused: Inferred = client.call::<ModelInferRequest, _>("ModelInfer", request).await;
        assert_eq!(refused.unwrap_err().code(), code);
    }
    let absent = |status: Status| assert_eq!(status.code(), Code::Unimplemented, "{status}");
    let memory = SystemSharedMemoryStatusRequest::default();
    absent(
        client
            .call::<_, SystemSharedMemoryStatusResponse>("SystemSharedMemoryStatus", memory)
            .await
            .unwrap_err(),
    );
    let memory = CudaSharedMemoryRegisterRequest::default();
    absent(
        client
            .call::<_, CudaSharedMemoryRegisterResponse>("CudaSharedMemoryRegister", memory)
            .await
            .unwrap_err(),
    );
    let memory = CudaSharedMemoryUnregisterRequest::default();
    let _: CudaSharedMemoryUnregisterResponse =
        client.call("CudaSharedMemoryUnregister", memory).await.unwrap();
    let elsewhere = RepositoryIndexRequest { repository_name: "x".into(), ready: false };
    absent(client.call::<_, RepositoryIndexResponse>("RepositoryIndex", elsewhere).await.unwrap_err());
    absent(
        client
            .call::<_, LogSettingsResponse>("LogSettings", LogSettingsRequest::default())
            .await
            .unwrap_err(),
    );
}

#[tokio::test]
async fn a_stream_is_answered_in_order_and_survives_errors() {
    let server = echo([]).start().await;
    let mut client = Client::of(&server).await;
    let mut requests: Vec<_> = (0u8..100).map(|n| infer(&n.to_string(), n.into())).collect();
    requests.insert(50, to("x", infer("wrong", 1.0)));
    let mut answers = client.stream(requests).await;
    let mut ids = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        let response = answer.infer_response.unwrap();
        assert_eq!(answer.error_message.is_empty(), response.id != "wrong");
        ids.push(response.id);
    }
    let mut expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    expected.insert(50, "wrong".into());
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let server = echo([]).start().await;
    let mut client = Client::of(&server).await;
    client.0.ready().await.unwrap();
    // One request, and then silence.
    let requests = futures_util::StreamExt::chain(
        futures_util::stream::iter([infer("1", 1.0)]),
        futures_util::stream::pending(),
    );
    let codec = ProstCodec::<ModelInferRequest, ModelStreamInferResponse>::default();
    let answers = client.0.streaming(Request::new(requests), path("ModelStreamInfer"), codec).await;
    let mut answers = answers.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().infer_response.unwrap().id, "1");
    let served = server.stop();
    assert!(answers.message().await.unwrap().is_none(), "the stream ends");
    tokio::time::timeout(Duration::from_secs(10), served).await.unwrap().unwrap().unwrap();
}

/// Over a stream: a lone call's deadline is kept by this client too, and nobody knows who was first.
#[tokio::test]
async fn a_deadline_is_kept() {
    let gate = Gate::new();
    let server = echo([Step::Hold(gate.clone())]).start().await;
    let mut client = Client::of(&server).await;
    client.0.ready().await.unwrap();
    let mut request = Request::new(futures_util::stream::iter([infer("late", 1.0)]));
    request.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let codec = ProstCodec::<ModelInferRequest, ModelStreamInferResponse>::default();
    let answers = client.0.streaming(request, path("ModelStreamInfer"), codec).await;
    let answer = answers.unwrap().into_inner().message().await;
    gate.open();
    let answer = answer.unwrap().unwrap();
    assert!(answer.error_message.contains("deadline"), "{answer:?}");
    assert_eq!(server.stats().expired, 1);
}

#[tokio::test]
async fn nothing_is_computed_for_a_call_that_was_cancelled() {
    let gate = Gate::new();
    let setup = echo([Step::Hold(gate.clone())]);
    let model = setup.model.clone();
    let server = setup.start().await;
    let (mut first, mut second) = (Client::of(&server).await, Client::of(&server).await);
    let running =
        tokio::spawn(async move { first.call::<_, ModelInferResponse>("ModelInfer", infer("", 1.0)).await });
    until("the first runs", || gate.waiting() == 1).await;
    let gone =
        tokio::spawn(async move { second.call::<_, ModelInferResponse>("ModelInfer", infer("", 2.0)).await });
    until("the second waits", || server.stats().in_flight == 2).await;
    gone.abort();
    until("the second is cancelled", || server.stats().cancelled == 1).await;
    gate.open();
    running.await.unwrap().unwrap();
    let mut third = Client::of(&server).await;
    let _: ModelInferResponse = third.call("ModelInfer", infer("", 3.0)).await.unwrap();
    assert_eq!(model.batches(), [1, 1]);
}

#[tokio::test]
async fn messages_are_limited_as_they_are_and_unpacked() {
    let mut setup = echo([]);
    setup.server.max_message_bytes = 1000;
    let server = setup.start().await;
    let large = ModelInferRequest { id: "x".repeat(1000), ..infer("", 1.0) };
    let plain = Client::of(&server).await;
    let packing = Client(Client::of(&server).await.0.send_compressed(CompressionEncoding::Gzip));
    for mut client in [plain, packing] {
        let refused: Inferred = client.call("ModelInfer", large.clone()).await;
        assert!(matches!(refused.unwrap_err().code(), Code::OutOfRange | Code::ResourceExhausted));
        let _: ModelInferResponse = client.call("ModelInfer", infer("", 1.0)).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_opens_what_is_restricted() {
    let mut setup = echo([]);
    let restricted = "inference,health:who=me".parse().unwrap();
    setup.server.restrictions = Restrictions { grpc: [restricted].into(), ..Restrictions::default() };
    let server = setup.start().await;
    let mut client = Client::of(&server).await;
    let refused: Inferred = client.call("ModelInfer", infer("", 1.0)).await;
    let refused = refused.unwrap_err();
    let expected = "This protocol is restricted, expecting header 'triton-grpc-protocol-who'";
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, expected));
    let health = tonic_health::pb::HealthCheckRequest::default();
    let refused = client.call::<_, tonic_health::pb::HealthCheckResponse>("Check", health).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
    let mut request = Request::new(infer("", 1.0));
    request.metadata_mut().insert("triton-grpc-protocol-who", "me".parse().unwrap());
    let _: ModelInferResponse = client.call::<ModelInferRequest, _>("ModelInfer", request).await.unwrap();
    let _: ModelMetadataResponse = client
        .call("ModelMetadata", ModelMetadataRequest { name: "m".into(), version: String::new() })
        .await
        .unwrap();
}

/// What `grpcurl` asks first: the services that there are.
#[tokio::test]
async fn traces_are_set_by_lists_of_values() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.json").display().to_string();
    let trace = TraceSettings { file: file.clone(), ..TraceSettings::default() };
    let runtime = RuntimeConfig { prepare_threads: 1, trace, ..RuntimeConfig::default() };
    let server = Setup { runtime, ..echo([]) }.start().await;
    let mut client = Client::of(&server).await;
    let mut set = async |settings: &[(&str, &[&str])]| -> Result<Vec<String>, Status> {
        let value = |values: &[&str]| trace_setting_request::SettingValue {
            value: values.iter().map(|&value| value.to_owned()).collect(),
        };
        let settings = settings.iter().map(|(name, values)| ((*name).to_owned(), value(values))).collect();
        let request = TraceSettingRequest { settings, model_name: "m".to_owned() };
        let reply: TraceSettingResponse = client.call("TraceSetting", request).await?;
        Ok(reply.settings.iter().map(|(name, value)| format!("{name}={}", value.value.join("+"))).collect())
    };
    let shown = |level: &str, rate: &str| {
        let file = format!("trace_file={file}");
        let (level, rate) = (format!("trace_level={level}"), format!("trace_rate={rate}"));
        let rest = ["log_frequency=0", "trace_count=-1"].map(str::to_owned);
        rest.into_iter().chain([file, level, "trace_mode=triton".to_owned(), rate]).collect::<Vec<_>>()
    };
    assert_eq!(set(&[]).await.unwrap(), shown("OFF", "1000"));
    let level: &[&str] = &["TIMESTAMPS", "TENSORS"];
    let changed = set(&[("trace_level", level), ("trace_rate", &["1"])]).await.unwrap();
    assert_eq!(changed, shown("TIMESTAMPS+TENSORS", "1"));
    assert_eq!(set(&[("trace_rate", &[])]).await.unwrap(), shown("TIMESTAMPS+TENSORS", "1000"));
    let refused = set(&[("trace_file", &["x"])]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
}

#[tokio::test]
async fn who_watches_is_told_when_the_server_stops() {
    use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
    let server = echo([]).start().await;
    let mut client = Client::of(&server).await;
    let mut watch = async |service: &str| -> Streaming<HealthCheckResponse> {
        client.0.ready().await.expect("the connection lives");
        let request = Request::new(HealthCheckRequest { service: service.to_owned() });
        let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
        client.0.server_streaming(request, path("Watch"), codec).await.expect("a stream").into_inner()
    };
    let (mut known, mut unknown) = (watch("").await, watch("nobody").await);
    assert_eq!(known.message().await.unwrap().unwrap().status, 1, "it serves");
    assert_eq!(unknown.message().await.unwrap().unwrap().status, 3, "no such service");
    let served = server.stop();
    assert_eq!(known.message().await.unwrap().unwrap().status, 2, "it stops");
    assert!(known.message().await.unwrap().is_none());
    drop((known, unknown, client));
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn reflection_lists_the_services() {
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    };

    let server = echo([]).start().await;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc_address)).unwrap();
    let mut client = ServerReflectionClient::new(endpoint.connect().await.unwrap());
    let list = MessageRequest::ListServices(String::new());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let answers = client.server_reflection_info(futures_util::stream::iter([request])).await;
    let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        unreachable!("services were asked for");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["inference.GRPCInferenceService", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
}
