//! The loop on ONNX Runtime, with a linear layer.

mod resident;

use serde::Deserialize;
use tintype_engine::ort::OrtBackend;
use tintype_testkit::assert_close;

use super::*;
use crate::config::resolve;
use crate::event::StepReport;
use crate::linear::{self, layer_of};

/// Written by `tests/data/linear.py`.
#[derive(Deserialize)]
struct Reference {
    x: Vec<f32>,
    truth: Vec<usize>,
    held_x: Vec<f32>,
    held_truth: Vec<usize>,
    epochs: Vec<ReferenceEpoch>,
}

#[derive(Deserialize)]
struct ReferenceEpoch {
    train_loss: f32,
    val_loss: f32,
    val_accuracy: f32,
}

fn reference() -> (Reference, Examples, Examples) {
    let found: Reference = serde_json::from_str(include_str!("../../tests/data/linear.json")).unwrap();
    let examples = |x: &[f32], classes: &[usize]| Examples::in_memory(vec![5], classes.to_vec(), x.to_vec());
    let (train, val) = (examples(&found.x, &found.truth), examples(&found.held_x, &found.held_truth));
    (found, train, val)
}

fn config(extra: &str) -> TrainConfig {
    let words = format!("backbone=b data=d trainer.threads=1 {extra}");
    resolve(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).unwrap()
}

/// Keeps the reports, and asks to stop after some steps.
#[derive(Default)]
struct Seen {
    epochs: Vec<EpochReport>,
    steps: Vec<StepReport>,
    stop_after: Option<usize>,
    stop: Stop,
    /// Where to train; the CPU in the usual way where absent.
    place: Option<Place>,
}

impl Subscriber for Seen {
    fn on_event(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Epoch(report) => self.epochs.push(*report),
            TrainEvent::Step(report) => self.steps.push(*report),
            _ => {}
        }
        if self.stop_after == Some(self.steps.len()) {
            self.stop.request();
        }
    }
}

fn fit(config: &TrainConfig, train: &Examples, val: &Examples, seen: &mut Seen) -> Result<Fitted> {
    fit_model(&linear::model(5, 3), config, (train, val), seen)
}

/// Trains; checkpoints go into the configured run directory, if there is one.
fn fit_model(
    model: &Model,
    config: &TrainConfig,
    (train, val): (&Examples, &Examples),
    seen: &mut Seen,
) -> Result<Fitted> {
    let backend = OrtBackend::new().unwrap();
    let stop = seen.stop.clone();
    let checkpoints = config.run_dir.as_deref().map(Checkpoints::of);
    let checkpoints = checkpoints.as_ref();
    let place = seen.place.unwrap_or(Place::CPU);
    let trainer =
        Trainer { backend: &backend, place, model, classes: 3, config, train, val, stop: &stop, checkpoints };
    trainer.fit(Instant::now(), seen)
}

#[test]
fn epochs_of_one_batch_are_those_of_pytorch() {
    let (reference, train, val) = reference();
    let mut seen = Seen::default();
    let config = config("trainer.epochs=12 optim.lr=0.05 optim.weight_decay=0.01");
    let fitted = fit(&config, &train, &val, &mut seen).unwrap();
    let found = |f: fn(&EpochReport) -> f64| seen.epochs.iter().map(|e| f(e) as f32).collect::<Vec<_>>();
    let expected = |f: fn(&ReferenceEpoch) -> f32| reference.epochs.iter().map(f).collect::<Vec<_>>();
    // Twelve steps of float32 in another order of summation.
    assert_close(&found(|e| e.train_loss), &expected(|e| e.train_loss), 1e-5);
    assert_close(&found(|e| e.val_loss), &expected(|e| e.val_loss), 1e-5);
    assert_close(&found(|e| e.val_accuracy), &expected(|e| e.val_accuracy), 1e-6);
    let best = seen.epochs.iter().rfind(|e| e.best).unwrap();
    assert_eq!((fitted.summary.best_epoch, fitted.summary.val_loss), (best.epoch, best.val_loss));
    let most = seen.epochs.iter().map(|e| e.val_accuracy).fold(0.0, f64::max);
    assert_eq!(fitted.summary.val_accuracy, most);
}

