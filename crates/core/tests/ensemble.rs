//! Ensembles: how they are checked, and requests on their way through them.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::sync::Arc;

use proptest::prelude::*;
use tintype_core::triton::{self, ModelConfig};
use tintype_core::{Bound, Ensemble, ErrorKind, NamedTensor, Progress, Ready, Result, Tensor};

/// A model's configuration of inputs and outputs, each `name TYPE [dims]`.
fn model(name: &str, max_batch_size: usize, inputs: &[&str], outputs: &[&str]) -> ModelConfig {
    let tensors = |what: &str, tensors: &[&str]| -> String {
        let each = tensors.iter().map(|tensor| {
            let words: Vec<&str> = tensor.splitn(3, ' ').collect();
            format!("{what} {{ name: '{}' data_type: TYPE_{} dims: {} }} ", words[0], words[1], words[2])
        });
        each.collect()
    };
    let (inputs, outputs) = (tensors("input", inputs), tensors("output", outputs));
    triton::parse(&format!("name: '{name}' max_batch_size: {max_batch_size} {inputs}{outputs}")).unwrap()
}

/// `a: IN=X; OUT=Y`, one step each.
fn steps(steps: &[&str]) -> String {
    let maps = |what: &str, text: &str| -> String {
        let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(key, value)| format!("{what} {{ key: '{key}' value: '{value}' }} ")).collect()
    };
    let each = steps.iter().map(|step| {
        let (model, rest) = step.split_once(':').unwrap();
        let (inputs, outputs) = rest.split_once(';').unwrap();
        format!(
            "{{ model_name: '{model}' model_version: -1 {}{}}}",
            maps("input_map", inputs),
            maps("output_map", outputs)
        )
    });
    format!("ensemble_scheduling {{ step [ {} ] }}", each.collect::<Vec<_>>().join(", "))
}

fn ensemble(config: &ModelConfig, scheduling: &str, models: &[ModelConfig]) -> Result<Ensemble> {
    let text = format!("platform: 'ensemble' {} {scheduling}", triton::to_text(config));
    Ensemble::new("e", &triton::parse(&text).unwrap(), |name, version| {
        assert_eq!(version, None);
        models.iter().find(|model| model.name == name).cloned().map(Arc::new)
    })
}

/// Two classifiers beside each other behind one preparation, and a join.
fn diamond() -> Result<Ensemble> {
    let models = [
        model("prepare", 8, &["IMAGE STRING [1]"], &["PIXELS FP32 [3]"]),
        model("small", 8, &["x FP32 [-1]"], &["y FP32 [2]"]),
        model("large", 8, &["x FP32 [3]"], &["y FP32 [2]", "other FP32 [1]"]),
        model("join", 0, &["a FP32 [2]", "b FP32 [2]"], &["best STRING [1]"]),
    ];
    let own = model("e", 1, &["RAW STRING [1]"], &["ANSWER STRING [1]", "small_scores FP32 [2]"]);
    let steps = steps(&[
        "join: a=small_scores, b=large_scores; best=ANSWER",
        "prepare: IMAGE=RAW; PIXELS=pixels",
        "small: x=pixels; y=small_scores",
        "large: x=pixels; y=large_scores",
    ]);
    ensemble(&own, &steps, &models)
}

fn named(name: &str, tensor: Tensor) -> NamedTensor {
    NamedTensor { name: name.to_owned(), tensor }
}

fn floats(shape: &[usize]) -> Tensor {
    Tensor::new(shape, vec![0.5f32; shape.iter().product()]).unwrap()
}

fn started(progress: &mut Progress<'_>) -> Vec<Ready> {
    progress.ready().unwrap()
}

