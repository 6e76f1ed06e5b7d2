//! Graphs that were optimised ahead: the same numbers, found only for the model that they were made of.

use std::fs;
use std::path::Path;

use tintype_core::{ErrorKind, ModelSource, Result, Tensor};
use tintype_engine::ort::OrtBackend;
use tintype_engine::{Backend, Optimization, SessionOptions};
use tintype_graph::Model;
use tintype_graph::arch::{ArchSpec, find};
use tintype_graph::proto::{DataLocation, StringStringEntryProto};
use tintype_testkit::onnx;

/// A residual network with weights of its own for each number of classes.
fn network(classes: usize) -> Vec<u8> {
    let architecture = find("resnet20").expect("it is there");
    architecture.build(&ArchSpec::new(classes)).expect("a network").to_bytes()
}

fn backend(cache: &Path) -> OrtBackend {
    OrtBackend::new().expect("the library").with_cache(cache.into())
}

fn logits(backend: &OrtBackend, model: &ModelSource, options: &SessionOptions) -> Result<Vec<f32>> {
    let pixels = (0..3 * 32 * 32).map(|index| (index % 97) as f32 / 48.0 - 1.0).collect::<Vec<_>>();
    let image = Tensor::new([1, 3, 32, 32], pixels)?;
    Ok(backend.load(model, options)?.run(&[&image])?[0].values::<f32>()?.to_vec())
}

fn assert_near(found: &[f32], expected: &[f32]) {
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(found.len() == expected.len() && apart < 1e-4, "{found:?} {expected:?}");
}

#[test]
fn an_entry_serves_the_model_it_was_made_of_and_no_other() {
    let cache = tempfile::tempdir().unwrap();
    let backend = backend(cache.path());
    let options = SessionOptions::default();
    let model = ModelSource::Bytes(network(4).into());
    let expected = logits(&backend, &model, &options).unwrap();

    let made = backend.optimize(&model).unwrap();
    assert!(made.folder.starts_with(cache.path()) && made.difference.unwrap() < 1e-4, "{made:?}");
    assert_near(&logits(&backend, &model, &options).unwrap(), &expected);

    // With its weights gone to zero, an entry shows who uses it.
    let weights = made.folder.join("weights.bin");
    fs::write(&weights, vec![0; fs::metadata(&weights).unwrap().len() as usize]).unwrap();
    let file = cache.path().join("copy.onnx");
    fs::write(&file, network(4)).unwrap();
    for same in [&model, &ModelSource::Path(file)] {
        let found = logits(&backend, same, &options).unwrap();
        assert!(found.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 1e-3), "{found:?}");
    }
    let extended = SessionOptions { optimization: Optimization::Extended, ..options.clone() };
    assert_near(&logits(&backend, &model, &extended).unwrap(), &expected);
    let other = ModelSource::Bytes(network(5).into());
    let plain = OrtBackend::new().unwrap().with_cache(cache.path().join("empty"));
    assert_eq!(logits(&backend, &other, &options).unwrap(), logits(&plain, &other, &options).unwrap());

    // Made anew, it is whole again.
    backend.optimize(&model).unwrap();
    assert_near(&logits(&backend, &model, &options).unwrap(), &expected);
    assert_eq!(fs::read_dir(cache.path().join("optimized")).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn a_damaged_entry_is_passed_over() {
    let cache = tempfile::tempdir().unwrap();
    let backend = backend(cache.path());
    let model = ModelSource::Bytes(network(3).into());
    let expected = logits(&backend, &model, &SessionOptions::default()).unwrap();
    for file in ["weights.bin", "model.onnx"] {
        let made = backend.optimize(&model).unwrap();
        let path = made.folder.join(file);
        fs::write(&path, &fs::read(&path).unwrap()[..100]).unwrap();
        assert_near(&logits(&backend, &model, &SessionOptions::default()).unwrap(), &expected);
    }
}

/// Writes `model.onnx` into `folder`, a linear classifier that keeps its weights in `weights.data` beside it.
fn write_with_external_data(folder: &Path, weights: &[f32]) -> ModelSource {
    let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
    let mut model = Model::from_bytes(&onnx::scores(&[3, 32, 32], weights, &[0.0; 2])).expect("a model");
    let weight =
        model.graph_mut().initializer.iter_mut().find(|tensor| tensor.name == "weight").expect("it is there");
    weight.raw_data = None;
    weight.data_location = DataLocation::External as i32;
    weight.external_data =
        vec![entry("location", "weights.data".to_owned()), entry("length", bytes.len().to_string())];
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("weights.data"), bytes).expect("a file");
    let path = folder.join("model.onnx");
    model.write(&path).expect("a file");
    ModelSource::Path(path)
}

#[test]
fn an_entry_serves_a_model_with_external_data_while_that_data_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let folder = |name: &str| directory.path().join(name);
    let weights = |scale: f32| -> Vec<f32> {
        (0..2 * 3 * 32 * 32).map(|index| scale * (index % 13) as f32 / 1000.0).collect()
    };
    let (backend, plain) = (backend(&folder("cache")), backend(&folder("empty")));
    let options = SessionOptions::default();
    let model = write_with_external_data(&folder("a"), &weights(1.0));
    let before = logits(&plain, &model, &options).unwrap();
    let made = backend.optimize(&model).unwrap();
    let digests = fs::read_to_string(made.folder.join("external.sha256")).unwrap();
    assert!(digests.trim_end().ends_with("weights.data") && digests.lines().count() == 1, "{digests}");
    assert_near(&logits(&backend, &model, &options).unwrap(), &before);

    // With its weights gone to zero, an entry shows who uses it.
    let kept = made.folder.join("weights.bin");
    fs::write(&kept, vec![0; fs::metadata(&kept).unwrap().len() as usize]).unwrap();
    let copy = write_with_external_data(&folder("b"), &weights(1.0));
    for same in [&model, &copy] {
        assert_near(&logits(&backend, same, &options).unwrap(), &[0.0; 2]);
    }
    // The model's own bytes stay as they are.
    write_with_external_data(&folder("a"), &weights(2.0));
    let after = logits(&plain, &model, &options).unwrap();
    assert!(after.iter().zip(&before).any(|(a, b)| (a - b).abs() > 1e-2), "{after:?} {before:?}");
    assert_near(&logits(&backend, &model, &options).unwrap(), &after);
    assert_near(&logits(&backend, &copy, &options).unwrap(), &[0.0; 2]);
    fs::remove_file(folder("a").join("weights.data")).unwrap();
    assert!(logits(&backend, &model, &options).is_err(), "an entry does not stand in for lost weights");

    // Made anew, it is of the weights that are there now.
    let model = write_with_external_data(&folder("a"), &weights(2.0));
    assert_eq!(backend.optimize(&model).unwrap().folder, made.folder);
    assert_near(&logits(&backend, &model, &options).unwrap(), &after);
}

#[test]
fn what_cannot_be_loaded_leaves_nothing_behind() {
    let cache = tempfile::tempdir().unwrap();
    let backend = backend(cache.path());
    let error = backend.optimize(&ModelSource::Bytes(b"no model".as_slice().into())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
    assert_eq!(fs::read_dir(cache.path().join("optimized")).unwrap().count(), 0);
}
