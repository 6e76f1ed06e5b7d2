//! What only ONNX Runtime can get wrong: loading.

use std::path::Path;

use tintype_core::{Error, ErrorKind, ModelSource, Tensor};
use tintype_engine::ort::OrtBackend;
use tintype_engine::{Backend, SessionOptions};
use tintype_testkit::onnx;

fn load(source: ModelSource) -> Result<(), Error> {
    OrtBackend::new()?.load(&source, &SessionOptions::default()).map(drop)
}

#[test]
fn backends_share_the_one_environment() {
    let backends: Vec<_> = (0..3).map(|_| std::thread::spawn(OrtBackend::new)).collect();
    for backend in backends {
        assert_eq!(backend.join().unwrap().unwrap().name(), "onnxruntime 1.31.1");
    }
}

#[test]
fn a_model_loads_from_a_file_and_survives_its_removal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, onnx::identity("f32", &[2])).unwrap();
    let backend = OrtBackend::new().unwrap();
    let mut session = backend.load(&ModelSource::Path(path.clone()), &SessionOptions::default()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let x = Tensor::new([1, 2], vec![1.0f32, 2.0]).unwrap();
    assert_eq!(session.run(&[&x]).unwrap(), [x]);
}

#[test]
fn damaged_models_are_refused_without_naming_folders() {
    let folder = tempfile::tempdir().unwrap();
    let good = onnx::identity("f32", &[2]);
    let mut unknown_operator = good.clone();
    let at = good.windows(8).position(|bytes| bytes == b"Identity").unwrap();
    for start in [at, at + 10] {
        unknown_operator[start..start + 8].copy_from_slice(b"Idontity");
    }
    let cases = [
        ("empty", Vec::new()),
        ("text", b"this is not a model".to_vec()),
        ("cut", good[..good.len() / 2].to_vec()),
        ("unknown operator", unknown_operator),
    ];
    for (name, bytes) in cases {
        let path = folder.path().join(format!("{name}.onnx"));
        std::fs::write(&path, &bytes).unwrap();
        for source in [ModelSource::Path(path), ModelSource::Bytes(bytes.into())] {
            let error = load(source).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidModel, "{name}: {error}");
            let folder = folder.path().to_str().unwrap();
            assert!(!error.message().contains(folder), "{name}: {error}");
            assert!(!error.message().contains("onnxruntime_src"), "{name}: {error}");
        }
    }
}

#[test]
fn missing_files_and_folders_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let missing = load(ModelSource::Path(folder.path().join("model.onnx"))).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let directory = load(ModelSource::Path(folder.path().into())).unwrap_err();
    assert_eq!(directory.kind(), ErrorKind::InvalidModel);
    assert_eq!(load(ModelSource::Path(Path::new("").into())).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn impossible_options_are_refused() {
    let options = SessionOptions { intra_threads: 0, ..SessionOptions::default() };
    let source = ModelSource::Bytes(onnx::identity("f32", &[]).into());
    let error = OrtBackend::new().unwrap().load(&source, &options).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn an_operator_that_refuses_its_input_does_not_harm_the_session() {
    let source = ModelSource::Bytes(onnx::sum_and_difference(2).into());
    let mut session = OrtBackend::new().unwrap().load(&source, &SessionOptions::default()).unwrap();
    let rows = |n: usize| Tensor::new([n, 2], vec![1.0f32; 2 * n]).unwrap();
    let error = session.run(&[&rows(2), &rows(3)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(error.message().contains("while running"), "{error}");
    assert!(!error.message().contains("onnxruntime_src"), "{error}");
    session.run(&[&rows(3), &rows(3)]).unwrap();
}

#[test]
fn strings_with_nul_bytes_are_refused() {
    let source = ModelSource::Bytes(onnx::identity("bytes", &[]).into());
    let mut session = OrtBackend::new().unwrap().load(&source, &SessionOptions::default()).unwrap();
    let x = Tensor::new([1], vec![b"a\0b".to_vec()]).unwrap();
    assert_eq!(session.run(&[&x]).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn two_sessions_run_on_two_threads() {
    let backend = OrtBackend::new().unwrap();
    let source = ModelSource::Bytes(onnx::sum_and_difference(64).into());
    let runs: Vec<_> = (0..2)
        .map(|i| {
            let options = SessionOptions {
                intra_threads: i + 1,
                spinning: i == 1,
                custom_operators: i == 1,
                ..SessionOptions::default()
            };
            let mut session = backend.load(&source, &options).unwrap();
            std::thread::spawn(move || {
                for n in 1..50 {
                    let x = Tensor::new([n, 64], vec![n as f32; n * 64]).unwrap();
                    let outputs = session.run(&[&x, &x]).unwrap();
                    assert!(outputs[0].values::<f32>().unwrap().iter().all(|&v| v == 2.0 * n as f32));
                }
            })
        })
        .collect();
    for run in runs {
        run.join().unwrap();
    }
}