#[test]
fn ready_steps_start_together_and_each_once() {
    let ensemble = diamond().unwrap();
    let after: Vec<_> = ensemble.steps().iter().map(|step| step.after.as_slice()).collect();
    assert_eq!(after, [&[2, 3][..], &[], &[1], &[1]]);
    let raw = named("RAW", Tensor::new([1, 1], vec![b"jpeg".to_vec()]).unwrap());
    let Bound::Tensors { inputs, rows: 1 } = ensemble.signature().bind(vec![raw]).unwrap() else {
        panic!("tensors")
    };
    let mut progress = ensemble.start(inputs);
    let first = started(&mut progress);
    assert_eq!(first.iter().map(|ready| ready.step).collect::<Vec<_>>(), [1]);
    assert_eq!(first[0].inputs[0].name, "IMAGE");
    assert!(started(&mut progress).is_empty());
    progress.finish(1, vec![named("PIXELS", floats(&[1, 3]))]).unwrap();
    assert_eq!(started(&mut progress).iter().map(|ready| ready.step).collect::<Vec<_>>(), [2, 3]);
    progress.finish(3, vec![named("y", floats(&[1, 2]))]).unwrap();
    assert!(started(&mut progress).is_empty());
    progress.finish(2, vec![named("y", floats(&[1, 2]))]).unwrap();
    let last = started(&mut progress);
    // The last model does not batch: it gets its tensors without the batch axis.
    assert_eq!(
        last[0].inputs.iter().map(|i| (i.name.as_str(), i.tensor.shape())).collect::<Vec<_>>(),
        [("a", &[2][..]), ("b", &[2])]
    );
    assert!(!progress.is_done());
    progress.finish(0, vec![named("best", Tensor::new([1], vec![b"cat".to_vec()]).unwrap())]).unwrap();
    assert!(progress.is_done());
    let answer = ensemble.signature().answer(&[], progress.outputs().unwrap(), 1).unwrap();
    // And what it makes gets one for the ensemble, which does batch.
    let shapes: Vec<_> = answer.iter().map(|output| (output.name.as_str(), output.tensor.shape())).collect();
    assert_eq!(shapes, [("ANSWER", &[1, 1][..]), ("small_scores", &[1, 2])]);
}

#[test]
fn an_output_that_does_not_come_is_an_error() {
    let ensemble = diamond().unwrap();
    let mut progress = ensemble.start(vec![Tensor::new([1, 1], vec![vec![0u8]]).unwrap()]);
    started(&mut progress);
    let error = progress.finish(1, vec![named("pixels", floats(&[1, 3]))]).unwrap_err();
    assert_eq!(error.message(), "in ensemble e, model prepare gave no 'PIXELS'");
    assert_eq!(progress.outputs().unwrap_err().kind(), ErrorKind::Internal);
}

