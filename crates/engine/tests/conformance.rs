//! What every backend must do: each case runs on ONNX Runtime with a real model and on the mock that imitates it.
//!
//! ONNX Runtime's library must be found (`scripts/fetch-onnxruntime.sh` puts it where it is looked for): without it
//! these tests fail, they do not skip.

use half::{bf16, f16};
use tintype_core::{DType, ErrorKind, ModelSource, Result, Tensor, TensorData, TensorSpec};
use tintype_engine::mock::{MockBackend, MockModel};
use tintype_engine::ort::OrtBackend;
use tintype_engine::{Backend, Session, SessionOptions};
use tintype_testkit::onnx;

/// The same model on each backend.
fn on_each(model: Vec<u8>, mock: MockModel) -> [(&'static str, Box<dyn Session>); 2] {
    let source = ModelSource::Bytes(model.into());
    let options = SessionOptions::default();
    let ort =
        OrtBackend::new().and_then(|backend| backend.load(&source, &options)).expect("ONNX Runtime loads");
    let mock = MockBackend::new(mock).load(&source, &options).expect("the mock loads");
    [("ort", ort), ("mock", mock)]
}

fn spec(name: &str, dtype: DType, shape: &[Option<usize>]) -> TensorSpec {
    TensorSpec { name: name.into(), dtype, shape: shape.into() }
}

fn f32s(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::new(shape, values.to_vec()).expect("the test's shape fits its values")
}

fn echo(dtype: DType, axes: &[usize]) -> [(&'static str, Box<dyn Session>); 2] {
    let shape: Vec<_> = std::iter::once(None).chain(axes.iter().copied().map(Some)).collect();
    let mock = MockModel::echo(vec![spec("x", dtype, &shape)]).output_names(["y"]);
    on_each(onnx::identity(dtype.as_str(), axes), mock)
}

fn sum_and_difference() -> [(&'static str, Box<dyn Session>); 2] {
    let pair = |a: &str, b: &str| [a, b].map(|name| spec(name, DType::F32, &[None, Some(2)])).to_vec();
    let mock = MockModel::new(pair("a", "b"), pair("sum", "difference"), |inputs| {
        let (a, b) = (inputs[0].values::<f32>()?, inputs[1].values::<f32>()?);
        let with = |f: fn(f32, f32) -> f32| {
            Tensor::new(inputs[0].shape(), a.iter().zip(b).map(|(&x, &y)| f(x, y)).collect::<Vec<_>>())
        };
        Ok(vec![with(|x, y| x + y)?, with(|x, y| x - y)?])
    });
    on_each(onnx::sum_and_difference(2), mock)
}

/// Two elements of each dtype, none of them zero.
fn samples(dtype: DType) -> TensorData {
    match dtype {
        DType::F32 => TensorData::F32(vec![1.5, f32::MIN_POSITIVE]),
        DType::F16 => TensorData::F16(vec![f16::from_f32(1.5), f16::MAX]),
        DType::BF16 => TensorData::BF16(vec![bf16::from_f32(1.5), bf16::MAX]),
        DType::F64 => TensorData::F64(vec![1.5, f64::MAX]),
        DType::I8 => TensorData::I8(vec![-128, 127]),
        DType::I16 => TensorData::I16(vec![i16::MIN, i16::MAX]),
        DType::I32 => TensorData::I32(vec![i32::MIN, i32::MAX]),
        DType::I64 => TensorData::I64(vec![i64::MIN, i64::MAX]),
        DType::U8 => TensorData::U8(vec![1, 255]),
        DType::U16 => TensorData::U16(vec![1, u16::MAX]),
        DType::U32 => TensorData::U32(vec![1, u32::MAX]),
        DType::U64 => TensorData::U64(vec![1, u64::MAX]),
        DType::Bool => TensorData::Bool(vec![true, false]),
        DType::Bytes => TensorData::Bytes(vec!["añb".into(), b"a\xff\xc3".to_vec()]),
    }
}

#[test]
fn specs_are_the_model_s() {
    for (name, session) in sum_and_difference() {
        let shown = |specs: &[TensorSpec]| specs.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(session.inputs()), ["a: f32[?,2]", "b: f32[?,2]"], "{name}");
        assert_eq!(shown(session.outputs()), ["sum: f32[?,2]", "difference: f32[?,2]"], "{name}");
    }
}

#[test]
fn every_dtype_goes_in_and_out_unchanged() {
    for &dtype in DType::ALL {
        for (name, mut session) in echo(dtype, &[]) {
            assert_eq!(session.inputs()[0].dtype, dtype, "{name}");
            assert_eq!(session.outputs(), [spec("y", dtype, &[None])], "{name}");
            let x = Tensor::from_data([2], samples(dtype)).unwrap();
            assert_eq!(session.run(&[&x]).unwrap(), [x], "{name} {dtype}");
        }
    }
}

#[test]
fn batches_of_any_size_run_on_one_session() {
    for (name, mut session) in echo(DType::F32, &[3, 2]) {
        for batch in [1, 7, 2, 0, 7] {
            let x = f32s(&[batch, 3, 2], &vec![0.25; batch * 6]);
            assert_eq!(session.run(&[&x]).unwrap(), [x], "{name} {batch}");
        }
    }
}

#[test]
fn several_inputs_and_outputs_keep_their_order() {
    for (name, mut session) in sum_and_difference() {
        let (a, b) = (f32s(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), f32s(&[2, 2], &[0.5, 0.5, 0.5, 0.5]));
        let outputs = session.run(&[&a, &b]).unwrap();
        let expected = [f32s(&[2, 2], &[1.5, 2.5, 3.5, 4.5]), f32s(&[2, 2], &[0.5, 1.5, 2.5, 3.5])];
        assert_eq!(outputs, expected, "{name}");
    }
}

#[test]
fn wrong_inputs_are_named_and_the_session_goes_on() {
    let good = f32s(&[1, 2], &[1.0, 2.0]);
    let wide = f32s(&[1, 3], &[0.0; 3]);
    let flat = f32s(&[2], &[0.0; 2]);
    let int = Tensor::new([1, 2], vec![1i64, 2]).unwrap();
    let cases: [(&[&Tensor], &str); 5] = [
        (&[&good], "expected 2 inputs (`a`, `b`), found 1"),
        (&[&good, &good, &good], "expected 2 inputs (`a`, `b`), found 3"),
        (&[&good, &wide], "expected input `b: f32[?,2]`, found `b: f32[1,3]`"),
        (&[&flat, &good], "expected input `a: f32[?,2]`, found `a: f32[2]`"),
        (&[&good, &int], "expected input `b: f32[?,2]`, found `b: i64[1,2]`"),
    ];
    for (name, mut session) in sum_and_difference() {
        for (inputs, message) in cases {
            let error = session.run(inputs).unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidArgument, message), "{name}");
            assert_eq!(session.run(&[&good, &good]).unwrap()[0], f32s(&[1, 2], &[2.0, 4.0]), "{name}");
        }
    }
}

