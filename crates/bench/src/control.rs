//! Asking a KServe server about itself: what a model takes, and what it did.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tintype_api::kserve::proto;
use tintype_api::kserve::{BatchStatistics, Duration, InferStatistics, ModelMetadata, ModelStatistics};
use tintype_api::kserve::{Register, StatisticsReply, TensorMetadata};
use tintype_core::{Error, ErrorKind, Result};
use tonic::Status;

use crate::transport::grpc::Channel;
use crate::transport::http::{Connection, refusal};

/// A connection for questions, apart from those of the load.
#[derive(Debug)]
pub struct Control {
    wire: Wire,
    authority: String,
}

#[derive(Debug)]
enum Wire {
    Http(Connection),
    Grpc(Channel),
}

/// A model as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFacts {
    /// What it takes, and its versions.
    pub metadata: ModelMetadata,
    /// 0 where its tensors have no axis for a batch.
    pub max_batch_size: u64,
}

impl Control {
    /// Connects over HTTP.
    ///
    /// # Errors
    /// `Io` when nobody is there.
    pub async fn http(authority: &str) -> Result<Self> {
        Ok(Self { wire: Wire::Http(Connection::open(authority).await?), authority: authority.to_owned() })
    }

    /// Connects over gRPC.
    ///
    /// # Errors
    /// `Io` when nobody is there.
    pub async fn grpc(authority: &str) -> Result<Self> {
        Ok(Self { wire: Wire::Grpc(Channel::open(authority).await?), authority: authority.to_owned() })
    }

    /// What `model` takes; any version where `version` is empty.
    ///
    /// # Errors
    /// `NotFound` with the server's words; `Io`.
    pub async fn model(&mut self, model: &str, version: &str) -> Result<ModelFacts> {
        let (name, version) = (model.to_owned(), version.to_owned());
        match &mut self.wire {
            Wire::Http(_) => {
                let path = model_path(&name, &version);
                let metadata = self.get(&path).await?;
                let config: Config = self.get(&format!("{path}/config")).await?;
                Ok(ModelFacts { metadata, max_batch_size: config.max_batch_size })
            }
            Wire::Grpc(channel) => {
                let request = proto::ModelMetadataRequest { name: name.clone(), version: version.clone() };
                let metadata: proto::ModelMetadataResponse =
                    channel.call("ModelMetadata", request).await.map_err(refused)?;
                let request = proto::ModelConfigRequest { name, version };
                let config: proto::ModelConfigResponse =
                    channel.call("ModelConfig", request).await.map_err(refused)?;
                let max = config.config.map_or(0, |config| config.max_batch_size);
                let max_batch_size = u64::try_from(max).unwrap_or(0);
                Ok(ModelFacts { metadata: metadata_of(metadata), max_batch_size })
            }
        }
    }

    /// What `model` did so far, or all models where there is none; `None` where the server does not tell.
    pub async fn statistics(&mut self, model: Option<&str>) -> Option<StatisticsReply> {
        match &mut self.wire {
            Wire::Http(_) => {
                let path = model.map_or_else(|| "/v2/models".to_owned(), |model| model_path(model, ""));
                self.get(&format!("{path}/stats")).await.ok()
            }
            Wire::Grpc(channel) => {
                let name = model.unwrap_or_default().to_owned();
                let request = proto::ModelStatisticsRequest { name, version: String::new() };
                let reply: proto::ModelStatisticsResponse =
                    channel.call("ModelStatistics", request).await.ok()?;
                Some(StatisticsReply {
                    model_stats: reply.model_stats.into_iter().map(statistics_of).collect(),
                })
            }
        }
    }

    /// Makes a region of system shared memory known to the server as `name`.
    ///
    /// # Errors
    /// `InvalidArgument` with the server's words; `Io`.
    pub async fn register(&mut self, name: &str, register: Register) -> Result<()> {
        let refused = |what: &str| {
            let message = format!("the server does not take the shared memory: {what}");
            Error::new(ErrorKind::InvalidArgument, message)
                .with_hint("it must run on this machine and allow it: tintype serve --allow-client-shm true")
        };
        match &mut self.wire {
            Wire::Http(_) => {
                let path = format!("/v2/systemsharedmemory/region/{name}/register");
                let body = serde_json::to_vec(&register);
                let body = body.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
                let (status, body) = self.exchange(&path, Some(body.into())).await?;
                if status.is_success() { Ok(()) } else { Err(refused(&refusal(status, &body))) }
            }
            Wire::Grpc(channel) => {
                let Register { key, offset, byte_size } = register;
                let name = name.to_owned();
                let request = proto::SystemSharedMemoryRegisterRequest { name, key, offset, byte_size };
                let answer = channel
                    .call::<_, proto::SystemSharedMemoryRegisterResponse>(
                        "SystemSharedMemoryRegister",
                        request,
                    )
                    .await;
                answer.map(drop).map_err(|status| refused(status.message()))
            }
        }
    }

