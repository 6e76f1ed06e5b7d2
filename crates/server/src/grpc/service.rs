//! The methods of `inference.GRPCInferenceService`, in the order of its description.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use tintype_api::kserve::proto::*;
use tintype_api::kserve::{Register, grpc};
use tintype_core::{Error, ErrorKind, Result};
use tonic::{Request, Response, Status, Streaming};

use super::call::Call;
use super::pb::grpc_inference_service_server::GrpcInferenceService;
use super::stream;
use crate::access::Family;
use crate::app::App;
use crate::deadline;
use crate::kserve::statistics::statistics;
use crate::kserve::trace::trace;
use crate::kserve::{describe, no_cuda_region, no_repository_name, register_cuda, repository};

#[derive(Debug)]
pub(super) struct Service {
    pub(super) app: Arc<App>,
}

/// The version that a request names; `None` for the highest that is ready.
///
/// # Errors
/// `InvalidArgument` for what is not a number.
pub(super) fn version(text: &str) -> Result<Option<u64>> {
    // As in configurations, -1 is the highest one.
    if matches!(text, "" | "-1") {
        return Ok(None);
    }
    let version = text.parse().map(Some);
    version.map_err(|_| {
        Error::new(
            ErrorKind::InvalidArgument,
            format!("failed to get model version from specified version string '{text}'"),
        )
    })
}

/// A name that may be left out.
fn named(name: &str) -> Option<&str> {
    (!name.is_empty()).then_some(name)
}