#[test]
fn small_batches_cover_the_rows_and_equal_seeds_agree() {
    let (_, train, val) = reference();
    let config = config("trainer.epochs=3 trainer.batch_size=7 optim.lr=0.1");
    let (mut first, mut second) = (Seen::default(), Seen::default());
    let one = fit(&config, &train, &val, &mut first).unwrap();
    let two = fit(&config, &train, &val, &mut second).unwrap();
    assert_eq!(layer_of(&one.model).unwrap(), layer_of(&two.model).unwrap());
    // 24 rows are three batches of 7; the last 3 rows wait for another epoch.
    assert_eq!(first.steps.len(), 9);
    assert_eq!((first.steps[4].epoch, first.steps[4].step, first.steps[4].steps), (2, 2, 3));
    assert!(first.steps[8].time_left.is_zero() && !first.steps[7].time_left.is_zero());
    let other = TrainConfig { seed: 1, ..config };
    let three = fit(&other, &train, &val, &mut Seen::default()).unwrap();
    assert_ne!(layer_of(&one.model).unwrap(), layer_of(&three.model).unwrap());
}

#[test]
fn a_stop_ends_after_the_step_and_keeps_the_best() {
    let (_, train, val) = reference();
    let config = config("trainer.epochs=50 trainer.batch_size=8");
    let mut seen = Seen { stop_after: Some(2), ..Seen::default() };
    let fitted = fit(&config, &train, &val, &mut seen).unwrap();
    assert_eq!((seen.steps.len(), seen.epochs.len()), (2, 1));
    assert!(fitted.summary.stopped && fitted.summary.best_epoch == 1 && fitted.summary.epochs == 1);
    let mut seen = Seen { stop_after: Some(5), ..Seen::default() };
    let fitted = fit(&config, &train, &val, &mut seen).unwrap();
    // The second epoch is not whole, so it is not compared.
    assert_eq!((seen.steps.len(), seen.epochs.len()), (5, 1));
    assert_eq!((fitted.summary.best_epoch, fitted.summary.epochs), (1, 1));
}

#[test]
fn a_loss_that_is_no_number_is_an_error() {
    let (_, mut train, val) = reference();
    train.memory_mut()[0] = f32::INFINITY;
    let error = fit(&config(""), &train, &val, &mut Seen::default()).map(|f| f.summary).unwrap_err();
    assert!(error.message().contains("the loss is `NaN` in epoch 1, step 1"), "{error}");
}

#[test]
fn gathered_batches_move_the_weights_as_one_of_their_rows() {
    let (_, train, val) = reference();
    let whole = "trainer.epochs=3 trainer.batch_size=24 optim=sgd optim.lr=0.3";
    let parts = "trainer.epochs=3 trainer.batch_size=8 trainer.accumulate=3 optim=sgd optim.lr=0.3";
    for more in ["", "trainer.class_weights=[0.5,2.0,1.0] trainer.label_smoothing=0.1", "optim.clip_norm=0.2"]
    {
        let fitted = |words: &str| {
            let config = config(&format!("{words} {more}"));
            layer_of(&fit(&config, &train, &val, &mut Seen::default()).unwrap().model).unwrap()
        };
        let (one, three) = (fitted(whole), fitted(parts));
        // The same sums in another order.
        assert_close(&one.weights, &three.weights, 1e-6);
        assert_close(&one.bias, &three.bias, 1e-6);
    }
}

#[test]
fn patience_ends_a_training_that_gets_no_better() {
    let (_, train, val) = reference();
    let mut seen = Seen::default();
    let config = config("trainer.epochs=500 trainer.patience=3 optim=sgd optim.lr=40");
    let fitted = fit(&config, &train, &val, &mut seen).unwrap();
    let best = seen.epochs.iter().rfind(|e| e.best).unwrap().epoch;
    assert!(!fitted.summary.stopped && seen.epochs.len() < 500, "{} epochs", seen.epochs.len());
    assert_eq!(seen.epochs.len(), best + 3);
}

