//! Requests that are bound, and those that are refused with Triton's words.

use tintype_core::{Bound, ErrorKind, NamedTensor, Signature, Tensor};

use crate::support::{bytes, classifier, named, package, signature, zeros};

const NOTE: &str = "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended \
                    to each input shape. If you want to specify the full shape including the batch dim in your input dims \
                    config, try setting max_batch_size to zero. See the model configuration docs for more info on \
                    max_batch_size.";

/// Two inputs, batches of 8.
fn pair() -> Signature {
    let config = "max_batch_size: 8 input { name: 'a' dims: [2] data_type: TYPE_FP32 } \
                  input { name: 'b' dims: [-1, 3] data_type: TYPE_INT32 }";
    signature(&package("", config), &["a f32 ?,2", "b i32 ?,?,3"], &["y f32 ?,2"]).unwrap()
}

fn a(shape: &[usize]) -> NamedTensor {
    zeros("a", shape)
}

fn b(shape: &[usize]) -> NamedTensor {
    named("b", shape, vec![0i32; shape.iter().product()])
}

#[test]
fn refusals_are_tritons() {
    let shape_of_a = |found: &str| {
        format!("unexpected shape for input 'a' for model 'm'. Expected [-1,2], got {found}. {NOTE}")
    };
    for (given, expected) in [
        (vec![], "expected 2 inputs but got 0 inputs for model 'm'. Got input(s) [], but missing required input(s) \
                  ['a','b']. Please provide all required input(s).".to_owned()),
        (vec![a(&[1, 2])], "expected 2 inputs but got 1 inputs for model 'm'. Got input(s) ['a'], but missing required \
                            input(s) ['b']. Please provide all required input(s).".to_owned()),
        (vec![a(&[1, 2]), b(&[1, 1, 3]), zeros("c", &[1])],
         "expected 2 inputs but got 3 inputs for model 'm'. Got input(s) ['a','b','c'], but missing required input(s) ]. \
          Please provide all required input(s).".to_owned()),
        (vec![a(&[1, 2]), zeros("c", &[1])], "unexpected inference input 'c' for model 'm'".to_owned()),
        (vec![a(&[1, 2]), a(&[1, 2])], "input 'a' already exists in request".to_owned()),
        (vec![zeros("b", &[1, 1, 3]), a(&[1, 2])],
         "inference input 'b' data-type is 'FP32', but model 'm' expects 'INT32'".to_owned()),
        (vec![a(&[1, 3]), b(&[1, 1, 3])], shape_of_a("[1,3]")),
        (vec![a(&[2]), b(&[2, 1, 3])], shape_of_a("[2]")),
        (vec![a(&[1, 1, 2]), b(&[1, 1, 3])], shape_of_a("[1,1,2]")),
        (vec![a(&[]), b(&[1, 1, 3])], "input 'a' has no shape but model requires batch dimension for 'm'".to_owned()),
        (vec![a(&[1, 2]), b(&[2, 1, 3])], "input 'b' batch size does not match other inputs for 'm'".to_owned()),
        (vec![a(&[9, 2]), b(&[9, 1, 3])], "inference request batch-size must be <= 8 for 'm'".to_owned()),
        (vec![a(&[0, 2]), b(&[0, 1, 3])], "inference request batch-size must be >= 1 for 'm'".to_owned()),
    ] {
        let names: Vec<String> = given.iter().map(|t| format!("{}{:?}", t.name, t.tensor.shape())).collect();
        let error = pair().bind(given).expect_err(&names.join(" "));
        assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidArgument, expected.as_str()), "{names:?}");
    }
}

#[test]
fn tensors_come_in_the_models_order_and_are_not_copied() {
    let (a, b) = (a(&[3, 2]), b(&[3, 5, 3]));
    let address = a.tensor.values::<f32>().unwrap().as_ptr();
    let Bound::Tensors { inputs, rows } = pair().bind(vec![b, a]).unwrap() else { panic!("tensors") };
    assert_eq!(rows, 3);
    assert_eq!(inputs.iter().map(Tensor::shape).collect::<Vec<_>>(), [&[3, 2][..], &[3, 5, 3]]);
    assert_eq!(inputs[0].values::<f32>().unwrap().as_ptr(), address);
}

#[test]
fn without_batching_shapes_are_whole_and_rows_one() {
    let model = signature(&package("", ""), &["x f32 2,?"], &["y f32 2"]).unwrap();
    assert_eq!(model.max_batch_size(), 0);
    let bound = model.bind(vec![zeros("x", &[2, 7])]).unwrap();
    assert!(matches!(bound, Bound::Tensors { rows: 1, .. }));
    let error = model.bind(vec![zeros("x", &[3, 7])]).unwrap_err();
    assert_eq!(error.message(), "unexpected shape for input 'x' for model 'm'. Expected [2,-1], got [3,7]. ");
}

