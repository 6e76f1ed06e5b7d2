//! Model repositories: what is loaded, replaced and unloaded when, and what goes wrong without harm.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use tintype_core::triton::TraceSettings;
use tintype_core::{DType, Error, ErrorKind, ModelSource, Tensor, TensorSpec};
use tintype_engine::mock::{MockBackend, MockModel};
use tintype_runtime::{Control, LoadOptions, Overrides, RepositoryConfig, Runtime, RuntimeConfig};

use crate::support::*;

/// A repository in a folder of its own. A model's file holds a number: the model adds it to what it is given.
pub struct Place {
    pub folder: TempDir,
    pub runtime: Arc<Runtime>,
}

fn adder(source: &ModelSource) -> tintype_core::Result<MockModel> {
    let bytes = source.bytes()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let amount: f32 = text
        .trim()
        .parse()
        .map_err(|_| Error::new(ErrorKind::InvalidModel, format!("expected a number, found `{text}`")))?;
    let spec = |name: &str| TensorSpec { name: name.into(), dtype: DType::F32, shape: vec![None, Some(2)] };
    Ok(MockModel::new(vec![spec("x")], vec![spec("y")], move |inputs| {
        let sums = inputs[0].values::<f32>()?.iter().map(|x| x + amount).collect();
        Ok(vec![Tensor::new(inputs[0].shape().to_vec(), sums)?])
    }))
}

impl Place {
    pub fn new(control: Control) -> Self {
        Self::traced(control, TraceSettings::default())
    }

    pub fn traced(control: Control, trace: TraceSettings) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let repository = RepositoryConfig {
            paths: vec![folder.path().to_owned()],
            control,
            options: LoadOptions { instances: 1, ..LoadOptions::default() },
            ..RepositoryConfig::default()
        };
        let config = RuntimeConfig { prepare_threads: 1, repository, trace, ..RuntimeConfig::default() };
        let runtime = with(config, MockBackend::choosing(|source, _| adder(source)));
        Self { folder, runtime }
    }

    pub fn explicit() -> Self {
        Self::new(Control::Explicit(Vec::new()))
    }

    pub fn put(&self, file: &str, content: &str) -> &Self {
        let path = self.folder.path().join(file);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("the folder is ours");
        fs::write(path, content).expect("the folder is ours");
        self
    }

    pub fn remove(&self, folder: &str) {
        fs::remove_dir_all(self.folder.path().join(folder)).expect("the folder is ours");
    }

    pub async fn load(&self, name: &str) -> tintype_core::Result<()> {
        self.runtime.load_model(name, Overrides::default()).await
    }

    /// What the model adds.
    pub async fn ask(&self, name: &str, version: Option<u64>) -> tintype_core::Result<f32> {
        let response = self.runtime.admit_version(name, version, 0)?.infer(tensors(&[0.0, 0.0])).await?;
        Ok(response.outputs[0].tensor.values::<f32>()?[0])
    }

    /// `name version state reason` of every line.
    pub fn index(&self) -> Vec<String> {
        let line = |e: &tintype_runtime::IndexEntry| {
            let version = e.version.map_or_else(String::new, |version| version.to_string());
            format!("{} {version} {} {}", e.name, e.state, e.reason).trim().to_owned()
        };
        self.runtime.index().iter().map(line).collect()
    }
}

#[tokio::test]
async fn everything_is_loaded_at_start_and_nothing_afterwards() {
    let place = Place::new(Control::None);
    place.put("a/1/model.onnx", "1").put("b/2/model.onnx", "2").put("bad/1/model.onnx", "no number");
    let failed = place.runtime.start_repository().await.unwrap();
    assert_eq!(failed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["bad"]);
    assert_eq!(place.ask("a", None).await.unwrap(), 1.0);
    assert_eq!(place.ask("b", Some(2)).await.unwrap(), 2.0);
    assert!(!place.runtime.is_ready(), "one of them should be there and is not");
    let index = place.index();
    assert_eq!(index[..2], ["a 1 READY", "b 2 READY"]);
    assert!(index[2].starts_with("bad 1 UNAVAILABLE"), "{index:?}");
    assert!(index[2].contains("expected a number"), "{index:?}");
    for error in
        [place.load("a").await.unwrap_err(), place.runtime.unload_model("a", false).await.unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::NotReady);
        assert_eq!(error.message(), "explicit model load / unload is not allowed if polling is enabled");
    }
}