#[test]
fn rates_and_averages_are_reported() {
    let (_, train, val) = reference();
    let mut seen = Seen::default();
    let words = "trainer.epochs=4 optim.lr=0.1 optim.schedule.name=cosine trainer.ema.decay=0.5";
    fit(&config(words), &train, &val, &mut seen).unwrap();
    let rates: Vec<f32> = seen.epochs.iter().map(|e| e.learning_rate as f32).collect();
    assert_close(&rates, &[0.1, 0.085_355_34, 0.05, 0.014_644_66], 1e-7);
    // With a warm-up the first step is taken as it is.
    assert_eq!(seen.epochs[0].ema_val_loss, Some(seen.epochs[0].val_loss));
    assert!(seen.epochs[1..].iter().all(|e| e.ema_val_loss.is_some_and(|loss| loss != e.val_loss)));
}

/// Every kind of state: momentum, an average, a plateau, class weights, gathered batches.
const STATEFUL: &str = "trainer.epochs=6 trainer.batch_size=5 trainer.accumulate=2 trainer.ema.decay=0.9 optim=adamw \
                        optim.lr=0.05 optim.weight_decay=0.1 optim.schedule.name=plateau optim.schedule.patience=0";

#[test]
fn a_resumed_training_is_the_uninterrupted_one_bit_for_bit() {
    let (_, train, val) = reference();
    let mut whole = Seen::default();
    let expected = fit(&config(STATEFUL), &train, &val, &mut whole).unwrap();
    let kept = |seen: &Seen| -> Vec<EpochReport> {
        let timeless =
            |e: &EpochReport| EpochReport { seconds: 0.0, images_per_second: 0.0, waited_seconds: 0.0, ..*e };
        seen.epochs.iter().map(timeless).collect()
    };
    let steps = whole.steps.len();
    // Four batches an epoch: in the first one, between two gathered ones, at the end of one, in the last.
    for stop_after in [1, 6, 8, 11, steps - 1] {
        let folder = tempfile::tempdir().unwrap();
        let begun = TrainConfig { run_dir: Some(folder.path().to_owned()), ..config(STATEFUL) };
        let mut first = Seen { stop_after: Some(stop_after), ..Seen::default() };
        assert!(fit(&begun, &train, &val, &mut first).unwrap().summary.stopped);
        let resumed = TrainConfig { resume: Some(folder.path().to_owned()), ..begun };
        let mut second = Seen::default();
        let found = fit(&resumed, &train, &val, &mut second).unwrap();
        assert_eq!(layer_of(&found.model).unwrap(), layer_of(&expected.model).unwrap(), "after {stop_after}");
        let summary = Summary { seconds: 0.0, ..found.summary };
        assert_eq!(summary, Summary { seconds: 0.0, ..expected.summary }, "after {stop_after}");
        let all = kept(&whole);
        assert_eq!(kept(&second), all[all.len() - second.epochs.len()..], "after {stop_after}");
        assert!(second.steps.len() < steps, "the steps before the stop are not made again");
    }
}

#[test]
fn a_training_that_is_over_resumes_to_its_end_and_further() {
    let (_, train, val) = reference();
    let folder = tempfile::tempdir().unwrap();
    let begun = TrainConfig { run_dir: Some(folder.path().to_owned()), ..config("trainer.epochs=2") };
    let expected = fit(&begun, &train, &val, &mut Seen::default()).unwrap();
    let resumed = TrainConfig { resume: Some(folder.path().to_owned()), ..begun };
    let mut seen = Seen::default();
    let found = fit(&resumed, &train, &val, &mut seen).unwrap();
    assert_eq!(layer_of(&found.model).unwrap(), layer_of(&expected.model).unwrap());
    assert!(seen.steps.is_empty());
    let mut longer = resumed;
    longer.trainer.epochs = 5;
    fit(&longer, &train, &val, &mut seen).unwrap();
    assert_eq!(seen.epochs.iter().map(|e| e.epoch).collect::<Vec<_>>(), [3, 4, 5]);
}

