//! Imports of a network that is drawn here and written as others write theirs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use tintype_core::package::ArchiveLimits;
use tintype_graph::{Model, is_parameter};
use tintype_hub::Settings;

use super::*;

/// A folder with a `resnet20` for three classes in `model.safetensors`.
struct Fixture {
    folder: tempfile::TempDir,
    model: Model,
}

impl Fixture {
    fn new(prefix: &str) -> Self {
        let spec = ArchSpec { seed: 3, ..ArchSpec::new(3) };
        let model = find("resnet20").and_then(|arch| arch.build(&spec)).expect("a network");
        let fixture = Self { folder: tempfile::tempdir().expect("a folder"), model };
        let tensors: HashMap<String, (Vec<usize>, Vec<u8>)> = fixture
            .model
            .graph()
            .initializer
            .iter()
            .filter(|t| is_parameter(&t.name))
            .map(|t| {
                let bytes = t.to_f32().expect("floats").iter().flat_map(|v| v.to_le_bytes()).collect();
                (format!("{prefix}{}", t.name), (t.shape().expect("a shape"), bytes))
            })
            .collect();
        let views = tensors.iter().map(|(name, (shape, bytes))| {
            (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a tensor"))
        });
        let bytes = safetensors::serialize(views, None).expect("a file");
        std::fs::write(fixture.path("model.safetensors"), bytes).expect("a file");
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    fn args(&self, source: &str) -> ImportArgs {
        ImportArgs {
            source: source.to_owned(),
            arch: None,
            labels: None,
            spec: None,
            head_classes: None,
            image: 0,
            name: None,
            destination: Destination {
                version: "1".to_owned(),
                out: self.path("repository"),
                overwrite: false,
            },
        }
    }

    /// Imports, and opens what was made.
    fn import(&self, args: &ImportArgs) -> Result<Package> {
        let settings = Settings { offline: true, cache: self.path("cache"), ..Settings::from(|_| None) };
        let mut stdout = Vec::new();
        import(args, &Hub::new(settings), &mut stdout)?;
        let path = String::from_utf8(stdout).expect("text");
        Package::open(Path::new(path.trim_end()), &ArchiveLimits::default())
    }

    fn assert_holds(&self, package: &Package) {
        let bytes = package.model.bytes().expect("a model");
        let found = Model::from_bytes(&bytes).expect("a model");
        assert_eq!(found.graph().initializer, self.model.graph().initializer);
    }
}

#[test]
fn a_file_becomes_a_package() {
    let fixture = Fixture::new("module.");
    fixture.write("labels.txt", "cat\ndog\nfox\n");
    let source = fixture.path("model.safetensors").display().to_string();
    let args = ImportArgs {
        arch: Some("resnet20".to_owned()),
        labels: Some(fixture.path("labels.txt")),
        ..fixture.args(&source)
    };
    let package = fixture.import(&args).unwrap();
    fixture.assert_holds(&package);
    assert_eq!((package.name.as_str(), package.labels.len()), ("resnet20", 3));
    assert_eq!(package.spec.preprocess, Some(find("resnet20").unwrap().preprocess(0)));
    assert_eq!(package.spec.provenance["weights"], "model.safetensors");
    let destination = Destination { out: fixture.path("m.mar"), ..args.destination };
    let mar = ImportArgs { destination, ..args };
    fixture.assert_holds(&fixture.import(&mar).unwrap());
}

const TIMM: &str = r#"{
    "architecture": "resnet20", "num_classes": 3, "label_names": ["a", "b", "c"],
    "pretrained_cfg": {"input_size": [3, 40, 40], "crop_pct": 0.9, "interpolation": "bicubic", "crop_mode": "center",
                       "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
}"#;

#[test]
fn a_folder_of_timm_describes_itself() {
    let fixture = Fixture::new("");
    fixture.write("config.json", TIMM);
    let source = fixture.folder.path().display().to_string();
    let package = fixture.import(&fixture.args(&source)).unwrap();
    assert_eq!(package.labels, ["a", "b", "c"]);
    let pixels = package.spec.preprocess.unwrap();
    assert_eq!(pixels.resize, Some(tintype_core::Resize::Shorter(44)));
    assert_eq!((pixels.crop, pixels.filter), (Some([40, 40]), tintype_core::Filter::Bicubic));
    assert_eq!((pixels.mean, pixels.std), (vec![0.5; 3], vec![0.25; 3]));
}

#[test]
fn the_hub_s_cache_is_a_source() {
    let fixture = Fixture::new("");
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let snapshot = fixture.path("cache").join("models--o--m/snapshots").join(commit);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::write(snapshot.join("config.json"), TIMM).unwrap();
    std::fs::copy(fixture.path("model.safetensors"), snapshot.join("model.safetensors")).unwrap();
    let args = fixture.args(&format!("hf://o/m@{commit}"));
    let package = fixture.import(&args).unwrap();
    assert_eq!(package.spec.provenance["weights"], args.source);
}

impl Fixture {
    /// Divides the weights into two files with an index, in `folder`.
    fn divide(&self, folder: &Path) {
        let bytes = std::fs::read(self.path("model.safetensors")).expect("weights");
        let whole = safetensors::SafeTensors::deserialize(&bytes).expect("weights");
        let mut map = serde_json::Map::new();
        for shard in [0, 1] {
            let name = format!("model-{}-of-00002.safetensors", shard + 1);
            let tensors = whole.iter().enumerate().filter(|(i, _)| i % 2 == shard).map(|(_, tensor)| tensor);
            let tensors: Vec<_> = tensors.collect();
            map.extend(tensors.iter().map(|(tensor, _)| ((*tensor).to_owned(), name.clone().into())));
            let bytes = safetensors::serialize(tensors, None).expect("a file");
            std::fs::write(folder.join(name), bytes).expect("a file");
        }
        let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map});
        std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).expect("a file");
    }
}

