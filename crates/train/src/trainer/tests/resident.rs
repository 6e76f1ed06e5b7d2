//! Weights and moments on the device against those of the host, on the CPU.
//!
//! The graph and the host round alike but for the order in which a norm's squares are summed and for fused multiplications:
//! over the ten to thirty steps of these trainings the weights, of about 1, stay within 2e-6 of each other.

use tintype_core::Tensor;

use super::super::scale::LossScale;
use super::super::stepper::Stepper;
use super::*;
use crate::loader::Batch;

/// How a GPU trains, without a GPU.
const RESIDENT: Place = Place { resident: true, ..Place::CPU };

const BOUND: f32 = 2e-6;

/// Two layers with a batch norm and a dropout between them. The norm stands behind the activation: a bias right before a
/// norm has no gradient but rounding, which Adam makes a step of.
fn network(dropout: f32) -> Model {
    let mut builder = tintype_graph::Builder::new(3);
    let input = builder.input("x", &[5]);
    let hidden = builder.linear("layers.0", &input, 5, 6);
    let hidden = builder.relu("relu", &hidden);
    let hidden = builder.batch_norm("bn", &hidden, 6);
    let hidden = builder.dropout("drop", &hidden, dropout);
    let logits = builder.linear("layers.1", &hidden, 6, 3);
    builder.finish(&logits, "logits", &[3])
}

/// Everything that is stored in a model.
fn stored(model: &Model) -> Vec<f32> {
    model.graph().initializer.iter().filter_map(|t| t.to_f32().ok()).flatten().collect()
}

fn trained(words: &str, place: Place) -> (Vec<f32>, Vec<EpochReport>) {
    let (_, train, val) = reference();
    let mut seen = Seen { place: Some(place), ..Seen::default() };
    let words = format!("scope=all backbone=b trainer.batch_size=7 trainer.update_bn=0 {words}");
    // Without the fused operators a dropout draws other numbers.
    let model = network(if place.fused { 0.25 } else { 0.0 });
    let fitted = fit_model(&model, &config(&words), (&train, &val), &mut seen);
    (stored(&fitted.unwrap_or_else(|e| panic!("{words}: {e}")).model), seen.epochs)
}

#[test]
fn every_recipe_moves_the_weights_as_on_the_host() {
    for optim in [
        "optim=sgd optim.lr=0.1",
        "optim=sgd optim.lr=0.05 optim.nesterov=true optim.weight_decay=0.01",
        "optim=sgd optim.momentum=0 optim.lr=0.2",
        "optim=adam optim.lr=0.01",
        "optim=adam optim.lr=0.01 optim.weight_decay=0.1 optim.eps=0.001",
        "optim=adamw optim.lr=0.02 optim.weight_decay=0.1",
    ] {
        for more in [
            "",
            "optim.filter_bias_and_bn=true optim.layer_decay=0.5 optim.weight_decay=0.02",
            "optim.clip_norm=0.3",
            "optim.clip_value=0.02",
            "trainer.accumulate=2 trainer.class_weights=[0.5,2.0,1.0] optim.clip_norm=0.5",
            "trainer.ema.decay=0.9 optim.schedule.name=cosine optim.schedule.unit=step",
            "trainer.freeze=[layers.0] trainer.batch_norm=frozen",
            "trainer.head_epochs=2 trainer.ema.decay=0.8",
        ] {
            let words = format!("trainer.epochs=4 {optim} {more}");
            let (host, told) = trained(&words, Place::CPU);
            let (device, also) = trained(&words, RESIDENT);
            let most = host.iter().zip(&device).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(host.len() == device.len() && most <= BOUND, "{words}: {most}");
            for (host, device) in told.iter().zip(&also) {
                assert!((host.train_loss - device.train_loss).abs() < 1e-6, "{words}: {device:?}");
                assert!((host.val_loss - device.val_loss).abs() < 1e-5, "{words}: {device:?}");
            }
        }
    }
}

#[test]
fn plain_operators_come_to_the_same() {
    for words in
        ["optim=adamw optim.lr=0.02", "optim=sgd optim.lr=0.1 trainer.accumulate=2 optim.clip_norm=1"]
    {
        let words = format!("trainer.epochs=3 trainer.ema.decay=0.9 {words}");
        let plain = |resident| Place { resident, fused: false, ..Place::CPU };
        let (host, device) = (trained(&words, plain(false)).0, trained(&words, plain(true)).0);
        assert_close(&device, &host, BOUND);
    }
}

