//! Configurations completed from the model, and those that do not fit it.

use tintype_core::image::Limits;
use tintype_core::triton::{self, Defaults};
use tintype_core::{ErrorKind, Signature};

use crate::support::{classifier, package, signature, specs};

const X: &str = "x f32 ?,3,?,?";
const Y: &str = "y f32 ?,3";

/// The completed configuration in text, without what every configuration has.
fn completed(config: &str, inputs: &[&str], outputs: &[&str]) -> String {
    let signature = signature(&package("", config), inputs, outputs).unwrap();
    let mut config = signature.config().as_ref().clone();
    (config.version_policy, config.optimization) = (None, None);
    config.instance_group.clear();
    triton::to_text(&config)
}

fn expected(text: &str) -> String {
    triton::to_text(&triton::parse(text).unwrap())
}

#[test]
fn missing_parts_are_the_models() {
    let onnx = "name: 'm' platform: 'onnxruntime_onnx' backend: 'onnxruntime'";
    let batched = "input { name: 'x' data_type: TYPE_FP32 dims: [3, -1, -1] } output { name: 'y' data_type: TYPE_FP32 dims: [3] }";
    let four = "max_batch_size: 4 dynamic_batching { preferred_batch_size: 4 }";
    let whole = "input { name: 'x' data_type: TYPE_FP32 dims: [1, 3] } output { name: 'y' data_type: TYPE_INT64 dims: [1] }";
    for (config, inputs, outputs, says) in [
        ("", &[X][..], &[Y][..], format!("{onnx} {four} {batched}")),
        ("name: 'm' backend: 'onnxruntime'", &[X], &[Y], format!("{onnx} {four} {batched}")),
        (
            "platform: 'onnxruntime_onnx' max_batch_size: 1",
            &[X],
            &[Y],
            format!("{onnx} max_batch_size: 1 {batched}"),
        ),
        (
            "max_batch_size: 16 dynamic_batching { preferred_batch_size: [2, 8] }",
            &[X],
            &[Y],
            format!(
                "{onnx} max_batch_size: 16 dynamic_batching {{ preferred_batch_size: [2, 8] }} {batched}"
            ),
        ),
        // A fixed first axis is no batch axis.
        ("", &["x f32 1,3"], &["y i64 1"], format!("{onnx} {whole}")),
        // All tensors must have one.
        ("", &["x f32 ?,3"], &["y i64 1"], format!("{onnx} {}", whole.replace("[1, 3]", "[-1, 3]"))),
        // Whole shapes in the configuration mean that there is none.
        (
            "input { name: 'x' dims: [1, 3, -1, -1] }",
            &[X],
            &[Y],
            format!(
                "{onnx} {}",
                "input { name: 'x' data_type: TYPE_FP32 dims: [1, 3, -1, -1] } output { name: 'y' data_type: TYPE_FP32 dims: [-1, 3] }"
            ),
        ),
        // Parts of tensors, and tensors that are not mentioned.
        (
            "input { name: 'b' dims: [5] } output { name: 'z' data_type: TYPE_INT8 }",
            &["a f32 ?", "b f32 ?,?"],
            &[Y, "z i8 ?,1"],
            format!(
                "{onnx} {four} input {{ name: 'b' data_type: TYPE_FP32 dims: 5 }} input {{ name: 'a' data_type: TYPE_FP32 dims: 1 reshape {{}} }} output {{ name: 'z' data_type: TYPE_INT8 dims: 1 }}"
            ),
        ),
    ] {
        assert_eq!(completed(config, inputs, outputs), expected(&says), "{config}");
    }
}