#[test]
fn checkpoints_of_other_trainings_are_refused() {
    let (_, train, val) = reference();
    let folder = tempfile::tempdir().unwrap();
    let begun = TrainConfig { run_dir: Some(folder.path().to_owned()), ..config("trainer.epochs=1") };
    fit(&begun, &train, &val, &mut Seen::default()).unwrap();
    let resumed = TrainConfig { resume: Some(folder.path().to_owned()), ..begun };
    let refused = |model: &Model, config: &TrainConfig, train: &Examples| {
        let error =
            fit_model(model, config, (train, &val), &mut Seen::default()).map(|f| f.summary).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.message().to_owned()
    };
    let linear = linear::model(5, 3);
    let mut builder = tintype_graph::Builder::new(0);
    let input = builder.input("x", &[5]);
    let hidden = builder.linear("head", &input, 5, 4);
    let logits = builder.linear("fc", &hidden, 4, 3);
    let other = builder.finish(&logits, "logits", &[3]);
    let message = refused(&other, &resumed, &train);
    assert!(message.contains("is of another network"), "{message}");
    let mut fewer = reference().1;
    fewer.classes.swap(0, 1);
    fewer.classes[0] = (fewer.classes[0] + 1) % 3;
    assert!(refused(&linear, &resumed, &fewer).contains("other images"));
    let mut changed = reference().1;
    changed.contents = vec![[7; 32]];
    assert!(refused(&linear, &resumed, &changed).contains("other images"));
    let mut sgd = resumed.clone();
    sgd.optim.name = crate::config::OptimName::Sgd;
    assert!(refused(&linear, &sgd, &train).contains("another optimizer"));
}

/// Two layers, the first with a batch norm.
fn two_layers() -> Model {
    let mut builder = tintype_graph::Builder::new(0);
    let input = builder.input("x", &[5]);
    let hidden = builder.linear("stem", &input, 5, 4);
    let hidden = builder.batch_norm("bn", &hidden, 4);
    let hidden = builder.relu("relu", &hidden);
    let logits = builder.linear("fc", &hidden, 4, 3);
    builder.finish(&logits, "logits", &[3])
}

#[test]
fn what_is_frozen_stays_and_the_head_learns_first() {
    let (_, train, val) = reference();
    let model = two_layers();
    let changed = |words: &str| -> Vec<&str> {
        // One batch an epoch; the best is the last where the loss falls.
        let config = config(&format!("trainer.epochs=1 trainer.update_bn=0 {words}"));
        let fitted = fit_model(&model, &config, (&train, &val), &mut Seen::default());
        let fitted = fitted.unwrap_or_else(|e| panic!("{words}: {e}"));
        ["stem.weight", "stem.bias", "bn.weight", "bn.running_mean", "fc.weight"]
            .into_iter()
            .filter(|name| fitted.model.f32s(name).unwrap() != model.f32s(name).unwrap())
            .collect()
    };
    let all = "scope=all backbone=b";
    assert_eq!(changed(all), ["stem.weight", "stem.bias", "bn.weight", "bn.running_mean", "fc.weight"]);
    assert_eq!(
        changed(&format!("{all} trainer.freeze=[stem]")),
        ["bn.weight", "bn.running_mean", "fc.weight"]
    );
    assert_eq!(
        changed(&format!("{all} trainer.batch_norm=frozen")),
        ["stem.weight", "stem.bias", "fc.weight"]
    );
    assert_eq!(changed(&format!("{all} trainer.head_epochs=1")), ["fc.weight"]);
    assert_eq!(changed(&format!("{all} trainer.head_epochs=1 trainer.epochs=30 optim.lr=0.05")).len(), 5);
    let config = config(&format!("{all} trainer.freeze=[nothing]"));
    let error =
        fit_model(&model, &config, (&train, &val), &mut Seen::default()).map(|f| f.summary).unwrap_err();
    assert!(error.message().contains("no parameter begins with `nothing`"), "{error}");
}

#[test]
fn statistics_taken_anew_are_those_of_the_rows() {
    let (_, train, val) = reference();
    let model = two_layers();
    // Nothing learns, and all rows are in one batch: the running mean is the mean of what the first layer gives.
    let words = "scope=all backbone=b trainer.epochs=1 trainer.update_bn=4 optim=sgd optim.lr=1e-12";
    let fitted = fit_model(&model, &config(words), (&train, &val), &mut Seen::default()).unwrap();
    let (weight, bias) = (model.f32s("stem.weight").unwrap(), model.f32s("stem.bias").unwrap());
    let rows = train.memory().chunks(5);
    let expected: Vec<f32> = (0..4)
        .map(|k| {
            let dot = |row: &[f32]| row.iter().zip(&weight[k * 5..]).map(|(x, w)| x * w).sum::<f32>();
            rows.clone().map(dot).sum::<f32>() / train.len() as f32 + bias[k]
        })
        .collect();
    assert_close(&fitted.model.f32s("bn.running_mean").unwrap(), &expected, 1e-5);
}