impl Service {
    fn call(&self, method: &'static str, family: Family) -> Call<'_> {
        Call { app: &self.app, method, family }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    async fn server_live(&self, request: Request<ServerLiveRequest>) -> Answer<ServerLiveResponse> {
        let app = &*self.app;
        let work = async { Ok(ServerLiveResponse { live: app.runtime.is_live() }) };
        self.call("ServerLive", Family::Health).answer(request.metadata(), work).await
    }

    async fn server_ready(&self, request: Request<ServerReadyRequest>) -> Answer<ServerReadyResponse> {
        let app = &*self.app;
        let work = async { Ok(ServerReadyResponse { ready: app.is_ready() }) };
        self.call("ServerReady", Family::Health).answer(request.metadata(), work).await
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Answer<ModelReadyResponse> {
        let (metadata, _, asked) = request.into_parts();
        let app = &*self.app;
        let work = async {
            let ready = app.runtime.model_ready(&asked.name, version(&asked.version)?)?;
            Ok(ModelReadyResponse { ready })
        };
        self.call("ModelReady", Family::Health).answer(&metadata, work).await
    }

    async fn server_metadata(
        &self,
        request: Request<ServerMetadataRequest>,
    ) -> Answer<ServerMetadataResponse> {
        let app = &*self.app;
        let work = async { Ok(describe::server(app).into()) };
        self.call("ServerMetadata", Family::Metadata).answer(request.metadata(), work).await
    }

    async fn model_metadata(&self, request: Request<ModelMetadataRequest>) -> Answer<ModelMetadataResponse> {
        let (metadata, _, asked) = request.into_parts();
        let app = &*self.app;
        let work = async {
            let description = app.runtime.describe(&asked.name, version(&asked.version)?)?;
            Ok(describe::model(&description).into())
        };
        self.call("ModelMetadata", Family::Metadata).answer(&metadata, work).await
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Answer<ModelInferResponse> {
        let (metadata, _, asked) = request.into_parts();
        let deadline = deadline::of_grpc(metadata.as_ref()).unwrap_or_else(|| self.app.latest());
        let work = stream::infer(&self.app, asked, deadline.min(self.app.latest()));
        self.call("ModelInfer", Family::Inference).answer(&metadata, work).await
    }

    type ModelStreamInferStream =
        Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Answer<Self::ModelStreamInferStream> {
        self.call("ModelStreamInfer", Family::Inference).unlock(request.metadata())?;
        let deadline = deadline::of_grpc(request.metadata().as_ref());
        Ok(Response::new(Box::pin(stream::infer_stream(self.app.clone(), request.into_inner(), deadline))))
    }

    async fn model_config(&self, request: Request<ModelConfigRequest>) -> Answer<ModelConfigResponse> {
        let (metadata, _, asked) = request.into_parts();
        let app = &*self.app;
        let work = async {
            let description = app.runtime.describe(&asked.name, version(&asked.version)?)?;
            Ok(ModelConfigResponse { config: Some((*description.config).clone()) })
        };
        self.call("ModelConfig", Family::ModelConfig).answer(&metadata, work).await
    }

    async fn model_statistics(
        &self,
        request: Request<ModelStatisticsRequest>,
    ) -> Answer<ModelStatisticsResponse> {
        let (metadata, _, asked) = request.into_parts();
        let app = &*self.app;
        let work = async { Ok(statistics(app, named(&asked.name), version(&asked.version)?)?.into()) };
        self.call("ModelStatistics", Family::Statistics).answer(&metadata, work).await
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Answer<RepositoryIndexResponse> {
        let (metadata, _, asked) = request.into_parts();
        let app = &*self.app;
        let work = async {
            no_repository_name(&asked.repository_name)?;
            let models = repository::index(app, asked.ready).await?;
            Ok(RepositoryIndexResponse { models: models.into_iter().map(Into::into).collect() })
        };
        self.call("RepositoryIndex", Family::ModelRepository).answer(&metadata, work).await
    }

    async fn repository_model_load(
        &self,
        request: Request<RepositoryModelLoadRequest>,
    ) -> Answer<RepositoryModelLoadResponse> {
        let (metadata, _, asked) = request.into_parts();
        let app = &*self.app;
        let work = async {
            no_repository_name(&asked.repository_name)?;
            repository::load(app, &asked.model_name, grpc::load(asked.parameters)?).await?;
            Ok(RepositoryModelLoadResponse {})
        };
        self.call("RepositoryModelLoad", Family::ModelRepository).answer(&metadata, work).await
    }

    async fn repository_model_unload(
        &self,
        request: Request<RepositoryModelUnloadRequest>,
    ) -> Answer<RepositoryModelUnloadResponse> {
        let (metadata, _, asked) = request.into_parts();
        let app = &*self.app;
        let work = async {
            no_repository_name(&asked.repository_name)?;
            let dependents = grpc::unload_dependents(asked.parameters)?;
            repository::unload(app, &asked.model_name, dependents).await?;
            Ok(RepositoryModelUnloadResponse {})
        };
        self.call("RepositoryModelUnload", Family::ModelRepository).answer(&metadata, work).await
    }

    async fn system_shared_memory_status(
        &self,
        request: Request<SystemSharedMemoryStatusRequest>,
    ) -> Answer<SystemSharedMemoryStatusResponse> {
        let (metadata, _, asked) = request.into_parts();
        let app = &*self.app;
        let work = async {
            let regions = app.shared_memory()?.status(named(&asked.name))?;
            let regions = regions.into_iter().map(|region| (region.name.clone(), region.into()));
            Ok(SystemSharedMemoryStatusResponse { regions: regions.collect() })
        };
        self.call("SystemSharedMemoryStatus", Family::SharedMemory).answer(&metadata, work).await
    }

    async fn system_shared_memory_register(
        &self,
        request: Request<SystemSharedMemoryRegisterRequest>,
    ) -> Answer<SystemSharedMemoryRegisterResponse> {
        let (metadata, _, asked) = request.into_parts();
        let app = &*self.app;
        let work = async {
            let SystemSharedMemoryRegisterRequest { name, key, offset, byte_size } = asked;
            app.shared_memory()?.register(&name, Register { key, offset, byte_size })?;
            Ok(SystemSharedMemoryRegisterResponse {})
        };
        self.call("SystemSharedMemoryRegister", Family::SharedMemory).answer(&metadata, work).await
    }

    async fn system_shared_memory_unregister(
        &self,
        request: Request<SystemSharedMemoryUnregisterRequest>,
    ) -> Answer<SystemSharedMemoryUnregisterResponse> {
        let (metadata, _, asked) = request.into_parts();
        let app = &*self.app;
        let work = async {
            app.shared_memory()?.unregister(named(&asked.name));
            Ok(SystemSharedMemoryUnregisterResponse {})
        };
        self.call("SystemSharedMemoryUnregister", Family::SharedMemory).answer(&metadata, work).await
    }

    async fn cuda_shared_memory_status(
        &self,
        request: Request<CudaSharedMemoryStatusRequest>,
    ) -> Answer<CudaSharedMemoryStatusResponse> {
        let work = async {
            no_cuda_region(named(&request.get_ref().name))?;
            Ok(CudaSharedMemoryStatusResponse::default())
        };
        self.call("CudaSharedMemoryStatus", Family::SharedMemory).answer(request.metadata(), work).await
    }

    async fn cuda_shared_memory_register(
        &self,
        request: Request<CudaSharedMemoryRegisterRequest>,
    ) -> Answer<CudaSharedMemoryRegisterResponse> {
        let work = async {
            register_cuda(&request.get_ref().name)?;
            Ok(CudaSharedMemoryRegisterResponse {})
        };
        self.call("CudaSharedMemoryRegister", Family::SharedMemory).answer(request.metadata(), work).await
    }

    /// A region that is not there is unregistered already.
    async fn cuda_shared_memory_unregister(
        &self,
        request: Request<CudaSharedMemoryUnregisterRequest>,
    ) -> Answer<CudaSharedMemoryUnregisterResponse> {
        let work = async { Ok(CudaSharedMemoryUnregisterResponse {}) };
        self.call("CudaSharedMemoryUnregister", Family::SharedMemory).answer(request.metadata(), work).await
    }

    async fn trace_setting(&self, request: Request<TraceSettingRequest>) -> Answer<TraceSettingResponse> {
        let (metadata, _, asked) = request.into_parts();
        let app = &*self.app;
        let work = async {
            let changes = grpc::trace_changes(asked.settings);
            Ok(trace(app, named(&asked.model_name), &changes)?.into())
        };
        self.call("TraceSetting", Family::Trace).answer(&metadata, work).await
    }

    async fn log_settings(&self, request: Request<LogSettingsRequest>) -> Answer<LogSettingsResponse> {
        let (metadata, _, asked) = request.into_parts();
        let app = &*self.app;
        let work = async {
            let changes = grpc::log_changes(asked)?;
            let settings =
                if changes.is_empty() { app.logging()?.settings() } else { app.change_logging(changes)? };
            Ok(settings.into())
        };
        self.call("LogSettings", Family::Logging).answer(&metadata, work).await
    }
}