#[test]
fn reshape_keeps_variable_sizes_in_order() {
    for (onnx, dims, reshape, given, expected) in [
        ("x f32 ?", "[1]", "shape: []", &[5, 1][..], &[5][..]),
        ("x f32 ?,8,?,6", "[2, 4, -1, 6]", "shape: [8, -1, 6]", &[5, 2, 4, 9, 6], &[5, 8, 9, 6]),
        ("x f32 ?,?,?,2", "[-1, 2, -1]", "shape: [-1, -1, 2]", &[1, 3, 2, 4], &[1, 3, 4, 2]),
    ] {
        let config = format!(
            "max_batch_size: 8 input {{ name: 'x' data_type: TYPE_FP32 dims: {dims} reshape {{ {reshape} }} }}"
        );
        let found = signature(&package("", &config), &[onnx], &["y f32 ?,1"]);
        if expected == [1, 3, 4, 2] {
            // The pieces between the variable sizes differ: [1, 2, 1] and [1, 1, 2].
            assert!(found.unwrap_err().message().contains("has different size for dims and reshape"));
            continue;
        }
        let Bound::Tensors { inputs, .. } = found.unwrap().bind(vec![zeros("x", given)]).unwrap() else {
            panic!("tensors")
        };
        assert_eq!(inputs[0].shape(), expected, "{dims}");
    }
}

const GIF: &[u8] = b"GIF89a and what follows";

#[test]
fn images_come_as_bytes_or_text_in_either_shape() {
    let text = "R0lGODlhIGFuZCB3aGF0IGZvbGxvd3M=".as_bytes();
    let serving = "[serving.inputs]\nIMAGE = \"image\"";
    let config = "max_batch_size: 4 input { name: 'IMAGE' data_type: TYPE_STRING dims: [1] }";
    let declared = classifier(serving, config).unwrap();
    // Without `[serving]`, the pixels' own name takes images too.
    let plain = classifier("", "").unwrap();
    for (model, name) in [(&declared, "IMAGE"), (&plain, "x"), (&declared, "x")] {
        for (shape, elements) in [
            (&[1][..], &[GIF][..]),
            (&[1, 1], &[text]),
            (&[3, 1], &[GIF, text, GIF]),
            (&[3], &[text, GIF, text]),
        ] {
            let bound = model.bind(vec![bytes(name, shape, elements)]).unwrap();
            let images = vec![GIF.to_vec(); elements.len()];
            assert_eq!(bound, Bound::Images { rows: images.len(), images }, "{name} {shape:?}");
        }
    }
    for (name, shape, elements, kind, says) in [
        (
            "IMAGE",
            &[1, 2][..],
            &[GIF, GIF][..],
            ErrorKind::InvalidArgument,
            "Expected [-1,1], got [1,2]. NOTE",
        ),
        ("x", &[1, 2], &[GIF, GIF], ErrorKind::InvalidArgument, "Expected [-1,1], got [1,2]. NOTE"),
        ("IMAGE", &[5], &[GIF; 5], ErrorKind::InvalidArgument, "batch-size must be <= 4 for 'm'"),
        ("IMAGE", &[2], &[GIF, b"?"], ErrorKind::NotAnImage, "element 1 "),
    ] {
        let error = declared.bind(vec![bytes(name, shape, elements)]).expect_err(says);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(says), "{error}");
    }
    let error = declared.bind(vec![zeros("IMAGE", &[1, 1])]).unwrap_err();
    assert_eq!(error.message(), "inference input 'IMAGE' data-type is 'FP32', but model 'm' expects 'BYTES'");
}

#[test]
fn raw_tensors_stay_accepted() {
    let serving = "[serving.inputs]\nIMAGE = \"image\"\nCOMMENT = \"ignored\"";
    let config = "max_batch_size: 4 input { name: 'IMAGE' data_type: TYPE_STRING dims: [1] } \
                  input { name: 'COMMENT' data_type: TYPE_STRING dims: [-1] optional: true }";
    let model = classifier(serving, config).unwrap();
    let bound = model.bind(vec![zeros("x", &[2, 1, 4, 4])]).unwrap();
    assert!(matches!(bound, Bound::Tensors { rows: 2, .. }));
    for given in [
        vec![bytes("IMAGE", &[1, 1], &[GIF])],
        vec![bytes("COMMENT", &[1, 2], &[b"a", b"b"]), bytes("IMAGE", &[1, 1], &[GIF])],
    ] {
        assert!(matches!(model.bind(given).unwrap(), Bound::Images { rows: 1, .. }));
    }
    let error = model.bind(vec![]).unwrap_err();
    assert!(
        error.message().starts_with("expected number of inputs between 1 and 2 but got 0 inputs"),
        "{error}"
    );
}

#[test]
fn a_model_without_a_batch_axis_takes_one_image() {
    let package = package(crate::support::PREPROCESS, "");
    let model = signature(&package, &["x f32 1,1,4,4"], &["y f32 1,3"]).unwrap();
    assert_eq!(model.max_batch_size(), 0);
    for shape in [&[1][..], &[1, 1]] {
        assert!(matches!(
            model.bind(vec![bytes("x", shape, &[GIF])]).unwrap(),
            Bound::Images { rows: 1, .. }
        ));
    }
    let error = model.bind(vec![bytes("x", &[2], &[GIF, GIF])]).unwrap_err();
    assert_eq!(error.message(), "unexpected shape for input 'x' for model 'm'. Expected [1], got [2]. ");
}