#[test]
fn mistakes_are_found_at_load() {
    let f = |name: &str| model(name, 4, &["x FP32 [3]"], &["y FP32 [3]"]);
    let models = [
        f("a"),
        f("b"),
        model("i", 4, &["x INT32 [3]"], &["y FP32 [3]"]),
        model("w", 4, &["x FP32 [4]"], &["y FP32 [3]"]),
        model("two", 4, &["x FP32 [3]", "z FP32 [3]"], &["y FP32 [3]"]),
        model("one", 1, &["x FP32 [3]"], &["y FP32 [3]"]),
    ];
    let own = model("e", 4, &["X FP32 [3]"], &["Y FP32 [3]"]);
    for (drawn, says) in [
        (&["a: x=X; y=t", "b: x=t; y=Y"][..], None),
        (&[], Some("must specify 'step' for ensemble 'e'")),
        (&["c: x=X; y=Y"], Some("ensemble 'e' depends on 'c' which has no loaded version")),
        (&["a: ; y=Y"], Some("must specify 'input_map' in a step of ensemble 'e'")),
        (&["a: x=X;"], Some("must specify 'output_map' in a step of ensemble 'e'")),
        (
            &["a: q=X; y=Y"],
            Some("in ensemble e, ensemble tensor X is mapping to non-existing input q in model a"),
        ),
        (
            &["a: x=X; q=Y"],
            Some("in ensemble e, ensemble tensor Y is mapped from non-existing output q in model a"),
        ),
        (
            &["two: x=X; y=Y"],
            Some("in ensemble e, input z in model two is not mapped to any ensemble tensors"),
        ),
        (
            &["a: x=X; y=Y", "b: x=X; y=Y"],
            Some("ensemble tensor 'Y' is written more than once in ensemble 'e'"),
        ),
        (
            &["a: x=X; y=X", "b: x=X; y=Y"],
            Some("ensemble tensor 'X' is written more than once in ensemble 'e'"),
        ),
        (&["a: x=t; y=Y"], Some("ensemble input 'X' for ensemble e is not used")),
        (
            &["a: x=X; y=Y", "b: x=lost; y=t", "a: x=t; y=u"],
            Some("ensemble tensor 'lost' is read but not written in ensemble 'e'"),
        ),
        (&["a: x=X; y=t"], Some("output 'Y' for ensemble 'e' is not written")),
        (&["a: x=X; y=Y", "b: x=X; y=t"], Some("ensemble tensor 't' is unused in ensemble 'e'")),
        (
            &["a: x=X; y=Y", "a: x=u; y=t", "b: x=t; y=u"],
            Some("the steps of 'a', 'b' in ensemble 'e' wait for each other's outputs"),
        ),
        (
            &["a: x=X; y=t", "i: x=t; y=Y"],
            Some(
                "in ensemble e, ensemble tensor t: inconsistent data type: TYPE_FP32 is inferred from model a while TYPE_INT32 is inferred from model i",
            ),
        ),
        (
            &["a: x=X; y=t", "w: x=t; y=Y"],
            Some(
                "in ensemble e, ensemble tensor t: inconsistent shape: [-1,3] is inferred from model a while [-1,4] is inferred from model w",
            ),
        ),
        (
            &["w: x=X; y=Y"],
            Some("inconsistent shape: [-1,3] is inferred from model e while [-1,4] is inferred from model w"),
        ),
        (
            &["one: x=X; y=Y"],
            Some(
                "ensemble e allows maximum batch size 4, but it contains model one which only allows maximum batch size to be 1",
            ),
        ),
    ] {
        let found = ensemble(&own, &steps(drawn), &models);
        match says {
            Some(says) => {
                let error = found.err().unwrap_or_else(|| panic!("{drawn:?} is not refused"));
                assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{drawn:?}");
                assert!(error.message().contains(says), "{drawn:?}: {error}");
            }
            None => assert_eq!(found.unwrap().steps().len(), 2),
        }
    }
    let one = steps(&["a: x=X; y=Y"]);
    for (extra, says) in [
        ("instance_group {}", "instance group should not be specified for ensemble 'e'"),
        ("optimization {}", "optimization should not be specified for ensemble 'e'"),
        ("model_warmup { name: 'w' batch_size: 1 }", "model_warmup can not be specified for ensemble 'e'"),
        ("backend: 'onnxruntime'", "must have platform type 'ensemble' and empty backend type"),
    ] {
        let error = ensemble(&own, &format!("{one} {extra}"), &models).expect_err(extra);
        assert!(error.message().contains(says), "{extra}: {error}");
    }
}

proptest! {
    /// Whatever the order in which steps are listed and finish, all run once and after those that feed them.
    #[test]
    fn every_step_runs_once_and_after_its_feeders(
        feeders in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
        finishing in prop::collection::vec(any::<prop::sample::Index>(), 40),
        rotation in 0usize..12,
    ) {
        let f = model("f", 4, &["x FP32 [1]", "w FP32 [1]"], &["y FP32 [1]"]);
        // Step i reads tensor i and an earlier one, and makes tensor i + 1: nothing is unused.
        let mut drawn: Vec<String> = (0..feeders.len())
            .map(|i| format!("f: x=t{i}, w=t{}; y=t{}", feeders[i].index(i + 1), i + 1))
            .collect();
        let length = drawn.len();
        drawn.rotate_left(rotation % length);
        let last = format!("t{length} FP32 [1]");
        let own = model("e", 4, &["t0 FP32 [1]"], &[&last]);
        let drawn: Vec<&str> = drawn.iter().map(String::as_str).collect();
        let ensemble = ensemble(&own, &steps(&drawn), &[f]).unwrap();
        let mut progress = ensemble.start(vec![floats(&[1, 1])]);
        let (mut running, mut finished) = (Vec::new(), Vec::new());
        for choice in finishing.iter().cycle().take(10_000) {
            for ready in progress.ready().unwrap() {
                let step = &ensemble.steps()[ready.step];
                prop_assert!(step.after.iter().all(|before| finished.contains(before)));
                prop_assert!(!running.contains(&ready.step) && !finished.contains(&ready.step));
                prop_assert_eq!(ready.inputs.len(), 2);
                running.push(ready.step);
            }
            if running.is_empty() {
                break;
            }
            let step = running.swap_remove(choice.index(running.len()));
            progress.finish(step, vec![named("y", floats(&[1, 1]))]).unwrap();
            finished.push(step);
        }
        prop_assert_eq!(finished.len(), length);
        prop_assert!(progress.is_done());
        prop_assert_eq!(progress.outputs().unwrap().len(), 1);
    }
}