    /// Has the server forget the region `name`, which it need not know.
    ///
    /// # Errors
    /// `NotFound` with its words; `Io`.
    pub async fn unregister(&mut self, name: &str) -> Result<()> {
        match &mut self.wire {
            Wire::Http(_) => {
                let path = format!("/v2/systemsharedmemory/region/{name}/unregister");
                let (status, body) = self.exchange(&path, Some(Bytes::new())).await?;
                accepted(&path, status, &body)
            }
            Wire::Grpc(channel) => {
                let request = proto::SystemSharedMemoryUnregisterRequest { name: name.to_owned() };
                let answer = channel.call::<_, proto::SystemSharedMemoryUnregisterResponse>(
                    "SystemSharedMemoryUnregister",
                    request,
                );
                answer.await.map(drop).map_err(refused)
            }
        }
    }

    async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        let (status, body) = self.exchange(path, None).await?;
        accepted(path, status, &body)?;
        serde_json::from_slice(&body).map_err(|e| {
            Error::new(ErrorKind::Unsupported, format!("`{path}`: not the answer of KServe: {e}"))
        })
    }

    /// Asks for `path`, or posts a body there.
    async fn exchange(&mut self, path: &str, body: Option<Bytes>) -> Result<(StatusCode, Bytes)> {
        let Wire::Http(connection) = &mut self.wire else {
            return Err(Error::new(ErrorKind::Internal, "paths are asked for over HTTP"));
        };
        let answer = connection.exchange(&self.authority, path, body.clone()).await;
        match answer {
            Ok(answer) => Ok(answer),
            Err(_) => {
                // Idle connections may be closed by a server at any time.
                *connection = Connection::open(&self.authority).await?;
                connection.exchange(&self.authority, path, body).await
            }
        }
    }
}

fn accepted(path: &str, status: StatusCode, body: &[u8]) -> Result<()> {
    if status.is_success() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotFound, format!("`{path}`: {}", refusal(status, body))))
}

/// The path of a model over HTTP.
pub(crate) fn model_path(model: &str, version: &str) -> String {
    match version {
        "" => format!("/v2/models/{model}"),
        version => format!("/v2/models/{model}/versions/{version}"),
    }
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    max_batch_size: u64,
}

fn refused(status: Status) -> Error {
    Error::new(ErrorKind::NotFound, format!("{:?}: {}", status.code(), status.message()))
}

fn metadata_of(found: proto::ModelMetadataResponse) -> ModelMetadata {
    let tensors = |tensors: Vec<proto::model_metadata_response::TensorMetadata>| {
        let tensor = |t: proto::model_metadata_response::TensorMetadata| TensorMetadata {
            name: t.name,
            datatype: t.datatype,
            shape: t.shape,
        };
        tensors.into_iter().map(tensor).collect()
    };
    ModelMetadata {
        name: found.name,
        versions: found.versions,
        platform: found.platform,
        inputs: tensors(found.inputs),
        outputs: tensors(found.outputs),
    }
}

fn statistics_of(found: proto::ModelStatistics) -> ModelStatistics {
    let time = |d: Option<proto::StatisticDuration>| {
        d.map_or_else(Duration::default, |d| Duration { count: d.count, ns: d.ns })
    };
    let batch = |b: proto::InferBatchStatistics| BatchStatistics {
        batch_size: b.batch_size,
        compute_input: time(b.compute_input),
        compute_infer: time(b.compute_infer),
        compute_output: time(b.compute_output),
    };
    let stats = found.inference_stats.unwrap_or_default();
    ModelStatistics {
        name: found.name,
        version: found.version,
        last_inference: found.last_inference,
        inference_count: found.inference_count,
        execution_count: found.execution_count,
        inference_stats: InferStatistics {
            success: time(stats.success),
            fail: time(stats.fail),
            queue: time(stats.queue),
            compute_input: time(stats.compute_input),
            compute_infer: time(stats.compute_infer),
            compute_output: time(stats.compute_output),
            cache_hit: time(stats.cache_hit),
            cache_miss: time(stats.cache_miss),
        },
        batch_stats: found.batch_stats.into_iter().map(batch).collect(),
        ..ModelStatistics::default()
    }
}