#[test]
fn defaults_are_written_out() {
    let defaults = Defaults { max_batch_size: 0, instances: 3, gpus: vec![0, 1], ..Defaults::default() };
    for (groups, expected) in [
        ("", "instance_group { name: 'm' kind: KIND_GPU count: 1 gpus: [0, 1] }"),
        (
            "instance_group { kind: KIND_CPU } instance_group { kind: KIND_GPU count: 2 gpus: 1 }",
            "instance_group { name: 'm_0' kind: KIND_CPU count: 3 } instance_group { name: 'm_1' kind: KIND_GPU count: 2 gpus: 1 }",
        ),
        ("instance_group { gpus: 7 }", "instance_group { name: 'm_0' kind: KIND_CPU count: 3 gpus: 7 }"),
    ] {
        let mut config = triton::parse(&format!("name: 'm' {groups}")).unwrap();
        triton::normalize(&mut config, &defaults);
        assert_eq!(config.instance_group, triton::parse(expected).unwrap().instance_group, "{groups}");
    }
    let package = package("", "");
    let model = Signature::new(&package, &specs(&[X]), &specs(&[Y]), Limits::default(), &defaults).unwrap();
    assert_eq!(model.max_batch_size(), 0);
    assert_eq!(model.config().input[0].dims, [-1, 3, -1, -1]);
    let json = triton::to_json(model.config());
    assert!(json.contains(r#""version_policy":{"latest":{"num_versions":1}}"#), "{json}");
    assert!(json.contains(r#""input_pinned_memory":{"enable":true}"#), "{json}");
}

#[test]
fn completion_can_be_switched_off() {
    let defaults = Defaults { auto_complete: false, ..Defaults::default() };
    let whole = "max_batch_size: 2 input { name: 'x' data_type: TYPE_FP32 dims: [3, -1, -1] } output { name: 'y' data_type: TYPE_FP32 dims: 3 }";
    for (config, says) in [
        ("", Some("model configuration is not provided for 'm'")),
        ("max_batch_size: 2", Some("to feed 'x', found 0")),
        ("input { name: 'x' }", Some("model input 'x' must specify 'dims'")),
        (whole, None),
    ] {
        let package = package("", config);
        let found = Signature::new(&package, &specs(&[X]), &specs(&[Y]), Limits::default(), &defaults);
        match says {
            Some(says) => {
                assert!(found.as_ref().unwrap_err().message().contains(says), "{config}: {found:?}");
            }
            None => assert!(found.unwrap().config().scheduling_choice.is_none()),
        }
    }
}

#[test]
fn what_does_not_fit_names_both_sides() {
    for (config, says) in [
        ("name: 'other'", "unexpected directory name 'm' for model 'other'"),
        ("backend: 'onnxruntime' platform: 'tensorrt_plan'", "got:tensorrt_plan, onnxruntime"),
        ("max_batch_size: -1", "'max_batch_size' must be non-negative value for m: found -1"),
        ("input { name: 'q' }", "unexpected inference input 'q', allowed inputs are: x"),
        ("output { name: 'q' }", "unexpected inference output 'q', allowed outputs are: y"),
        (
            "input { name: 'x' data_type: TYPE_FP16 }",
            "TYPE_FP16 for inference input 'x' of model 'm', expecting TYPE_FP32",
        ),
        (
            "max_batch_size: 4 input { name: 'x' dims: [224, 224] }",
            "the model expects 4 dimensions (shape [-1,3,-1,-1]) but the model configuration specifies 3 dimensions (shape [-1,224,224]",
        ),
        ("max_batch_size: 4 input { name: 'x' dims: [1, 224, 224] }", "(shape [-1,1,224,224]"),
        (
            "max_batch_size: 4 output { name: 'y' dims: [-1] }",
            "tensor 'y': the model expects 2 dimensions (shape [-1,3])",
        ),
        (
            "input { name: 'x' dims: [0, 3, 1, 1] }",
            "'x' dimension must be integer >= 1, or -1 to indicate a variable-size dimension: found [0,3,1,1]",
        ),
        ("input { name: 'x' } input { name: 'x' }", "model input 'x' is specified twice"),
        (
            "input { name: 'x' format: FORMAT_NCHW dims: [1, 3, 1, 1] }",
            "model input NHWC/NCHW require 3 dims",
        ),
        (
            "input { name: 'x' dims: [3, -1, 4] reshape { shape: [3, -1, 5] } }",
            "different size for dims and reshape: found [3,-1,4] and [3,-1,5]",
        ),
        (
            "input { name: 'x' dims: [3, -1, 4] reshape { shape: [3, 4, 4] } }",
            "different number of variable-size dimensions",
        ),
        (
            "max_batch_size: 4 dynamic_batching { preferred_batch_size: [4, 5] }",
            "must be <= max batch size for m: found 5",
        ),
        (
            "max_batch_size: 4 dynamic_batching { preferred_batch_size: 0 }",
            "preferred size must be positive for m: found 0",
        ),
        (
            "max_batch_size: 4 dynamic_batching { priority_levels: 2 }",
            "default priority level must be in range [1, 2] for m: found 0",
        ),
        (
            "max_batch_size: 4 dynamic_batching { priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 3 value {} } }",
            "priority queue policy must have priority level in range [1, 2] for m: found 3",
        ),
        (
            "max_batch_size: 4 dynamic_batching { priority_levels: 2 default_priority_level: 1 preserve_ordering: true }",
            "Only one priority level is allowed when 'preserve_ordering' is true for m: found 2",
        ),
        (
            "max_batch_size: 4 dynamic_batching { preserve_ordering: true default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 1 } }",
            "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m",
        ),
        (
            "instance_group { kind: KIND_CPU gpus: 0 }",
            "instance group m_0 of model m has kind KIND_CPU but specifies one or more GPUs",
        ),
        (
            "max_batch_size: 4 model_warmup { name: 'w' batch_size: 5 }",
            "`batch_size` must be in range [1, 4] for m: found 5",
        ),
    ] {
        let error = signature(&package("", config), &[X], &[Y]).expect_err(config);
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{config}: {error}");
        assert!(error.message().contains(says), "{config}: {error}");
    }
    for (spec, config) in [
        ("", "max_batch_size: 2"),
        ("[serving.inputs]\nI = \"image\"\n[serving.outputs]\nL = \"label\"", "max_batch_size: 16"),
    ] {
        let spec =
            if spec.is_empty() { String::new() } else { format!("{spec}\n{}", crate::support::PREPROCESS) };
        let error = signature(&package(&spec, config), &["x f32 1,1,4,4"], &["y f32 1,3"]).unwrap_err();
        let says = "the first dimension must be -1; but shape expected by the model is [1,1,4,4] and max_batch_size is";
        assert!(error.message().contains(says), "{error}");
        let one = config.replace("16", "1").replace('2', "1");
        signature(&package(&spec, &one), &["x f32 1,1,4,4"], &["y f32 1,3"]).unwrap();
    }
}

#[test]
fn what_would_change_answers_is_refused() {
    for config in [
        "sequence_batching {}",
        "model_transaction_policy { decoupled: true }",
        "batch_input { target_name: 'x' }",
        "input { name: 'x' allow_ragged_batch: true }",
        "input { name: 'x' optional: true }",
        "output { name: 'y' is_shape_tensor: true }",
        "model_operations { op_library_filename: 'x.so' }",
    ] {
        let error = signature(&package("", config), &[X], &[Y]).expect_err(config);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{config}: {error}");
    }
}

#[test]
fn serving_that_does_not_fit_says_so() {
    let output = |line: &str| format!("max_batch_size: 4 output {{ name: 'O' {line} }}");
    for (serving, config, says) in [
        (
            "[serving.inputs]\nI = \"ignored\"",
            String::new(),
            "has `I`, which `config.pbtxt` does not declare",
        ),
        (
            "[serving.inputs]\nI = \"z\"",
            String::new(),
            "maps 'I' to 'z', which the model does not have: its inputs are x",
        ),
        ("[serving.inputs]\nI = \"image\"\nJ = \"image\"", String::new(), "expected one image, found 2"),
        (
            "[serving.inputs]\nI = \"image\"",
            "input { name: 'I' data_type: TYPE_FP32 }".to_owned(),
            "expects TYPE_STRING [1], `config.pbtxt` has TYPE_FP32 [1]",
        ),
        (
            "[serving.inputs]\nI = \"image\"",
            "input { name: 'I' dims: [2] }".to_owned(),
            "has TYPE_STRING [2]",
        ),
        ("[serving.inputs]\nI = \"image\"", "input { name: 'x' }".to_owned(), "to feed 'x', found 2"),
        ("[serving.outputs]\nO = \"label\"", output("data_type: TYPE_INT32"), "expects TYPE_STRING [1]"),
        ("[serving.outputs]\nO = \"probability\"", output("dims: [2]"), "expects TYPE_FP32 [1]"),
        ("[serving.outputs]\nO = \"scores\"", output("dims: [4]"), "expects TYPE_FP32 [3]"),
        (
            "[serving.outputs]\nO = \"top_k\"",
            output("dims: [4]"),
            "asks for the best 4 classes, the model has 3",
        ),
    ] {
        let error = classifier(serving, &config).expect_err(serving);
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{serving}: {error}");
        assert!(error.message().contains(says), "{serving}: {error}");
    }
    for serving in ["[serving.inputs]\nI = \"image\"", "[serving.outputs]\nO = \"label\""] {
        let error = signature(&package(serving, ""), &[X], &[Y]).expect_err(serving);
        assert!(error.message().contains("has no `[preprocess]`"), "{error}");
    }
}