#[test]
fn warming_up_changes_nothing() {
    for &dtype in DType::ALL {
        for (name, mut session) in echo(dtype, &[2]) {
            session.warm_up(&[1, 4]).unwrap_or_else(|e| panic!("{name} {dtype}: {e}"));
            let x = Tensor::from_data([1, 2], samples(dtype)).unwrap();
            assert_eq!(session.run(&[&x]).unwrap(), [x], "{name} {dtype}");
        }
    }
}

#[test]
fn a_classifier_computes_what_it_should() {
    let (weights, bias) = ([1.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5], [0.0, 10.0]);
    let input = vec![spec("input", DType::F32, &[None, Some(1), Some(2), Some(2)])];
    let output = vec![spec("logits", DType::F32, &[None, Some(2)])];
    let mock = MockModel::new(input, output, move |inputs| -> Result<Vec<Tensor>> {
        let rows = inputs[0].values::<f32>()?.chunks(4);
        let logits = rows.flat_map(|x| [x[0], 10.0 + x.iter().sum::<f32>() * 0.5]).collect::<Vec<_>>();
        Ok(vec![Tensor::new([logits.len() / 2, 2], logits)?])
    });
    for (name, mut session) in on_each(onnx::scores(&[1, 2, 2], &weights, &bias), mock) {
        let x = f32s(&[2, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0, -1.0, 0.0, 0.0, 1.0]);
        let logits = session.run(&[&x]).unwrap().remove(0);
        assert_eq!(logits, f32s(&[2, 2], &[1.0, 15.0, -1.0, 10.0]), "{name}");
    }
}