#[test]
fn a_gpu_that_is_not_there_is_named() {
    let backend = OrtBackend::new().unwrap();
    let error = Place::find(&config("device=cuda:91"), &backend).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let expected = "`device=cuda:91`: GPU 91 was asked for, and CUDA is not available: ";
    assert!(error.message().starts_with(expected), "{error}");
    let error = Place::find(&config("device=cpu trainer.precision=16-mixed"), &backend).unwrap_err();
    let expected = "`trainer.precision=16-mixed` is for GPUs, and training computes on the CPU";
    assert_eq!(error.message(), expected);
}

/// On the CPU ONNX Runtime computes such products in single precision, between casts of which it leaves some out.
const FLOAT16: Place = Place { half: Some(tintype_graph::Half::Float16), ..RESIDENT };

#[test]
fn half_precision_learns_what_single_precision_does() {
    for words in
        ["optim=sgd optim.lr=0.1 trainer.accumulate=2", "optim=adamw optim.lr=0.01 optim.clip_norm=0.5"]
    {
        let words = format!("trainer.epochs=10 {words}");
        let (single, expected) = trained(&words, RESIDENT);
        let (half, found) = trained(&words, FLOAT16);
        assert_ne!(single, half);
        for (single, half) in expected.iter().zip(&found) {
            // Halves have 11 bits; the loss is about 1.
            assert!((single.train_loss - half.train_loss).abs() < 4e-3, "{words}: {half:?}");
        }
        assert!(found[9].train_loss < found[0].train_loss);
    }
}

#[test]
fn a_step_that_overflows_is_left_out_and_the_scale_halved() {
    let (_, train, val) = reference();
    let (backend, stop, config) = (OrtBackend::new().unwrap(), Stop::default(), config("optim=adam"));
    let (config, model, checkpoints) = (&config, &linear::model(5, 3), None);
    let (train, val, stop, place) = (&train, &val, &stop, FLOAT16);
    let trainer =
        Trainer { backend: &backend, place, model, classes: 3, config, train, val, stop, checkpoints };
    let criterion = Criterion::new(&config.trainer, &train.counts(3)).unwrap();
    let mut stepper = trainer.begin().unwrap().stepper;
    // Past what the sum of squares can hold in single precision, too.
    let start = 2f64.powi(80);
    stepper.scale = Some(LossScale::of(start));
    let weights = |stepper: &mut Stepper| stepper.learned().unwrap().weights.parameters.clone();
    let before = weights(&mut stepper);
    let mut skipped = 0;
    for _ in 0..100 {
        let scale = stepper.scale.unwrap().factor;
        let rows = Tensor::new(vec![train.len(), 5], train.memory().to_vec()).unwrap();
        let batch = Batch { rows, classes: train.classes.clone(), mixed: None };
        let targets = criterion.targets(&train.classes, None).unwrap();
        let loss = stepper.batch(batch, targets, 0, &mut Progress::default()).unwrap();
        // The weights are zeros, and the three classes alike.
        assert!((loss - 3f64.ln()).abs() < 1e-3, "{loss}");
        stepper.update(&config.optim, 0.1).unwrap();
        if stepper.scale.unwrap().factor == scale {
            break;
        }
        skipped += 1;
        assert_eq!(weights(&mut stepper), before);
    }
    assert!(skipped > 0 && stepper.scale.unwrap().factor == start / 2f64.powi(skipped), "{skipped}");
    let after = weights(&mut stepper);
    assert!(
        after != before && after.iter().all(|t| t.values::<f32>().unwrap().iter().all(|v| v.is_finite()))
    );
    assert!(stepper.learned().unwrap().optimizer.slots().iter().all(|slot| slot.steps == 1));
}

#[test]
fn a_checkpoint_of_one_goes_on_with_the_other() {
    let (_, train, val) = reference();
    let words = format!("scope=all backbone=b {STATEFUL} trainer.update_bn=0");
    let fit = |config: &TrainConfig, seen: &mut Seen| fit_model(&network(0.25), config, (&train, &val), seen);
    let expected = fit(&config(&words), &mut Seen::default()).unwrap();
    for (before, behind) in [(RESIDENT, RESIDENT), (Place::CPU, RESIDENT), (RESIDENT, Place::CPU)] {
        // In the middle of an epoch, and at the end of one.
        for stop_after in [6, 8] {
            let folder = tempfile::tempdir().unwrap();
            let begun = TrainConfig { run_dir: Some(folder.path().to_owned()), ..config(&words) };
            let mut first = Seen { stop_after: Some(stop_after), place: Some(before), ..Seen::default() };
            assert!(fit(&begun, &mut first).unwrap().summary.stopped);
            let resumed = TrainConfig { resume: Some(folder.path().to_owned()), ..begun };
            let mut second = Seen { place: Some(behind), ..Seen::default() };
            let found = fit(&resumed, &mut second).unwrap();
            assert_close(&stored(&found.model), &stored(&expected.model), BOUND);
            assert_eq!(found.summary.best_epoch, expected.summary.best_epoch);
        }
    }
}
