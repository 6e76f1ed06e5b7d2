//! A model whose answer tells images apart, and a runtime that serves it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tintype_core::{
    Activation, DType, ModelSource, ModelSpec, NamedTensor, Package, PostprocessSpec, PreprocessSpec, Resize,
    Result, Tensor, TensorSpec,
};
use tintype_engine::mock::{MockBackend, MockModel, Step};
use tintype_runtime::{
    Answer, InferOptions, InferRequest, LoadOptions, ModelStatus, Request, Runtime, RuntimeConfig, Snapshot,
};
use tokio::task::JoinHandle;

pub const LABELS: [&str; 3] = ["light", "dark", "none"];

/// `f32[?,3,2,2]` → `[mean, 1 - mean, 0]` of each row.
pub fn model(script: impl IntoIterator<Item = Step>) -> MockModel {
    sized_model(Some(2)).script(script)
}

/// The same for images of any size, where `size` is `None`.
pub fn sized_model(size: Option<usize>) -> MockModel {
    let input = TensorSpec { name: "x".into(), dtype: DType::F32, shape: vec![None, Some(3), size, size] };
    let output = TensorSpec { name: "scores".into(), dtype: DType::F32, shape: vec![None, Some(3)] };
    MockModel::new(vec![input], vec![output], |inputs| {
        let rows = inputs[0].shape()[0];
        let values = inputs[0].values::<f32>()?;
        let means = values.chunks(values.len() / rows).map(|row| row.iter().sum::<f32>() / row.len() as f32);
        Ok(vec![Tensor::new([rows, 3], means.flat_map(|mean| [mean, 1.0 - mean, 0.0]).collect())?])
    })
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

/// One instance, so that what it does can be told.
pub fn config() -> LoadOptions {
    LoadOptions { instances: 1, max_batch_size: Some(8), ..LoadOptions::default() }
}

/// A runtime that serves `model` as `m`.
pub fn runtime(model: &MockModel, config: &LoadOptions) -> Arc<Runtime> {
    let runtime = empty(MockBackend::new(model.clone()));
    runtime.load(&package("m"), config).expect("the mock loads");
    runtime
}

/// A runtime without models.
pub fn empty(backend: MockBackend) -> Arc<Runtime> {
    with(RuntimeConfig { prepare_threads: 1, ..RuntimeConfig::default() }, backend)
}

/// A picture of its own for each seed.
pub fn image(seed: u64) -> Bytes {
    tintype_testkit::image::png(5, 4, seed).into()
}

pub fn request(seed: u64) -> Request {
    Request { model: None, image: image(seed), options: InferOptions::default() }
}

/// Sends a request from a task of its own.
pub fn send(runtime: &Arc<Runtime>, request: Request) -> JoinHandle<Result<Answer>> {
    let runtime = runtime.clone();
    tokio::spawn(async move { runtime.classify(request).await })
}

pub fn status(runtime: &Runtime) -> ModelStatus {
    runtime.status(None).expect("a model is loaded")
}

pub fn stats(runtime: &Runtime) -> Snapshot {
    status(runtime).stats.expect("the model is loaded")
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

/// Waits until `count` prepared requests wait for an instance.
pub async fn queued(runtime: &Runtime, count: u64) {
    until("requests are queued", || stats(runtime).queued == count).await;
}

/// `f32[?,2]` → the same, from `x` to `y`.
pub fn echo_model() -> MockModel {
    let spec = TensorSpec { name: "x".into(), dtype: DType::F32, shape: vec![None, Some(2)] };
    MockModel::echo(vec![spec]).output_names(["y"])
}

/// A package of a model that takes tensors.
pub fn plain(name: &str) -> Package {
    Package { spec: ModelSpec::default(), labels: Vec::new(), ..package(name) }
}

/// [`echo_model`] under a `config.pbtxt`, as `m`.
pub fn echo(pbtxt: &str, options: &LoadOptions) -> Arc<Runtime> {
    configured(&echo_model(), pbtxt, options)
}

/// `model`, which takes tensors, under a `config.pbtxt`, as `m`.
pub fn configured(model: &MockModel, pbtxt: &str, options: &LoadOptions) -> Arc<Runtime> {
    let runtime = empty(MockBackend::new(model.clone()));
    let config = tintype_core::triton::parse(pbtxt).expect("the configuration is one");
    let package = Package { config: Some(Arc::new(config)), ..plain("m") };
    runtime.load(&package, options).expect("the mock loads");
    runtime
}

/// A runtime without models, of a configuration.
pub fn with(config: RuntimeConfig, backend: MockBackend) -> Arc<Runtime> {
    Arc::new(Runtime::new(Arc::new(backend), config).expect("the config is valid"))
}

pub fn config_of_one() -> LoadOptions {
    LoadOptions { instances: 1, ..LoadOptions::default() }
}

/// `[1, 2]`
pub fn row(values: &[f32]) -> Tensor {
    Tensor::new([values.len() / 2, 2], values.to_vec()).expect("pairs")
}

pub fn tensors(values: &[f32]) -> InferRequest {
    let input = NamedTensor { name: "x".into(), tensor: row(values) };
    InferRequest { inputs: vec![input], ..InferRequest::default() }
}