#[test]
fn weights_in_several_files_are_one_network() {
    let fixture = Fixture::new("");
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let snapshot = fixture.path("cache").join("models--o--m/snapshots").join(commit);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::write(snapshot.join("config.json"), TIMM).unwrap();
    fixture.divide(&snapshot);
    for (name, source) in
        [("by_hub", format!("hf://o/m@{commit}")), ("by_folder", snapshot.display().to_string())]
    {
        let args = ImportArgs { name: Some(name.into()), ..fixture.args(&source) };
        fixture.assert_holds(&fixture.import(&args).unwrap());
    }
    let index = snapshot.join("model.safetensors.index.json");
    let args = ImportArgs { arch: Some("resnet20".into()), ..fixture.args(&index.display().to_string()) };
    let args = ImportArgs { name: Some("by_index".into()), ..args };
    fixture.assert_holds(&fixture.import(&args).unwrap());

    let text = std::fs::read_to_string(&index).unwrap();
    for (from, to, message) in [
        ("model-2-of", "model-1-of", "in `model-1-of-00002.safetensors`, which it is not"),
        ("\"conv1.weight\"", "\"conv0.weight\"", "does not say that `conv1.weight` is in"),
        ("weight_map", "map", "is no index of weights"),
        ("model-1-of", "../model-1-of", "expected a file beside it"),
    ] {
        std::fs::write(&index, text.replace(from, to)).unwrap();
        let result = fixture.import(&args);
        let found = result.as_ref().err().map_or("", Error::message);
        assert!(found.contains(message), "{to}: {found}");
    }
    std::fs::write(
        &index,
        text.replacen("\"weight_map\":{", "\"weight_map\":{\"none\":\"model-1-of-00002.safetensors\",", 1),
    )
    .unwrap();
    let error = fixture.import(&args).unwrap_err();
    assert!(
        error.message().contains("says that `none` is in `model-1-of-00002.safetensors`, which it is not"),
        "{error}"
    );
    std::fs::write(&index, &text).unwrap();
    std::fs::remove_file(snapshot.join("model-2-of-00002.safetensors")).unwrap();
    assert_eq!(fixture.import(&args).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_new_last_layer_is_begun_where_asked() {
    let fixture = Fixture::new("");
    let source = fixture.path("model.safetensors").display().to_string();
    let args = ImportArgs { arch: Some("resnet20".into()), head_classes: Some(7), ..fixture.args(&source) };
    let package = fixture.import(&args).unwrap();
    let model = Model::from_bytes(&package.model.bytes().unwrap()).unwrap();
    assert_eq!(model.initializer("linear.weight").unwrap().dims, [7, 64]);
    assert!(model.f32s("linear.weight").unwrap().iter().any(|&w| w != 0.0));
    assert_eq!(model.f32s("conv1.weight").unwrap(), fixture.model.f32s("conv1.weight").unwrap());
}

#[test]
fn what_cannot_be_imported_says_why() {
    let fixture = Fixture::new("");
    fixture.write("two.txt", "cat\ndog\n");
    let source = fixture.path("model.safetensors").display().to_string();
    let arch = |name: &str| Some(name.to_owned());
    for (args, message) in [
        (fixture.args(&source), "nothing says which architecture the weights are of"),
        (
            ImportArgs { arch: arch("resnet2o"), ..fixture.args(&source) },
            "no architecture is called `resnet2o`",
        ),
        (ImportArgs { arch: arch("resnet18"), ..fixture.args(&source) }, "found no last layer of `resnet18`"),
        (
            ImportArgs { arch: arch("resnet56"), ..fixture.args(&source) },
            "the weights do not fit `resnet56`; missing: ",
        ),
        (
            ImportArgs {
                arch: arch("resnet20"),
                labels: Some(fixture.path("two.txt")),
                ..fixture.args(&source)
            },
            "2",
        ),
        (fixture.args(&fixture.path("none").display().to_string()), "nothing says which architecture"),
        (fixture.args("hf://o/none"), "of `o/none` at `main` is not in the cache"),
    ] {
        let error = fixture.import(&args).unwrap_err();
        assert!(error.message().contains(message), "{error}");
    }
}

#[test]
fn networks_of_transformers_are_recognised_or_refused() {
    let described = |text: &str| {
        described::of(&Source {
            weights: PathBuf::new(),
            config: Some(serde_json::from_str(text).expect("JSON")),
            preprocessor: None,
            origin: String::new(),
        })
    };
    let vit = described(
        r#"{"model_type": "vit", "hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768,
            "id2label": {"1": "b", "0": "a"}}"#,
    )
    .unwrap();
    assert_eq!((vit.arch.as_deref(), vit.image), (Some("vit_tiny_patch16_224"), Some(224)));
    assert_eq!((vit.norm_epsilon, vit.labels), (Some(1e-12), vec!["a".to_owned(), "b".to_owned()]));
    let resnet = described(
        r#"{"model_type": "resnet", "depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048]}"#,
    );
    assert_eq!(resnet.unwrap().arch.as_deref(), Some("resnet50"));
    for (text, message) in [
        (
            r#"{"model_type": "swin"}"#,
            "`config.json`: the network is a `swin` of transformers, which is none of ours",
        ),
        (r#"{"model_type": "vit", "patch_size": 32}"#, "`config.json`: `patch_size` is 32, expected 16"),
        (
            r#"{"model_type": "vit", "hidden_act": "relu"}"#,
            "`config.json`: `hidden_act` is `relu`, expected `gelu`",
        ),
    ] {
        let error = described(text).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unsupported, message));
    }
}