#[tokio::test]
async fn on_request_models_come_and_go() {
    let place = Place::explicit();
    place.put("a/1/model.onnx", "1");
    assert!(place.runtime.start_repository().await.unwrap().is_empty());
    assert_eq!(place.index(), ["a"], "seen, and not loaded");
    assert_eq!(place.ask("a", None).await.unwrap_err().kind(), ErrorKind::UnknownModel);
    place.load("a").await.unwrap();
    assert_eq!(place.ask("a", None).await.unwrap(), 1.0);
    place.runtime.unload_model("a", false).await.unwrap();
    let error = place.ask("a", None).await.unwrap_err();
    assert_eq!(error.message(), "Request for unknown model: 'a' has no available versions");
    until("it is unloaded", || place.index() == ["a 1 UNAVAILABLE unloaded"]).await;
    assert!(place.runtime.is_ready(), "nothing is missing that should be there");
    let error = place.ask("a", Some(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert_eq!(error.message(), "Request for unknown model: 'a' version 1 is not at ready state");
    place.load("a").await.unwrap();
    assert_eq!(place.ask("a", None).await.unwrap(), 1.0);
    assert_eq!(place.load("nobody").await.unwrap_err().kind(), ErrorKind::UnknownModel);
    assert_eq!(
        place.runtime.unload_model("nobody", false).await.unwrap_err().kind(),
        ErrorKind::UnknownModel
    );
}

#[tokio::test]
async fn who_loads_a_model_reads_what_is_wrong_with_advice_and_without_the_servers_folders() {
    let place = Place::explicit();
    let root = place.folder.path().display().to_string();
    place.put("python/1/model.py", "").put("python/config.pbtxt", "backend: 'python'");
    place.put("typo/1/model.onnx", "1").put("typo/config.pbtxt", "max_batch_sise: 4");
    place.put("pair/1/model.onnx", "1").put("pair/config.pbtxt", "backend: 'onnxruntime' platform: 'other'");
    place.put("none/config.pbtxt", "").put("empty/1/config", "");
    for (name, says) in [
        ("python", "name the file in a `tintype.toml`"),
        ("typo", "`typo/config.pbtxt`: line 1, column 1: "),
        ("pair", "unexpected 'platform' and 'backend' pair, got:other, onnxruntime"),
        ("none", "failed to load 'none': at least one version must be available under the version policy"),
        ("empty", "`empty/1` is no model directory"),
    ] {
        let error = place.load(name).await.unwrap_err();
        assert!(error.message().contains(says), "{error}");
        let index = place.index();
        let line = index.iter().find(|line| line.starts_with(name)).unwrap();
        assert!(line.contains("UNAVAILABLE"), "{line}");
        for text in [error.message(), line] {
            assert!(!text.contains(&root), "{text}");
        }
    }
    let files = ["file:1/model.onnx", "file:1/model.onnx/x"].map(|path| (path.to_owned(), "1".into()));
    let overrides = Overrides { config: Some("{}".into()), files: files.into() };
    let error = place.runtime.load_model("m", overrides).await.unwrap_err();
    assert!(error.message().starts_with("`1/model.onnx/x`: "), "{error}");
}

#[tokio::test]
async fn the_version_policy_says_which_versions_serve() {
    let place = Place::explicit();
    for version in ["1", "2", "10", "03", "x"] {
        place.put(&format!("m/{version}/model.onnx"), version);
    }
    place.load("m").await.unwrap();
    assert_eq!(place.ask("m", None).await.unwrap(), 10.0);
    assert_eq!(place.ask("m", Some(2)).await.unwrap_err().kind(), ErrorKind::NotFound);
    place.put("m/config.pbtxt", "version_policy { specific { versions: [1, 2] } }");
    place.load("m").await.unwrap();
    assert_eq!(place.ask("m", None).await.unwrap(), 2.0);
    assert_eq!(place.ask("m", Some(1)).await.unwrap(), 1.0);
    assert_eq!(place.runtime.describe("m", None).unwrap().versions, [1, 2]);
    until("10 is gone", || place.index().contains(&"m 10 UNAVAILABLE unloaded".to_owned())).await;
}

#[tokio::test]
async fn what_cannot_be_loaded_leaves_the_old_serving() {
    let place = Place::explicit();
    place.put("m/1/model.onnx", "1");
    place.load("m").await.unwrap();
    for (file, content, says) in [
        ("m/1/model.onnx", "broken", "expected a number"),
        ("m/config.pbtxt", "nmae: 'm'", "nmae"),
        ("m/config.pbtxt", "name: 'other'", "other"),
        ("m/config.pbtxt", "version_policy { specific { versions: [7] } }", "7"),
        (
            "m/config.pbtxt",
            "model_warmup { name: 'w' batch_size: 1 inputs { key: 'z' value { data_type: TYPE_FP32 dims: 2 zero_data: true } } }",
            "'z'",
        ),
    ] {
        place.put("m/1/model.onnx", "1").put("m/config.pbtxt", "").put(file, content);
        let error = place.load("m").await.unwrap_err();
        assert!(error.message().contains(says), "{error}");
        assert_eq!(place.ask("m", None).await.unwrap(), 1.0);
        assert_eq!(place.index(), ["m 1 READY"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_falls_between_two_loadings() {
    let place = Arc::new(Place::explicit());
    place.put("m/1/model.onnx", "0");
    place.load("m").await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (place, stop) = (place.clone(), stop.clone());
            tokio::spawn(async move {
                let (mut asked, mut last) = (0, 0.0);
                while !stop.load(Ordering::Relaxed) {
                    let answer = place.ask("m", None).await.expect("every request is answered");
                    assert!(answer >= last, "an old loading answered after a new one");
                    last = answer;
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    for loading in 1..=20 {
        place.put("m/1/model.onnx", &loading.to_string());
        place.load("m").await.unwrap();
        assert_eq!(place.ask("m", None).await.unwrap(), loading as f32);
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn polling_sees_what_changed() {
    let place = Place::new(Control::Poll);
    place.put("a/1/model.onnx", "1");
    place.runtime.start_repository().await.unwrap();
    assert!(place.runtime.poll().await.unwrap().is_empty());
    place.put("a/1/model.onnx", "22").put("b/1/model.onnx", "3");
    place.runtime.poll().await.unwrap();
    assert_eq!((place.ask("a", None).await.unwrap(), place.ask("b", None).await.unwrap()), (22.0, 3.0));
    place.put("a/2/model.onnx", "broken");
    assert_eq!(place.runtime.poll().await.unwrap().len(), 1);
    assert_eq!(place.ask("a", None).await.unwrap(), 22.0, "the old goes on");
    assert!(place.runtime.poll().await.unwrap().is_empty(), "it is not tried again until it changes");
    assert!(!place.runtime.is_ready(), "the new one should answer");
    place.remove("b");
    place.remove("a/2");
    place.runtime.poll().await.unwrap();
    assert!(place.runtime.is_ready(), "what went, went on purpose");
    assert_eq!(place.ask("b", None).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_request_may_bring_configuration_and_files() {
    let place = Place::explicit();
    place.put("m/1/model.onnx", "1");
    let overrides = |config: &str, files: &[(&str, &str)]| Overrides {
        config: Some(config.to_owned()).filter(|config| !config.is_empty()),
        files: files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec().into()))
            .collect(),
    };
    place.runtime.load_model("m", overrides(r#"{"max_batch_size": 3}"#, &[])).await.unwrap();
    assert_eq!(place.runtime.describe("m", None).unwrap().config.max_batch_size, 3);
    let files = [("file:7/model.onnx", "5")];
    let error = place.runtime.load_model("m", overrides("", &files)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    place.runtime.load_model("m", overrides("{}", &files)).await.unwrap();
    assert_eq!(place.ask("m", None).await.unwrap(), 5.0);
    assert_eq!(place.runtime.describe("m", None).unwrap().versions, [7]);
    let outside = [("file:../../x", "5")];
    let error = place.runtime.load_model("m", overrides("{}", &outside)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(!Path::new(place.folder.path()).join("../x").exists());
}
